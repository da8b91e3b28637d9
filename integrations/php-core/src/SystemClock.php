<?php

declare(strict_types=1);

namespace Logystera;

/** The machine's clock. */
final class SystemClock implements Clock
{
    public function nowMs(): int
    {
        return (int) floor(microtime(true) * 1000);
    }

    public function monotonicMs(): int
    {
        return intdiv(hrtime(true), 1000000);
    }
}
