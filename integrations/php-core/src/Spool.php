<?php

declare(strict_types=1);

namespace Logystera;

/**
 * The signals on disk, in the order of their times.
 *
 * `open` takes what comes, a line each: `<at> <json>`. The flusher renames it to `segment`, one at a time, and cuts
 * batches from that without a lock. Both begin with a guard, by which a web server that hands the file out says
 * nothing, and a head: `<number> <floor>`. The number grows by one with each file; no signal's `at` is below the
 * floor, which is the `through` that the file before ended with, plus 1. Times that are further ahead of the clock than
 * `CLOCK_BACK_MS` come from a clock that was wrong; they hold nothing back, and are set to the present. `dropped`
 * counts what found no room, by type and reason, in generations: one that was told is told once. Before that what waits in `open` is
 * merged: see Merge. All of this changes under the lock `lock` only.
 */
final class Spool
{
    public const GUARD = "<?php http_response_code(404); __halt_compiler();\n";
    private const HEAD = '/^(\d+) (-?\d+)\n/';
    private const HEAD_BYTES_MAX = 64;

    /** @var Storage */
    private $storage;
    /** @var Clock */
    private $clock;
    /** @var int */
    private $bytesMax;
    /** @var array{oldest: int|null, hasSegment: bool}|null what the last append has seen */
    private $seen = null;

    public function __construct(Storage $storage, Clock $clock, int $bytesMax = Limits::SPOOL_BYTES_MAX)
    {
        $this->storage = $storage;
        $this->clock = $clock;
        $this->bytesMax = $bytesMax;
    }

    /**
     * Takes signals in, each `[time in ms, signal, whether it passes any share]`. What finds no room is counted on disk.
     *
     * @param array<int, array{0: int, 1: array<string, mixed>, 2?: bool}> $signals
     * @param array<string, array{0: int, 1: int}> $dropped counts of the caller, `type|reason` => [count, since]
     * @return array<string, array{0: int, 1: int}> counts of what is neither kept nor counted on disk: they are the caller's to keep.
     * Empty if all is well
     */
    public function append(array $signals, array $dropped = []): array
    {
        $lock = $this->storage->lock('lock', true);
        if ($lock === null) {
            return self::lostOnDisk($signals, $dropped);
        }
        try {
            return $this->appendLocked($signals, $dropped);
        } finally {
            $this->storage->unlock($lock);
        }
    }

    /**
     * @return array{number: int, through: int, hasSegment: bool}|null what `rotate` found; null where it cannot be
     * written
     */
    public function rotate(): ?array
    {
        $lock = $this->storage->lock('lock', true);
        if ($lock === null) {
            return null;
        }
        try {
            return $this->rotateLocked();
        } finally {
            $this->storage->unlock($lock);
        }
    }

    /** What `open` or `segment` is: number, floor, where its lines begin, and its size. Null if it is not there. */
    public function head(string $file): ?array
    {
        return self::headOf($this->storage->ends($file, strlen(self::GUARD) + self::HEAD_BYTES_MAX, 0));
    }

    /** @param array{head: string, tail: string, size: int}|null $ends of a file */
    private static function headOf(?array $ends): ?array
    {
        if ($ends === null || strpos($ends['head'], self::GUARD) !== 0) {
            return null;
        }
        return preg_match(self::HEAD, substr($ends['head'], strlen(self::GUARD), self::HEAD_BYTES_MAX), $m) !== 1 ? null : [
            'number' => (int) $m[1], 'floor' => (int) $m[2], 'begin' => strlen(self::GUARD) + strlen($m[0]), 'size' => $ends['size'],
        ];
    }

    /** `at` of the oldest signal in `open`; null if there is none. */
    public function oldestOpen(): ?int
    {
        $start = (string) $this->storage->read('open', strlen(self::GUARD), 2 * self::HEAD_BYTES_MAX);
        return preg_match('/^\d+ -?\d+\n(\d+) /', $start, $m) === 1 ? (int) $m[1] : null;
    }

    /**
     * `at` of the oldest signal in `open`, and whether there is a segment: as an append of this process has just seen it, which spares a
     * page to look again, or else as it is now.
     *
     * @return array{oldest: int|null, hasSegment: bool}
     */
    public function waiting(): array
    {
        $seen = $this->seen ?? ['oldest' => $this->oldestOpen(), 'hasSegment' => $this->storage->size('segment') !== null];
        // It holds for a moment only: a process may run for long.
        $this->seen = null;
        return $seen;
    }

    /** Bytes of signals that wait in `open` and `segment`. */
    public function bytes(): int
    {
        return (int) $this->storage->size('open') + (int) $this->storage->size('segment');
    }

    /** What found no room and was not told yet: its generation, and `type|reason` => [count, since]. */
    public function dropped(int $toldGeneration): array
    {
        return (new Drops($this->storage))->untold($toldGeneration);
    }

    /**
     * Of what was read from a disk, that which is counts.
     *
     * @param mixed $value
     * @param string $keys a pattern of keys
     * @return array<string, array{0: int, 1: int}>
     */
    public static function counts($value, string $keys = '/^[a-z._]+\|[a-z]+$/D'): array
    {
        return array_filter(is_array($value) ? $value : [], static function ($count, $key) use ($keys): bool {
            return preg_match($keys, (string) $key) === 1 && is_array($count) && array_keys($count) === [0, 1]
                && is_int($count[0]) && is_int($count[1]) && $count[0] > 0;
        }, ARRAY_FILTER_USE_BOTH);
    }

    /** A time that what comes later must not lie before; the present where it is too far ahead to be true. */
    public static function bounded(int $time, int $now): int
    {
        return $time > $now + Limits::CLOCK_BACK_MS ? $now : $time;
    }

    /** Adds counts to counts. */
    public static function sum(array $counts, array $more): array
    {
        foreach ($more as $key => [$count, $since]) {
            [$before, $first] = $counts[$key] ?? [0, $since];
            $counts[$key] = [$before + $count, min($first, $since)];
        }
        return $counts;
    }

    /** Counts of signals that no disk took, besides others. */
    private static function lostOnDisk(array $signals, array $dropped): array
    {
        foreach ($signals as $entry) {
            [$time, $signal] = $entry;
            $dropped = self::sum($dropped, [$signal['type'] . '|disk' => [1, $time]]);
        }
        return $dropped;
    }

    private function appendLocked(array $signals, array $dropped): array
    {
        $head = $this->look('open') ?? $this->begin();
        if ($head === null) {
            return self::lostOnDisk($signals, $dropped);
        }
        $now = $this->clock->nowMs();
        if ($head['last'] > $now + Limits::CLOCK_BACK_MS) {
            $head = $this->startAnew($head, $now);
        }
        [$last, $isTorn] = [self::bounded($head['last'], $now), $head['isTorn']];
        [$tallies, $shares] = $this->shares($head);
        $mayMerge = true;
        // A line without its end was being written when its writer died: the next one must not join it.
        $lines = $isTorn ? "\n" : '';
        $kept = [];
        foreach ($signals as $entry) {
            [$time, $signal] = $entry;
            $at = max(min($time, $now), $last);
            $line = self::line($at, $signal);
            $fits = $line !== null && strlen($line) <= Limits::LINE_BYTES_MAX;
            $isTaken = $fits && $shares->take($line, $entry[2] ?? false);
            if ($fits && !$isTaken && $mayMerge) {
                // Before anything is dropped, what waits and is equal is merged.
                $mayMerge = false;
                if ((new Merge($this->storage))->open($head)) {
                    $head = $this->look('open') ?? $head;
                    [$tallies, $shares] = $this->shares($head, $lines);
                    $isTaken = $shares->take($line, $entry[2] ?? false);
                }
            }
            if (!$isTaken) {
                $dropped = self::sum($dropped, [$signal['type'] . '|overflow' => [1, $at]]);
                continue;
            }
            $lines .= $line;
            $kept[$signal['type'] . '|disk'][] = $at;
            $last = $at;
        }
        if ($kept !== [] && !$this->storage->append('open', $lines)) {
            foreach ($kept as $key => $times) {
                $dropped = self::sum($dropped, [$key => [count($times), $times[0]]]);
            }
        } elseif ($kept !== []) {
            $tallies->save($shares->bytes());
        }
        $this->seen['oldest'] = $head['oldest'] ?? ($kept === [] ? null : min(array_map('min', $kept)));
        return $dropped === [] || (new Drops($this->storage))->add($dropped) ? [] : $dropped;
    }

    /**
     * What the room is used for, and who may take more of it.
     *
     * @param string $lines what is about to be appended besides
     * @return array{0: Tallies, 1: Shares}
     */
    private function shares(array $head, string $lines = ''): array
    {
        $segment = $this->storage->size('segment');
        $this->seen['hasSegment'] = $segment !== null;
        $used = $head['size'] + (int) $segment + strlen($lines);
        $tallies = new Tallies($this->storage, $this, $head, $segment !== null);
        $tally = static fn (): array => Shares::sum($tallies->load(), Shares::tally($lines));
        return [$tallies, new Shares($this->bytesMax, $used, $tally)];
    }

    /**
     * Sets what `open` has from a clock that was ahead to the present.
     *
     * @return array the head of the file then; the same as before where it cannot be written
     */
    private function startAnew(array $head, int $now): array
    {
        $floor = max($now, self::bounded(State::peek($this->storage)['through'], $now) + 1);
        $lines = explode("\n", (string) $this->storage->read('open', $head['begin']));
        foreach ($lines as $i => $line) {
            if (preg_match('/^(\d+) \{/', $line, $m) === 1 && (int) $m[1] > $now + Limits::CLOCK_BACK_MS) {
                $line = substr($line, strlen($m[1]));
                $lines[$i] = $floor . preg_replace('/"at":\d+/', "\"at\":$floor", $line, 1);
            }
        }
        $floor = min($head['floor'], $floor);
        $text = self::GUARD . $head['number'] . " $floor\n" . implode("\n", $lines);
        return $this->storage->write('open', $text, false) ? $this->look('open') ?? $head : $head;
    }

    private static function line(int $at, array $signal): ?string
    {
        $fields = ['type' => $signal['type'], 'at' => $at] + $signal;
        $json = json_encode($fields, JSON_UNESCAPED_SLASHES | JSON_PRESERVE_ZERO_FRACTION);
        return $json === false ? null : "$at $json\n";
    }

    /**
     * Starts `open` where there is none: a new spool, or a rotation that died between its two names. Of one whose beginning is damaged
     * the lines are kept.
     */
    private function begin(): ?array
    {
        $segment = $this->look('segment');
        $now = $this->clock->nowMs();
        if ($segment !== null) {
            $number = $segment['number'] + 1;
            $floor = max(self::bounded($segment['last'], $now), self::bounded($segment['floor'], $now), $now) + 1;
        } else {
            $state = State::peek($this->storage);
            $number = $state['done'] + 1;
            $floor = max(self::bounded($state['through'], $now) + 1, 0);
        }
        $lines = self::linesOf((string) $this->storage->read('open'));
        if (preg_match('/^\d+/', $lines, $first) === 1) {
            $floor = min($floor, (int) $first[0]);
        }
        return $this->storage->write('open', self::GUARD . "$number $floor\n$lines", false) ? $this->look('open') : null;
    }

    /** What a damaged file has of lines of signals, torn ones among them. */
    public static function linesOf(string $text): string
    {
        $lines = preg_grep('/\{"type":"/', explode("\n", $text)) ?: [];
        return implode('', array_map(static fn (string $line): string => "$line\n", $lines));
    }

    /**
     * What `head` says, `at` of the first line (null where there is none) as `oldest` and of the last one, or the floor, as `last`; and
     * whether the last line lacks its end. One look at the file.
     */
    private function look(string $file): ?array
    {
        $ends = $this->storage->ends($file, strlen(self::GUARD) + 2 * self::HEAD_BYTES_MAX, 2 * Limits::LINE_BYTES_MAX);
        $head = self::headOf($ends);
        if ($ends === null || $head === null) {
            return null;
        }
        $head['oldest'] = preg_match('/\G(\d+) /', $ends['head'], $first, 0, $head['begin']) === 1 ? (int) $first[1] : null;
        $text = (string) substr($ends['tail'], max(0, $head['begin'] - $ends['size'] + strlen($ends['tail'])));
        $head['isTorn'] = $text !== '' && substr($text, -1) !== "\n";
        $lines = explode("\n", $text);
        for ($i = count($lines) - 2; $i >= 0; $i--) {
            if (preg_match('/^(\d+) \{/', $lines[$i], $m) === 1) {
                return $head + ['last' => (int) $m[1]];
            }
        }
        return $head + ['last' => $head['floor']];
    }

    private function rotateLocked(): ?array
    {
        $head = $this->look('open') ?? $this->begin();
        if ($head === null) {
            return null;
        }
        $now = $this->clock->nowMs();
        if ($head['last'] > $now + Limits::CLOCK_BACK_MS) {
            $head = $this->startAnew($head, $now);
        }
        $through = max($now, self::bounded($head['last'], $now), self::bounded($head['floor'], $now));
        $hasSegment = $head['size'] > $head['begin'];
        $number = $head['number'] + ($hasSegment ? 1 : 0);
        $next = self::GUARD . $number . ' ' . ($through + 1) . "\n";
        if (!$this->storage->write('next', $next, false)) {
            return null;
        }
        if ($hasSegment && !$this->storage->rename('open', 'segment')) {
            return null;
        }
        $this->storage->rename('next', 'open');
        $this->seen = null;
        return ['number' => $head['number'], 'through' => $through, 'hasSegment' => $hasSegment];
    }
}
