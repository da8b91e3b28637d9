<?php

declare(strict_types=1);

namespace Logystera;

/** Random numbers, as an input. */
interface Randomness
{
    /** So many bytes that nobody can guess. */
    public function bytes(int $count): string;

    /** A number from 0 to $max, both included. */
    public function upTo(int $max): int;
}
