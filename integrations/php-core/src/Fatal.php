<?php

declare(strict_types=1);

namespace Logystera;

/** Errors that end a request and go to no handler. */
final class Fatal
{
    /** Level of a signal by PHP's number of the error. */
    public const LEVELS = [E_ERROR => 'fatal', E_CORE_ERROR => 'fatal', E_COMPILE_ERROR => 'fatal', E_PARSE => 'parse'];

    /**
     * Whether an error is one of these.
     *
     * @param array<string, mixed>|null $last as error_get_last() gives it
     */
    public static function is(?array $last): bool
    {
        return $last !== null && isset(self::LEVELS[$last['type'] ?? 0]);
    }
}
