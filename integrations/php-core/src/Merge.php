<?php

declare(strict_types=1);

namespace Logystera;

/**
 * Makes room in a spool that is full: of the newest lines that wait, those of one minute that are equal but for their times become one,
 * with `repeats`. So many are looked at at once that a page loses little, and what is older than the last minute only once: how far it
 * came is in `merged`. Under the lock `lock` only.
 */
final class Merge
{
    /** The field that says how many one signal stands for. */
    public const REPEATS = 'repeats';
    private const MINUTE_MS = 60000;
    private const LINE = '/^(\d+) (\{"type":"([a-z._]+)","at":)\d+(.*?)(?:,"repeats":(\d+))?\}$/D';
    /** How long a request took tells it from others that are equal. A signal that stands for many took no time of its own. */
    private const DURATION = '/,"duration_ms":\d+/';
    private const WITHOUT_DURATION = 'http.request';

    /** @var Storage */
    private $storage;

    public function __construct(Storage $storage)
    {
        $this->storage = $storage;
    }

    /**
     * Merges the newest lines of `open`, if enough of them came since the last time.
     *
     * @param array $head of `open`
     * @return bool whether it is shorter now
     */
    public function open(array $head): bool
    {
        [$from, $size] = $this->done($head);
        $from = max($from, $head['size'] - Limits::MERGE_BYTES_MAX);
        if ($head['size'] - $size < Limits::MERGE_BYTES_MIN || !self::hasMemory(3 * $head['size'])) {
            return false;
        }
        $text = (string) $this->storage->read('open');
        // From the beginning of a line on.
        $from = 1 + (int) strpos($text, "\n", $from - 1);
        $merged = self::merged(substr($text, $from));
        // Noted first: where that is impossible, each page would do it anew.
        $isNoted = $this->note($head, $from + self::lastMinute($merged), $from + strlen($merged));
        if (!$isNoted || $from + strlen($merged) >= strlen($text)) {
            return false;
        }
        // What was counted of the file does not hold any more, and must not be believed when it has grown again.
        $this->storage->delete('tally');
        return $this->storage->write('open', substr($text, 0, $from) . $merged, false);
    }

    /** Lines of a spool with the equal ones merged into the first of each minute. Whatever is no line of a signal stays as it is. */
    public static function merged(string $text): string
    {
        $lines = explode("\n", $text);
        [$first, $times, $parts] = [[], [], []];
        foreach ($lines as $i => $line) {
            if (preg_match(self::LINE, $line, $m) !== 1 || !isset(CatalogueData::TYPES[$m[3]][self::REPEATS])) {
                continue;
            }
            $rest = $m[3] === self::WITHOUT_DURATION ? (string) preg_replace(self::DURATION, '', $m[4], 1) : $m[4];
            $key = intdiv((int) $m[1], self::MINUTE_MS) . $m[3] . $rest;
            $count = (int) ($m[5] ?? 1);
            $place = $first[$key] ?? null;
            if ($place === null || $times[$place] + $count > CatalogueData::TYPES[$m[3]][self::REPEATS][3]) {
                [$first[$key], $times[$i], $parts[$i]] = [$i, $count, [$m[1] . ' ' . $m[2] . $m[1], $rest]];
                continue;
            }
            $times[$place] += $count;
            $parts[$place][2] = true;
            unset($lines[$i]);
        }
        foreach ($parts as $i => $part) {
            if (isset($part[2])) {
                $lines[$i] = $part[0] . $part[1] . ',"' . self::REPEATS . '":' . $times[$i] . '}';
            }
        }
        return implode("\n", $lines);
    }

    /** Where the last minute begins: more may come that is equal to what it has. */
    private static function lastMinute(string $lines): int
    {
        preg_match_all('/^(\d+) \{/m', $lines, $found, PREG_OFFSET_CAPTURE);
        $begin = strlen($lines);
        $last = $found[1] === [] ? 0 : intdiv((int) end($found[1])[0], self::MINUTE_MS);
        foreach (array_reverse($found[1]) as [$at, $place]) {
            if (intdiv((int) $at, self::MINUTE_MS) !== $last) {
                break;
            }
            $begin = $place;
        }
        return $begin;
    }

    /** @return array{0: int, 1: int} where the last minute of what was looked at begins, and how long `open` was then */
    private function done(array $head): array
    {
        $noted = json_decode((string) $this->storage->read('merged', strlen(Spool::GUARD)), true);
        [$number, $from, $size] = array_pad(is_array($noted) ? array_values($noted) : [], 3, null);
        $isOfThis = $number === $head['number'] && is_int($from) && is_int($size) && $from <= $size && $size <= $head['size'];
        return $isOfThis && $from >= $head['begin'] ? [$from, $size] : [$head['begin'], $head['begin']];
    }

    private function note(array $head, int $from, int $size): bool
    {
        return $this->storage->write('merged', Spool::GUARD . json_encode([$head['number'], $from, $size]), false);
    }

    /** Whether PHP may take so many bytes more: a request that ends for want of memory must still be told of. */
    private static function hasMemory(int $bytes): bool
    {
        $limit = trim((string) ini_get('memory_limit'));
        $units = ['k' => 1024, 'm' => 1048576, 'g' => 1073741824];
        $max = (int) $limit * ($units[strtolower(substr($limit, -1))] ?? 1);
        return $max <= 0 || memory_get_usage() + $bytes < $max;
    }
}
