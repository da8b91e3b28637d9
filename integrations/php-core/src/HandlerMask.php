<?php

declare(strict_types=1);

namespace Logystera;

/**
 * Which levels of errors the present handler asked for. PHP tells nobody, and whoever calls a handler in PHP's place has to know: a
 * handler that throws at each error was written for the levels that it named.
 *
 * How: PHP keeps a handler and its levels apart. A handler of ours runs while PHP has put itself aside; it takes the present one back
 * (`restore_error_handler`), which brings that one's levels, and takes it away (`set_error_handler(null)`), which leaves them. When ours
 * returns, PHP puts it back, and it gets only the other's levels from then on. Errors are made on purpose then, silenced, and ours
 * notes which arrive. The other handler is never called.
 */
final class HandlerMask
{
    private const USER_LEVELS = [E_USER_WARNING, E_USER_NOTICE, E_USER_DEPRECATED];
    /** Those that end no request where nobody asked for them. */
    private const LEVELS = [E_WARNING, E_NOTICE, E_DEPRECATED, E_USER_WARNING, E_USER_NOTICE, E_USER_DEPRECATED];

    /** @var int */
    private $seen = 0;
    /** @var bool whether the levels are the other handler's by now */
    private $isSwapped = false;

    private function __construct()
    {
    }

    /** Levels of the present handler; null where this PHP does not let itself be asked. Only where there is one. */
    public static function ofPresent(): ?int
    {
        // A handler whose levels are known is asked first: where that goes wrong, nothing that is said of another holds.
        foreach ([E_USER_NOTICE | E_NOTICE, E_DEPRECATED | E_USER_DEPRECATED] as $known) {
            set_error_handler(static fn (): bool => true, $known);
            $said = (new self())->ask();
            restore_error_handler();
            if ($said !== $known) {
                return null;
            }
        }
        return (new self())->ask();
    }

    private function ask(): int
    {
        set_error_handler([$this, 'note']);
        @trigger_error('', E_USER_NOTICE);
        foreach (self::LEVELS as $level) {
            self::make($level);
        }
        restore_error_handler();
        error_clear_last();
        // The others (errors that end the request) go with the warnings; who asked for none of these asked for the others.
        $hasRest = ($this->seen & (E_WARNING | E_USER_WARNING)) !== 0 || $this->seen === 0;
        return $this->seen | ($hasRest ? E_ALL & ~array_sum(self::LEVELS) : 0);
    }

    /** @internal PHP calls it */
    public function note(int $level): bool
    {
        if (!$this->isSwapped) {
            $this->isSwapped = true;
            restore_error_handler();
            set_error_handler(null);
        } else {
            $this->seen |= $level;
        }
        return true;
    }

    private static function make(int $level): void
    {
        if (in_array($level, self::USER_LEVELS, true)) {
            @trigger_error('', $level);
        } elseif ($level === E_WARNING) {
            @hex2bin('0');
        } elseif ($level === E_NOTICE) {
            // A value in place of a variable.
            @end(self::values());
        } elseif (PHP_VERSION_ID >= 80000) {
            @(new \ReflectionFunction('strlen'))->getParameters()[0]->isArray();
        } else {
            @array_key_exists('a', new \stdClass());
        }
    }

    private static function values(): array
    {
        return [];
    }
}
