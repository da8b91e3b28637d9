<?php

declare(strict_types=1);

namespace Logystera;

/**
 * What a sender remembers between flushes: the file `state`, replaced whole under the lock `flush`. Its absence means
 * a spool that was never flushed, or one whose state was lost: then a new spool id is drawn, and what lies in the
 * files goes out under it.
 */
final class State
{
    /** @var array<string, mixed> */
    public $values;
    /** @var Health */
    public $health;

    /** Values of a spool that was never flushed. */
    private const FRESH = [
        // 16 hex digits, and the number of the newest batch.
        'spool' => '', 'seq' => 0,
        // Whose spool it is: see Owner.
        'owner' => [],
        // What was spoken for; number of the newest segment that is done; where the next batch begins in the one
        // after it, 0 at its beginning; the generation of dropped counts that was told.
        'through' => -1, 'done' => 0, 'offset' => 0, 'told' => 0,
        // The claimed batch: see Claims. Signals that a batch may have at most, after one was too large.
        'batch' => null, 'limit' => Limits::BATCH_SIGNALS_MAX,
        // Counts of what was dropped after it was taken in, and of all times; a batch tells the former.
        'untold' => [], 'lost' => [],
        // The same by day, for the operator: see Losses.
        'losses' => [],
        'clock_offset_ms' => 0, 'health' => [],
        // Times in ms by the site's clock, 0 for never.
        'next_try_at' => 0, 'claimed_at' => 0, 'succeeded_at' => 0, 'tried_at' => 0, 'cron_at' => 0,
        // When a new spool was drawn last because somebody else had used the numbers.
        'renewed_at' => 0,
        // Whether the gateway closed the site; the last answer, for the operator; signals that were taken.
        'closed' => false, 'last_answer' => [], 'accepted' => 0,
    ];

    private function __construct(array $values)
    {
        $this->values = self::checked($values);
        $this->health = Health::fromArray($this->values['health']);
    }

    /** What was read, and the fresh value in place of each that is none of its kind: a damaged file must not end every flush. */
    private static function checked(array $values): array
    {
        $checked = self::FRESH;
        foreach (self::FRESH as $key => $fresh) {
            $value = $values[$key] ?? $fresh;
            $isGood = gettype($value) === gettype($fresh) && (!is_int($value) || $value >= min($fresh, 0) || $key === 'clock_offset_ms');
            $checked[$key] = $isGood ? $value : $fresh;
        }
        $checked['batch'] = self::checkedBatch($values['batch'] ?? null);
        $checked['untold'] = Spool::counts($checked['untold']);
        $checked['lost'] = Spool::counts($checked['lost']);
        $checked['losses'] = Losses::checked($checked['losses']);
        $checked['health'] = array_filter($checked['health'], 'is_scalar');
        $checked['last_answer'] = array_filter($checked['last_answer'], 'is_scalar');
        $bound = Limits::CLOCK_OFFSET_MS_MAX;
        $checked['clock_offset_ms'] = max(-$bound, min($bound, $checked['clock_offset_ms']));
        if (preg_match('/^[0-9a-f]{16}$/D', $checked['spool']) !== 1 || !is_int($values['seq'] ?? null) || $values['seq'] < 0) {
            // Numbers that were used must not be used again: another spool is drawn.
            [$checked['spool'], $checked['seq']] = ['', 0];
        }
        return $checked;
    }

    /** @param mixed $batch @return array<string, mixed>|null */
    private static function checkedBatch($batch): ?array
    {
        $batch = is_array($batch) ? $batch : [];
        foreach (['seq', 'count', 'number', 'from', 'to', 'oldest'] as $key) {
            if (!is_int($batch[$key] ?? null) || $batch[$key] < 0) {
                return null;
            }
        }
        if (
            !in_array($batch['encoding'] ?? null, ['gzip', 'identity'], true) || !is_string($batch['digest'] ?? null)
            || !is_int($batch['through_before'] ?? null)
        ) {
            return null;
        }
        // A claim of an older version does not say whether it was tried: it may have been.
        $batch['tried'] = is_bool($batch['tried'] ?? null) ? $batch['tried'] : true;
        $batch['counts'] = Spool::counts($batch['counts'] ?? null, '/^[a-z._]+$/D');
        $batch['told'] = Spool::counts($batch['told'] ?? null);
        return $batch;
    }

    public static function load(Storage $storage): self
    {
        $values = json_decode((string) $storage->read('state', strlen(Spool::GUARD)), true);
        return new self(is_array($values) ? $values : []);
    }

    /** The values of which appenders need some, without the lock: they only grow. */
    public static function peek(Storage $storage): array
    {
        return self::load($storage)->values;
    }

    /** Of those values the one that each page in a full spool needs, read from the text: the rest of it is nothing to a page. */
    public static function told(Storage $storage): int
    {
        return preg_match('/"told":(\d+)[,}]/', (string) $storage->read('state', strlen(Spool::GUARD)), $m) === 1 ? (int) $m[1] : 0;
    }

    /** Whether a flush now would do more than wait. */
    public function isDue(int $now): bool
    {
        return !$this->values['closed'] && $this->waitMs($now) === 0;
    }

    /** Until the next try, in milliseconds. A clock that went back does not make a longer pause than any. */
    public function waitMs(int $now): int
    {
        $wait = $this->values['next_try_at'] - $now;
        return $wait > Limits::PAUSE_MS_MAX ? 0 : max(0, $wait);
    }

    /** Puts it on disk, synced. */
    public function save(Storage $storage): bool
    {
        $this->values['health'] = $this->health->toArray();
        return $storage->write('state', Spool::GUARD . json_encode($this->values, JSON_UNESCAPED_SLASHES), true);
    }

    /** Adds to what was dropped and is to be told. */
    public function lose(array $counts): void
    {
        $this->values['untold'] = Spool::sum($this->values['untold'], $counts);
        $this->note($counts);
    }

    /** Keeps for the operator what was dropped. */
    public function note(array $counts): void
    {
        $this->values['lost'] = Spool::sum($this->values['lost'], $counts);
        $this->values['losses'] = Losses::add($this->values['losses'], $counts);
    }
}
