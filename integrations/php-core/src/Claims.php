<?php

declare(strict_types=1);

namespace Logystera;

/**
 * Cuts batches from the segment, fixes their id and bytes on disk, and settles them. Everything here is done by the
 * one process that has the lock `flush`.
 *
 * A claimed batch lies in `batch`, and `State` has under `batch`: its number `seq`, `encoding`, the bytes' `digest`,
 * `count` of signals, the segment's `number` (0 for none) with the batch's place in it `from`, `to`, `counts` of its
 * signals by type, the dropped counts that it has `told`, its `oldest` signal's time, `through_before`, and whether it was
 * `tried`: set on disk before the first try, so that an answer to that one is known as such. The state
 * is saved after the bytes, so that a crash leaves either no claim or a whole one.
 */
final class Claims
{
    /** @var Storage */
    private $storage;
    /** @var Spool */
    private $spool;
    /** @var Clock */
    private $clock;
    /** @var int|null time before which signals are given up, as `expire` set it for this flush */
    private $tooOld = null;

    public function __construct(Storage $storage, Spool $spool, Clock $clock)
    {
        $this->storage = $storage;
        $this->spool = $spool;
        $this->clock = $clock;
    }

    /**
     * Claims the next batch: what waits, or with $speaks an empty one where nothing does.
     *
     * @return bool|null whether there is a batch now; null where one would be and the folder cannot be written
     */
    public function claim(State $state, Frame $frame, bool $speaks): ?bool
    {
        // Once for a segment that turns out to hold nothing to send, once for the one after it.
        for ($try = 0; $try < 2; $try++) {
            $segment = $this->segment($state);
            if ($segment === null) {
                $hasDropped = $state->values['untold'] !== []
                    || $this->spool->dropped($state->values['told'])['counts'] !== [];
                if ($this->spool->oldestOpen() === null && !$hasDropped && !$speaks) {
                    return false;
                }
                $rotated = $this->spool->rotate();
                if ($rotated === null) {
                    return null;
                }
                if (!$rotated['hasSegment']) {
                    return $this->fix($state, $frame, Cut::none(), null) ? true : null;
                }
                $segment = $this->segment($state);
                if ($segment === null) {
                    return null;
                }
            }
            $cut = $this->cut($state, $segment);
            $state->lose($cut->lost);
            if ($cut->signals !== []) {
                return $this->fix($state, $frame, $cut, $segment) ? true : null;
            }
            $this->finish($state, $segment['number']);
        }
        return false;
    }

    /** The bytes of the claimed batch; null where they are not those that were claimed. */
    public function bytes(State $state): ?string
    {
        $bytes = $this->storage->read('batch', strlen(Spool::GUARD));
        $digest = $state->values['batch']['digest'] ?? '';
        return $bytes !== null && hash('sha256', $bytes) === $digest ? $bytes : null;
    }

    /**
     * Notes durably that the claimed batch is about to be tried.
     *
     * @return bool|null whether it is its first try; null where that cannot be noted, and it must not be sent
     */
    public function mark(State $state): ?bool
    {
        // A claim of an older version does not say: it may have been tried.
        if ($state->values['batch']['tried'] ?? true) {
            return false;
        }
        $state->values['batch']['tried'] = true;
        return $state->save($this->storage) ? true : null;
    }

    /** Ends the claimed batch: it got a final answer, or its signals are given up. */
    public function settle(State $state): void
    {
        $batch = $state->values['batch'];
        $state->values['batch'] = null;
        $state->values['limit'] = Limits::BATCH_SIGNALS_MAX;
        $size = (int) $this->storage->size('segment');
        if ($batch['number'] > $state->values['done'] && $batch['to'] >= $size) {
            $this->finish($state, $batch['number']);
        } else {
            $state->values['offset'] = $batch['number'] > 0 ? $batch['to'] : $state->values['offset'];
            $state->save($this->storage);
        }
        // The operator can look at what was sent last.
        $this->storage->rename('batch', 'last');
    }

    /** Takes a claim back: the signals go out under another id. Its number stays used. */
    public function unclaim(State $state): void
    {
        $batch = $state->values['batch'];
        $state->values['batch'] = null;
        $state->values['through'] = $batch['through_before'];
        $state->values['untold'] = Spool::sum($state->values['untold'], $batch['told']);
        if ($batch['number'] > 0) {
            $state->values['offset'] = $batch['from'];
        }
        $state->save($this->storage);
    }

    /** Counts signals that are too old as dropped, also while nothing can be sent. */
    public function expire(State $state): void
    {
        $tooOld = $this->tooOld = $this->expiresBefore($state);
        $batch = $state->values['batch'];
        if ($batch !== null && $batch['count'] > 0 && $batch['oldest'] < $tooOld) {
            $state->lose(self::reasoned($batch['counts'], 'expired'));
            $state->values['untold'] = Spool::sum($state->values['untold'], $batch['told']);
            $this->settle($state);
        }
        while ($state->values['batch'] === null) {
            $segment = $this->segment($state);
            if ($segment === null) {
                $oldest = $this->spool->oldestOpen();
                if ($oldest === null || $oldest >= $tooOld || $this->spool->rotate() === null) {
                    return;
                }
                continue;
            }
            $cut = $this->cut($state, $segment);
            if ($cut->lostBefore === []) {
                return;
            }
            $state->lose($cut->lostBefore);
            if ($cut->signals === []) {
                $this->finish($state, $segment['number']);
                continue;
            }
            $state->values['offset'] = $cut->from;
            $state->save($this->storage);
            return;
        }
    }

    /** `type|reason` => counts, of a batch's counts by type. Reports are not among those: a lost report makes no other. */
    public static function reasoned(array $counts, string $reason): array
    {
        $reasoned = [];
        foreach ($counts as $type => $count) {
            $reasoned["$type|$reason"] = $count;
        }
        return $reasoned;
    }

    /** The segment that is not done. One that is done was to be deleted by a process that died. */
    private function segment(State $state): ?array
    {
        $segment = $this->spool->head('segment');
        if ($segment === null && $this->storage->size('segment') !== null) {
            $this->giveUp($state);
        }
        if ($segment !== null && $segment['number'] <= $state->values['done']) {
            $this->storage->delete('segment');
            return null;
        }
        return $segment;
    }

    /** A segment whose beginning is damaged: nobody knows which of its lines were sent. They are counted, and it goes. */
    private function giveUp(State $state): void
    {
        $text = Spool::linesOf((string) $this->storage->read('segment', $state->values['offset']));
        $state->lose(Cut::torn($text));
        $this->finish($state, max($state->values['done'], ($this->spool->head('open')['number'] ?? 1) - 1));
    }

    private function finish(State $state, int $number): void
    {
        $state->values['done'] = $number;
        $state->values['offset'] = 0;
        // On disk before the segment goes: else a crash in between would lose the count of what could not be sent.
        if ($state->save($this->storage)) {
            $this->storage->delete('segment');
        }
    }

    /** Time before which signals are too old; 0 where the clock may be wrong and expires nothing. */
    private function expiresBefore(State $state): int
    {
        $now = $this->clock->nowMs();
        $seen = max($state->values['claimed_at'], $state->values['tried_at']);
        $isJump = $seen > 0 && $now - $seen > Limits::CLOCK_JUMP_MS;
        return $isJump ? 0 : $now - Limits::SIGNAL_AGE_MS_MAX;
    }

    private function cut(State $state, array $segment): Cut
    {
        $from = max($state->values['offset'], $segment['begin']);
        $text = (string) $this->storage->read('segment', $from);
        $tooOld = $this->tooOld ?? $this->expiresBefore($state);
        $now = $this->clock->nowMs();
        // What was recorded by a clock that has gone back since happened before all that `open` has.
        $latest = min($now, Spool::bounded(($this->spool->head('open')['floor'] ?? $now + 1) - 1, $now));
        return Cut::of($text, $from, $state->values['limit'], $tooOld, $now, $latest);
    }

    private function fix(State $state, Frame $frame, Cut $cut, ?array $segment): bool
    {
        if ($this->spool->head('open') === null) {
            $this->spool->append([]);
        }
        $open = $this->spool->head('open');
        if ($open === null) {
            return false;
        }
        // Nobody may add to the dropped counts between their being read and their generation's being told. Where
        // there are none, no page waits for our disk.
        $tells = $cut->nextAt === null && $this->spool->dropped($state->values['told'])['counts'] !== [];
        $lock = $tells ? $this->storage->lock('lock', true) : null;
        try {
            $dropped = $tells ? $this->spool->dropped($state->values['told']) : null;
            return $this->fixBytes($state, $frame, $cut, $segment, $open['floor'] - 1, $dropped);
        } finally {
            if ($lock !== null) {
                $this->storage->unlock($lock);
            }
        }
    }

    private function fixBytes(
        State $state,
        Frame $frame,
        Cut $cut,
        ?array $segment,
        int $end,
        ?array $dropped
    ): bool {
        $values = &$state->values;
        $now = $this->clock->nowMs();
        $spokenFor = $cut->nextAt === null ? Spool::bounded($end, $now) : $cut->nextAt - 1;
        $through = max(Spool::bounded($values['through'], $now), $spokenFor, $cut->newest - 1);
        [$signals, $told] = [$cut->signals, []];
        if ($cut->nextAt === null) {
            $counts = Spool::sum($values['untold'], $dropped['counts'] ?? []);
            if ($counts !== [] && count($signals) + count($counts) <= Limits::BATCH_SIGNALS_MAX) {
                $told = $counts;
                $signals = array_merge($signals, self::reports($counts, $through));
                $state->note($dropped['counts'] ?? []);
                $values['untold'] = [];
                $values['told'] = $dropped['generation'] ?? $values['told'];
            }
        }
        $body = $frame->body($through, $values['clock_offset_ms'], $signals);
        $isPacked = strlen($body) >= Limits::GZIP_BYTES_MIN && function_exists('gzencode');
        $bytes = $isPacked ? (string) gzencode($body) : $body;
        if (!$this->storage->write('batch', Spool::GUARD . $bytes, true)) {
            return false;
        }
        $values['batch'] = [
            'seq' => ++$values['seq'], 'encoding' => $isPacked ? 'gzip' : 'identity', 'digest' => hash('sha256', $bytes),
            'count' => count($signals), 'number' => $segment['number'] ?? 0, 'from' => $cut->from, 'to' => $cut->to,
            'counts' => $cut->counts, 'told' => $told, 'oldest' => $cut->oldest ?? $through,
            'through_before' => $values['through'], 'tried' => false,
        ];
        $values['through'] = $through;
        $values['claimed_at'] = $now;
        return $state->save($this->storage);
    }

    /** @return string[] the signals that tell what was dropped */
    private static function reports(array $counts, int $at): array
    {
        $signals = [];
        foreach ($counts as $key => [$count, $since]) {
            [$type, $reason] = explode('|', $key);
            $signals[] = (string) json_encode([
                'type' => 'integration.dropped', 'at' => $at, 'dropped_type' => $type,
                'count' => min($count, Limits::DROPPED_COUNT_MAX), 'since' => max(0, $since), 'reason' => $reason,
            ]);
        }
        return $signals;
    }
}
