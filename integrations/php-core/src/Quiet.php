<?php

declare(strict_types=1);

namespace Logystera;

/**
 * Calls a function of PHP whose failure is expected and looked at by its result. A plain `@` hides a warning from the log only: handlers of
 * others get it all the same, and some throw.
 */
final class Quiet
{
    /**
     * @param mixed ...$arguments
     * @return mixed what the function returns
     */
    public static function call(string $function, ...$arguments)
    {
        set_error_handler(static fn (): bool => true);
        try {
            return $function(...$arguments);
        } finally {
            restore_error_handler();
        }
    }
}
