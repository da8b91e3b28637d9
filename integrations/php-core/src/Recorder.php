<?php

declare(strict_types=1);

namespace Logystera;

/**
 * Takes a request's signals: checks them against the catalogue, keeps some in memory, and writes them to the spool
 * together, for a write costs a page a lock.
 */
final class Recorder
{
    /** @var Spool */
    private $spool;
    /** @var Clock */
    private $clock;
    /** @var array<string, true> */
    private $enabled;
    /** @var bool whether each signal is written at once: where nobody waits for a page */
    private $isImmediate;
    /** @var array<int, array{0: int, 1: array<string, mixed>, 2: bool}> */
    private $buffer = [];
    /** @var array<string, int> what was taken by type, in this request */
    private $counts = [];
    /** @var array<string, true> digests of what was taken */
    private $seen = [];
    /** @var array<string, array{0: int, 1: array<string, mixed>, 2: bool}> what found no room and is equal to what did, by digest */
    private $repeated = [];
    /** @var int time from which both are counted, in ms */
    private $since = 0;
    /** @var array<string, array{0: int, 1: int}> */
    private $dropped = [];
    /** @var Ledger */
    private $ledger;

    /** @param string[] $enabled signal types that are switched on */
    public function __construct(Spool $spool, Clock $clock, array $enabled, bool $isImmediate, Ledger $ledger)
    {
        $this->ledger = $ledger;
        $this->spool = $spool;
        $this->clock = $clock;
        $this->enabled = array_fill_keys($enabled, true);
        $this->isImmediate = $isImmediate;
    }

    /**
     * Takes a signal. One of a type that is switched off is none. One that is too many for a request is merged with those that are
     * equal to it, if there are any; else, or if the catalogue does not allow it, it is counted as dropped.
     *
     * @param array<string, mixed> $fields
     * @param bool $isVital it passes the bounds that others have: somebody became an administrator
     */
    public function record(string $type, array $fields, bool $isVital = false): void
    {
        if (!isset($this->enabled[$type])) {
            return;
        }
        $now = $this->clock->nowMs();
        $signal = Catalogue::signal($type, $fields);
        $digest = md5((string) json_encode($signal));
        if ($signal === null || !$this->hasRoom($type, $digest, $isVital, $now)) {
            if ($signal === null || !$this->merge($type, $signal, $digest, $isVital, $now)) {
                $this->drop($type, $signal === null ? 'refused' : 'overflow');
            }
            return;
        }
        $this->buffer[] = [$now, $signal, $isVital];
        if ($this->isImmediate || count($this->buffer) >= Limits::BUFFERED_SIGNALS_MAX) {
            $this->write();
        }
    }

    /** Takes nothing more, and forgets what is in memory: the agreement was withdrawn, or the integration is being removed. */
    public function stop(): void
    {
        [$this->enabled, $this->buffer, $this->repeated, $this->dropped] = [[], [], [], []];
    }

    /** Whether no more signals of a type are taken: whoever makes them may spare the work. */
    public function isFull(string $type): bool
    {
        return ($this->counts[$type] ?? 0) >= Limits::REQUEST_SIGNALS_MAX && $this->clock->nowMs() - $this->since < Limits::REQUEST_MS_MAX;
    }

    /** Whether one more signal of a type is taken. One that is not is counted: a flood costs a page one call for each. */
    public function takesOne(string $type): bool
    {
        if (!$this->isFull($type)) {
            return true;
        }
        $this->drop($type, 'overflow');
        return false;
    }

    /** Counts signals that could not be made or taken. $reason: one of the catalogue's. */
    public function drop(string $type, string $reason, int $count = 1): void
    {
        $key = "$type|$reason";
        if (isset($this->dropped[$key])) {
            // A flood costs a page no more than this.
            $this->dropped[$key][0] += $count;
        } elseif (isset($this->enabled[$type])) {
            $this->dropped[$key] = [$count, $this->clock->nowMs()];
        }
    }

    /** Counts a signal on one that is equal to it but for its time, and has found room. */
    private function merge(string $type, array $signal, string $digest, bool $isVital, int $now): bool
    {
        if (!isset($this->seen[$digest], CatalogueData::TYPES[$type][Merge::REPEATS])) {
            return false;
        }
        $this->repeated[$digest] = $this->repeated[$digest] ?? [$now, $signal + [Merge::REPEATS => 0], $isVital];
        $this->repeated[$digest][1][Merge::REPEATS]++;
        return true;
    }

    private function hasRoom(string $type, string $digest, bool $isVital, int $now): bool
    {
        if ($now - $this->since >= Limits::REQUEST_MS_MAX || $now < $this->since) {
            [$this->counts, $this->seen, $this->since] = [[], [], $now];
            $this->flushRepeated();
        }
        $count = $this->counts[$type] ?? 0;
        $max = isset($this->seen[$digest])
            ? Limits::REQUEST_REPEATS_MAX
            : ($isVital ? PHP_INT_MAX : Limits::REQUEST_SIGNALS_MAX);
        if ($count >= $max) {
            return false;
        }
        $this->counts[$type] = $count + 1;
        $this->seen[$digest] = true;
        return true;
    }

    private function flushRepeated(): void
    {
        array_push($this->buffer, ...array_values($this->repeated));
        $this->repeated = [];
    }

    /**
     * Puts on disk what is in memory. What the disk does not take is counted in the ledger.
     *
     * @return bool whether the disk took it
     */
    public function write(): bool
    {
        $this->flushRepeated();
        if ($this->buffer === [] && $this->dropped === []) {
            return true;
        }
        [$signals, $dropped] = [$this->buffer, $this->dropped];
        [$this->buffer, $this->dropped] = [[], []];
        $lost = $this->spool->append($signals, $dropped);
        if ($lost === []) {
            return true;
        }
        try {
            $this->ledger->add($lost);
        } catch (\Throwable $fault) {
            // Not there either: the next write tries again.
            $this->dropped = Spool::sum($this->dropped, $lost);
        }
        return false;
    }

    /**
     * Puts the ledger's counts where the next batch tells them. From the background only: it asks the platform.
     *
     * @return bool whether none is left
     */
    public function recover(): bool
    {
        $counts = $this->ledger->counts();
        if ($counts === []) {
            return true;
        }
        if ($this->spool->append([], $counts) !== []) {
            return false;
        }
        // In this order a crash in between counts them twice, and never loses them.
        $this->ledger->take($counts);
        return true;
    }
}
