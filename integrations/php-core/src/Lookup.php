<?php

declare(strict_types=1);

namespace Logystera;

/**
 * What the hashes stand for: on the site, for its operator, and nowhere else. New meanings are appended to
 * `meanings`, a line each, and merged into `lookup` from cron. It holds names, addresses, file names and shapes of
 * messages; never a setting's value.
 */
final class Lookup
{
    /** Longest value that is compared with the next one, in bytes. */
    private const LAST_BYTES_MAX = 1024;

    /** @var Storage */
    private $storage;
    /** @var Clock */
    private $clock;
    /** @var Hasher */
    private $hasher;
    /** @var array<string, array<string, string>> lines of this request, by kind and hash */
    private $pending = [];
    /** @var array<string, array{0: string, 1: string|null, 2: string}|null> what was hashed last, by kind: one actor makes many changes */
    private $last = [];
    /** @var int bytes of settings' values that were written out since then, and that time in ms */
    private $valueBytes = 0;
    /** @var int */
    private $since = 0;

    public function __construct(Storage $storage, Clock $clock, Hasher $hasher)
    {
        $this->storage = $storage;
        $this->clock = $clock;
        $this->hasher = $hasher;
    }

    /**
     * The hash of $value, whose meaning is kept: the value itself, or what $meaning says of one that must not be kept.
     */
    public function hash(string $kind, string $value, ?string $meaning = null): string
    {
        if (($this->last[$kind][0] ?? null) === $value && $this->last[$kind][1] === $meaning) {
            return $this->last[$kind][2];
        }
        $hash = $this->hasher->hash($kind, $value);
        $this->last[$kind] = strlen($value) <= self::LAST_BYTES_MAX ? [$value, $meaning, $hash] : null;
        if (!isset($this->pending[$kind][$hash]) && count($this->pending[$kind] ?? []) >= Limits::LOOKUP_WRITE_ENTRIES_MAX) {
            return $hash;
        }
        $seen = intdiv($this->clock->nowMs(), 1000);
        $this->pending[$kind][$hash] = "$hash\t$seen\t$kind\t" . self::text($meaning ?? $value) . "\n";
        return $hash;
    }

    /** A meaning as one line has it. */
    private static function text(string $meaning): string
    {
        $text = ctype_print($meaning) ? $meaning : (string) preg_replace('/[\x00-\x1f\x7f]+/', ' ', $meaning);
        if (strlen($text) <= Limits::MEANING_CHARS_MAX) {
            return $text;
        }
        return function_exists('mb_strcut') ? mb_strcut($text, 0, Limits::MEANING_CHARS_MAX, 'UTF-8')
            : substr($text, 0, Limits::MEANING_CHARS_MAX);
    }

    /**
     * The hash of a setting's value. Null where a request, or a minute of a process that runs for longer, changes more than is hashed in
     * it: what is beyond is not even written out, so that large values cost a page no more than small ones.
     *
     * @param callable(): string $write writes the value out
     */
    public function value(callable $write, string $meaning): ?string
    {
        $now = $this->clock->nowMs();
        if ($now - $this->since >= Limits::REQUEST_MS_MAX || $now < $this->since) {
            [$this->valueBytes, $this->since] = [0, $now];
        }
        if ($this->valueBytes >= Limits::REQUEST_VALUE_BYTES_MAX) {
            return null;
        }
        $value = $write();
        $this->valueBytes += strlen($value);
        return $this->valueBytes > Limits::REQUEST_VALUE_BYTES_MAX ? null : $this->hash(Hasher::VALUE, $value, $meaning);
    }

    /**
     * Puts this request's meanings on disk. Where too many wait, they are left out: they come again with their
     * signals.
     */
    public function write(): void
    {
        if ($this->pending === []) {
            return;
        }
        $first = [Hasher::USER => 1, Hasher::ADDRESS => 1];
        $join = static fn (array $kinds): string => implode('', array_map('implode', $kinds));
        [$lines, $others] = [$join(array_intersect_key($this->pending, $first)), $join(array_diff_key($this->pending, $first))];
        [$this->pending, $this->last] = [[], []];
        // A full disk may have left the file without its guard: what is appended to that would run as a script, so it begins anew.
        $this->storage->grow('meanings', Spool::GUARD, static function (int $bytes) use ($lines, $others): string {
            $size = $bytes + strlen($lines);
            $isOthers = $size + strlen($others) <= Limits::LOOKUP_PENDING_OTHERS_BYTES_MAX;
            return $size <= Limits::LOOKUP_PENDING_BYTES_MAX ? $lines . ($isOthers ? $others : '') : '';
        });
    }

    /**
     * Merges what waits, if it is worth it: the newest of each hash, not older than 90 days, 20,000 at most. Pages go on
     * appending meanwhile: what is merged has been set aside, as `merging`.
     */
    public function merge(int $bytesMin = Limits::LOOKUP_MERGE_BYTES_MIN): void
    {
        $merge = $this->storage->lock('merge', false);
        if ($merge === null) {
            return;
        }
        // What is there already was left by a process that died.
        if ($this->storage->size('merging') === null && (int) $this->storage->size('meanings') >= $bytesMin) {
            $lock = $this->storage->lock('meanings', true);
            $this->storage->rename('meanings', 'merging');
            if ($lock !== null) {
                $this->storage->unlock($lock);
            }
        }
        if ($this->storage->size('merging') !== null) {
            $this->mergeAside();
        }
        $this->storage->unlock($merge);
    }

    private function mergeAside(): void
    {
        $oldest = intdiv($this->clock->nowMs(), 1000) - Limits::LOOKUP_DAYS_MAX * 86400;
        $entries = array_filter(
            $this->entries(['lookup', 'merging']),
            static fn (array $e): bool => $e['seen'] >= $oldest
        );
        uasort($entries, static fn (array $a, array $b): int => $b['seen'] <=> $a['seen']);
        $text = Spool::GUARD;
        foreach (self::shared($entries) as $hash => $entry) {
            $text .= "$hash\t{$entry['seen']}\t{$entry['kind']}\t{$entry['meaning']}\n";
        }
        if ($this->storage->write('lookup', $text, false)) {
            $this->storage->delete('merging');
        }
    }

    /** Of entries, newest first, as many as there is room for: of each kind its share, and of the rest the newest. */
    private static function shared(array $entries): array
    {
        [$kept, $rest, $counts] = [[], [], []];
        foreach ($entries as $hash => $entry) {
            $counts[$entry['kind']] = ($counts[$entry['kind']] ?? 0) + 1;
            $counts[$entry['kind']] <= Limits::LOOKUP_KIND_ENTRIES ? $kept[$hash] = $entry : $rest[$hash] = $entry;
        }
        return array_slice($kept + $rest, 0, Limits::LOOKUP_ENTRIES_MAX, true);
    }

    /**
     * What a hash stands for.
     *
     * @return array{seen: int, kind: string, meaning: string}|null `seen` in seconds since 1970
     */
    public function find(string $hash): ?array
    {
        return $this->findAll([strtolower(trim($hash))])[0] ?? null;
    }

    /**
     * What several hashes stand for, in their order; null for each that is not known. The store is read once.
     *
     * @param string[] $hashes
     * @return array<int, array{seen: int, kind: string, meaning: string}|null>
     */
    public function findAll(array $hashes): array
    {
        $entries = $hashes === [] ? [] : $this->entries(['lookup', 'merging', 'meanings']);
        return array_map(static fn (string $hash): ?array => $entries[$hash] ?? null, array_values($hashes));
    }

    /**
     * The hashes in a text, which may be a whole alert, each once and in their order. One stands by itself: 32 hex digits of something
     * longer are none.
     *
     * @return string[]
     */
    public static function hashesIn(string $text): array
    {
        preg_match_all('/(?<![0-9a-z])[0-9a-f]{32}(?![0-9a-z])/i', substr($text, 0, Limits::LOOKUP_ASKED_BYTES_MAX), $found);
        return array_slice(array_values(array_unique(array_map('strtolower', $found[0]))), 0, Limits::LOOKUP_ASKED_MAX);
    }

    /**
     * Addresses that were seen in the last seconds: where all visitors have one, it is a proxy's. Reads the whole store.
     *
     * @return string[]
     */
    public function sources(int $seconds): array
    {
        $since = intdiv($this->clock->nowMs(), 1000) - $seconds;
        $seen = array_filter(
            $this->entries(['lookup', 'merging', 'meanings']),
            static fn (array $e): bool => $e['kind'] === Hasher::ADDRESS && $e['seen'] >= $since
                && Address::canonical($e['meaning']) !== null
        );
        return array_values(array_unique(array_column($seen, 'meaning')));
    }

    /**
     * @param string[] $files older ones first
     * @return array<string, array{seen: int, kind: string, meaning: string}>
     */
    private function entries(array $files): array
    {
        $entries = [];
        foreach ($files as $name) {
            foreach (explode("\n", (string) $this->storage->read($name, strlen(Spool::GUARD))) as $line) {
                $parts = explode("\t", $line, 4);
                if (count($parts) === 4 && strlen($parts[0]) === 32) {
                    $entries[$parts[0]] = ['seen' => (int) $parts[1], 'kind' => $parts[2], 'meaning' => $parts[3]];
                }
            }
        }
        return $entries;
    }
}
