<?php

declare(strict_types=1);

namespace Logystera;

/** What waits in a spool and what was sent last, for who decides when to send and for who looks at it. */
final class Outbox
{
    /** @var Storage */
    private $storage;
    /** @var Clock */
    private $clock;
    /** @var Spool */
    private $spool;

    /** @param Spool|null $spool the one that this process appends to, if it does: what that has just seen is not looked at again */
    public function __construct(Storage $storage, Clock $clock, ?Spool $spool = null)
    {
        $this->storage = $storage;
        $this->clock = $clock;
        $this->spool = $spool ?? new Spool($storage, $clock);
    }

    /**
     * Whether the oldest signal waits for so long, or a heartbeat is due, and a try could be made now. Asked at the end of each
     * request: the state is read only where something waits.
     */
    public function isFlushDue(int $ageMs, int $flushEveryS): bool
    {
        $now = $this->clock->nowMs();
        ['oldest' => $oldest, 'hasSegment' => $hasSegment] = $this->spool->waiting();
        $waits = ($oldest !== null && $now - $oldest >= $ageMs)
            || $hasSegment
            || $now - (int) $this->storage->writtenAt('state') >= $flushEveryS * 1000;
        return $waits && $this->state()->isDue($now);
    }

    /** Whether nobody has been told within the last $ms; tells it by that. A race costs one request more. */
    public function mayKick(int $ms): bool
    {
        $last = (int) substr((string) $this->storage->read('kick', strlen(Spool::GUARD)), 0, 20);
        $now = $this->clock->nowMs();
        if ($now - $last < $ms && $now >= $last) {
            return false;
        }
        return $this->storage->write('kick', Spool::GUARD . $now, false);
    }

    /** Whether the folder takes as much as a page writes. Asked by whoever looks at the state, not by pages. */
    public function isWritable(): bool
    {
        $takes = $this->storage->write('probe', Spool::GUARD . str_repeat("\n", Limits::LINE_BYTES_MAX), false);
        $this->storage->delete('probe');
        return $takes;
    }

    /** Whether signals were lost for want of room on disk, and the gateway does not know yet. */
    public function isDiskLossUntold(): bool
    {
        $state = $this->state();
        $untold = Spool::sum($state->values['untold'], $this->spool->dropped($state->values['told'])['counts']);
        return preg_grep('/\|disk$/D', array_keys($untold)) !== [];
    }

    /** Whether nothing waits here, neither signals nor a batch nor counts that are to be told. */
    public function isEmpty(): bool
    {
        $values = $this->state()->values;
        $waiting = $this->waiting();
        return $values['batch'] === null && $values['untold'] === [] && $waiting['signals'] === 0
            && $this->spool->dropped($values['told'])['counts'] === [];
    }

    public function state(): State
    {
        return State::load($this->storage);
    }

    /** Bytes and signals that wait, and what was dropped: `type|reason` => [count, since]. */
    public function waiting(): array
    {
        $state = $this->state();
        return [
            'bytes' => $this->spool->bytes(),
            'signals' => $this->signalsWaiting($state),
            'dropped' => Spool::sum($state->values['lost'], $this->spool->dropped($state->values['told'])['counts']),
        ];
    }

    /**
     * What was lost, newest first: see Losses.
     *
     * @param array<string, array{0: int, 1: int}> $more counts that somebody else keeps
     * @return array<int, array{since: int, type: string, reason: string, count: int}>
     */
    public function losses(array $more = []): array
    {
        $values = $this->state()->values;
        $untold = $this->spool->dropped($values['told'])['counts'];
        return Losses::shown(Losses::add($values['losses'], Spool::sum($untold, $more)));
    }

    /** The body of the batch that was settled last, exactly as it was sent, uncompressed; empty if there is none. */
    public function lastBatch(): string
    {
        $bytes = (string) $this->storage->read('last', strlen(Spool::GUARD));
        $plain = strncmp($bytes, "\x1f\x8b", 2) === 0 ? gzdecode($bytes) : $bytes;
        return $plain === false ? '' : $plain;
    }

    private function signalsWaiting(State $state): int
    {
        $count = 0;
        foreach (['segment', 'open'] as $name) {
            $head = $this->spool->head($name);
            if ($head !== null && $head['number'] > $state->values['done']) {
                $from = $name === 'segment' ? max($head['begin'], $state->values['offset']) : $head['begin'];
                $count += substr_count((string) $this->storage->read($name, $from), "\n");
            }
        }
        return $count;
    }
}
