<?php

declare(strict_types=1);

namespace Logystera\WordPress\Signals;

use Logystera\Fatal;
use Logystera\HandlerMask;
use Logystera\Hasher;
use Logystera\Limits;
use Logystera\Quiet;
use Logystera\Redact;
use Logystera\WordPress\Emitter;
use Logystera\WordPress\Guard;

/**
 * PHP's errors, as far as PHP is set to report them: what is silenced is none. An error that repeats in a request is
 * told once.
 */
final class PhpError implements Source
{
    private const LEVELS = [
        E_WARNING => 'warning', E_USER_WARNING => 'warning', E_CORE_WARNING => 'warning', E_COMPILE_WARNING => 'warning',
        E_NOTICE => 'notice', E_USER_NOTICE => 'notice', E_DEPRECATED => 'deprecated',
        E_USER_DEPRECATED => 'deprecated', E_USER_ERROR => 'fatal', E_RECOVERABLE_ERROR => 'fatal',
    ];
    /** Errors that are looked at in a request, and as many grave ones besides; more are only counted. Each costs some 20 µs, others two. */
    private const SEEN_MAX = 250;
    /** A message from this length on is remembered by its length and the digest of its beginning, in bytes. */
    private const DIGEST_BYTES_MIN = 512;
    /** Memory that is given back when a request ends for want of it, in bytes, and how much more it may take then. */
    private const RESERVE_BYTES = 65536;
    private const MORE_BYTES = 4194304;

    /** @var Emitter */
    private $emitter;
    /** @var callable|null */
    private $previous = null;
    /** @var int what that one asked for */
    private $levels = 0;
    /** @var array<string, array<string, array<int, array<string, true>>>> errors as they came: level, file, line, message; and how many */
    private $seen = [];
    /** @var int */
    private $count = 0;
    /** @var bool whether errors are only counted by now; and how many are, until the request ends */
    private $isCounting = false;
    /** @var int */
    private $more = 0;
    /** @var array<string, true> shapes that were told */
    private $told = [];
    /** @var array|null the error that ends the request */
    private $fatal = null;
    /** @var string|null */
    private $reserve = null;

    public function __construct(Emitter $emitter)
    {
        $this->emitter = $emitter;
    }

    public function register(): void
    {
        $this->reserve = str_repeat("\0", self::RESERVE_BYTES);
        $present = set_error_handler([$this, 'handle']);
        restore_error_handler();
        $levels = $present === null ? 0 : HandlerMask::ofPresent();
        if ($levels === null) {
            // Nobody knows what the handler that is there asked for: it goes on, and only what ends a request is told.
            return;
        }
        $this->levels = $levels;
        $this->previous = set_error_handler([$this, 'handle']);
    }

    public function finish(): void
    {
        $this->noteFatal();
        if ($this->fatal !== null) {
            $error = $this->fatal;
            $this->reserve = null;
            $limit = wp_convert_hr_to_bytes((string) ini_get('memory_limit'));
            if ($limit > 0) {
                Quiet::call('ini_set', 'memory_limit', (string) ($limit + self::MORE_BYTES));
            }
            // However many came before.
            $this->count = 0;
            $this->tell(Fatal::LEVELS[$error['type']], $error['message'], $error['file'], $error['line']);
            $this->fatal = null;
        }
        if ($this->more > 0) {
            $this->emitter->drop($this->more);
            $this->more = 0;
        }
    }

    /**
     * What PHP calls for each error that ends no request. Tells of it, and leaves the rest to whoever was asked
     * before, if that one asked for such errors.
     */
    public function handle(int $level, string $message, string $file = '', int $line = 0): bool
    {
        try {
            $this->noteFatal();
            if ((error_reporting() & $level) !== 0) {
                $this->tell(self::LEVELS[$level] ?? 'warning', $message, $file, $line);
            }
        } catch (\Throwable $fault) {
            Guard::tell($fault, 'php.error');
        }
        // With all that PHP gave: PHP 7.4 has a fifth argument.
        return $this->previous !== null && ($this->levels & $level) !== 0 && ($this->previous)(...func_get_args()) !== false;
    }

    /** An error in what runs after a fatal one takes its place in PHP's memory. */
    private function noteFatal(): void
    {
        $last = $this->fatal === null ? error_get_last() : null;
        if ($last !== null && Fatal::is($last)) {
            $this->fatal = $last;
        }
    }

    private function tell(string $level, string $message, string $file, int $line): void
    {
        $length = strlen($message);
        $key = $length < self::DIGEST_BYTES_MIN ? $message : $length . md5(substr($message, 0, Limits::MESSAGE_BYTES_MAX));
        if (isset($this->seen[$level][$file][$line][$key])) {
            return;
        }
        if ($this->count >= self::SEEN_MAX * (in_array($level, Fatal::LEVELS, true) ? 2 : 1)) {
            // The first one at once: since when.
            $this->isCounting ? $this->more++ : $this->emitter->drop();
            $this->isCounting = true;
            return;
        }
        $this->seen[$level][$file][$line][$key] = true;
        $this->count++;
        $shape = Redact::message($message);
        if (isset($this->told["$level $file $line $shape"])) {
            return;
        }
        $this->told["$level $file $line $shape"] = true;
        $this->emitter->emit([
            'level' => $level, 'component' => Emitter::component($file), 'file_hash' => $this->emitter->file($file),
            'line' => $line, 'message_hash' => $this->emitter->hash(Hasher::MESSAGE, $shape), 'source' => $this->emitter->visitor(),
        ]);
    }
}
