<?php

declare(strict_types=1);

namespace Logystera;

/** What a sender remembers from one try to the next. */
final class Health
{
    /** @var int failures in a row */
    public $failures = 0;
    /** @var bool whether the try before was answered `clock_skew` */
    public $skewed = false;
    /** @var int new spools drawn in a row */
    public $conflicts = 0;
    /** @var int answers in a row that say that the key or the address is wrong */
    public $strange = 0;

    /** @return array<string, int|bool> */
    public function toArray(): array
    {
        return get_object_vars($this);
    }

    /** @param array<string, mixed> $values as `toArray` gave them */
    public static function fromArray(array $values): self
    {
        $health = new self();
        $health->failures = (int) ($values['failures'] ?? 0);
        $health->skewed = (bool) ($values['skewed'] ?? false);
        $health->conflicts = (int) ($values['conflicts'] ?? 0);
        $health->strange = (int) ($values['strange'] ?? 0);
        return $health;
    }

    /** Whether it failed so often that the gateway is only probed. */
    public function isCircuitOpen(): bool
    {
        return $this->failures >= Limits::FAILURES_MAX || $this->strange > Limits::NEW_KEY_TRIES;
    }
}
