<?php

declare(strict_types=1);

namespace Logystera\WordPress\Signals;

/** Watches for one type of signals. It is made only where the type is switched on. */
interface Source
{
    /** Adds its hooks. */
    public function register(): void;

    /** The request ends: the last chance to tell something. The answer has been made, but maybe not sent. */
    public function finish(): void;
}
