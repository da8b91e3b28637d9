<?php

declare(strict_types=1);

namespace Logystera\Php;

use Logystera\Fatal;
use Logystera\HandlerMask;
use Logystera\Hasher;
use Logystera\Limits;
use Logystera\Redact;

/** PHP's errors, as far as PHP is set to report them, each once a request. Handlers of others get what they asked for, as before. */
final class Errors
{
    private const LEVELS = [
        E_NOTICE => 'notice', E_USER_NOTICE => 'notice', E_DEPRECATED => 'deprecated', E_USER_DEPRECATED => 'deprecated',
        E_USER_ERROR => 'fatal', E_RECOVERABLE_ERROR => 'fatal',
    ];
    /** Errors of a request that are looked at, and as many exceptions besides; more are only counted. */
    private const SEEN_MAX = 250;
    /** A message from this length on is remembered by its length and the digest of its beginning, in bytes. */
    private const DIGEST_BYTES_MIN = 512;

    /** @var Monitor */
    private $monitor;
    /** @var callable|null */
    private $previous = null;
    /** @var int what that one asked for */
    private $levels = 0;
    /** @var array<string, array<string, array<int, array<string, true>>>> errors as they came: level, file, line, message; and how many */
    private $seen = [];
    /** @var int */
    private $count = 0;
    /** @var array<string, true> shapes that were told */
    private $told = [];

    public function __construct(Monitor $monitor)
    {
        $this->monitor = $monitor;
    }

    /** Takes PHP's errors from now on. */
    public function register(): self
    {
        $present = set_error_handler([$this, 'handle']);
        restore_error_handler();
        $levels = $present === null ? 0 : HandlerMask::ofPresent();
        if ($levels !== null) {
            $this->levels = $levels;
            $this->previous = set_error_handler([$this, 'handle']);
        }
        return $this;
    }

    public function handle(int $level, string $message, string $file = '', int $line = 0): bool
    {
        if ((error_reporting() & $level) !== 0) {
            $this->tell(self::LEVELS[$level] ?? 'warning', $message, $file, $line);
        }
        return $this->previous !== null && ($this->levels & $level) !== 0 && ($this->previous)(...func_get_args()) !== false;
    }

    /** A piece of work is over: what comes now is another one's. */
    public function forget(): void
    {
        [$this->seen, $this->count, $this->told] = [[], 0, []];
    }

    /** The process ends: an error may have ended it. */
    public function finish(): void
    {
        $last = error_get_last();
        if ($last !== null && Fatal::is($last)) {
            // However many came before.
            $this->count = 0;
            $this->tell(Fatal::LEVELS[$last['type']], $last['message'], $last['file'], $last['line']);
        }
    }

    /** An exception that a framework caught and made a page of. */
    public function thrown(\Throwable $thrown): void
    {
        $this->tell('fatal', get_class($thrown) . ': ' . $thrown->getMessage(), $thrown->getFile(), $thrown->getLine());
    }

    private function tell(string $level, string $message, string $file, int $line): void
    {
        $length = strlen($message);
        $seen = $length < self::DIGEST_BYTES_MIN ? $message : $length . md5(substr($message, 0, Limits::MESSAGE_BYTES_MAX));
        if (isset($this->seen[$level][$file][$line][$seen])) {
            return;
        }
        if ($this->count >= self::SEEN_MAX * (in_array($level, Fatal::LEVELS, true) ? 2 : 1)) {
            $this->monitor->drop('php.error');
            return;
        }
        $this->seen[$level][$file][$line][$seen] = true;
        $this->count++;
        $shape = Redact::message($message);
        $key = "$level $file $line $shape";
        if (isset($this->told[$key])) {
            return;
        }
        $this->told[$key] = true;
        $below = $this->monitor->relative($file);
        $this->monitor->record('php.error', function () use ($level, $line, $shape, $below): array {
            return [
                'level' => $level, 'component' => preg_match('~^/vendor/[^/]+/([^/]+)/~', $below, $m) === 1 ? Redact::slug($m[1]) : 'app',
                'file_hash' => $this->monitor->hash(Hasher::FILE, $below), 'line' => $line,
                'message_hash' => $this->monitor->hash(Hasher::MESSAGE, $shape),
            ];
        });
    }
}
