<?php

declare(strict_types=1);

namespace Logystera;

/** The time, as an input. */
interface Clock
{
    /** Milliseconds since 1970 by the wall clock, which may go back. */
    public function nowMs(): int;

    /** Milliseconds of a clock that only goes on; its zero means nothing. */
    public function monotonicMs(): int;
}
