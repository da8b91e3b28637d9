<?php

/** Handlers of errors that were there before ours. */

declare(strict_types=1);

namespace Logystera\Tests;

use Logystera\HandlerMask;

return [
    'the levels of a handler that was there before are known without calling it' => static function (): void {
        $others = E_ALL & ~(E_WARNING | E_NOTICE | E_DEPRECATED | E_USER_WARNING | E_USER_NOTICE | E_USER_DEPRECATED);
        $cases = [
            E_ALL => E_ALL, E_WARNING => E_WARNING | $others, E_USER_WARNING => E_USER_WARNING | $others, E_NOTICE => E_NOTICE,
            E_USER_NOTICE | E_DEPRECATED => E_USER_NOTICE | E_DEPRECATED, E_USER_DEPRECATED => E_USER_DEPRECATED,
            E_USER_ERROR => $others, (E_ALL & ~E_DEPRECATED & ~E_USER_DEPRECATED) => E_ALL & ~E_DEPRECATED & ~E_USER_DEPRECATED,
        ];
        foreach ($cases as $asked => $expected) {
            $calls = 0;
            $handler = static function () use (&$calls): bool {
                $calls++;
                return true;
            };
            set_error_handler($handler, $asked);
            try {
                same($expected, HandlerMask::ofPresent(), "asked for $asked");
                same([0, null], [$calls, error_get_last()], 'it was called, or an error is left behind');
                $present = set_error_handler(null);
                restore_error_handler();
                same(true, $present === $handler, 'it is not there any more');
                // And it has its levels still: a silenced error of a level that it did not ask for does not come to it.
                @hex2bin('0');
                @trigger_error('', E_USER_NOTICE);
                same((int) (($asked & E_WARNING) !== 0) + (int) (($asked & E_USER_NOTICE) !== 0), $calls, "levels of $asked");
            } finally {
                restore_error_handler();
                error_clear_last();
            }
        }
        same(null, set_error_handler(null), 'a handler is left behind');
        restore_error_handler();
    },
];
