<?php

declare(strict_types=1);

namespace Logystera;

/**
 * Where counts of lost signals lie while the spool's disk takes none of them: with the platform's own settings, which are on
 * another disk more often than not. Their absence means that the spool has all.
 */
interface Ledger
{
    /**
     * Adds counts; of processes that add at the same time none may take another's away.
     *
     * @param array<string, array{0: int, 1: int}> $counts `type|reason` => [count, since]
     */
    public function add(array $counts): void;

    /** @return array<string, array{0: int, 1: int}> all that was added and not taken */
    public function counts(): array;

    /**
     * Takes away what the spool has now. What was added since then stays.
     *
     * @param array<string, array{0: int, 1: int}> $counts as counts() gave them
     */
    public function take(array $counts): void;
}
