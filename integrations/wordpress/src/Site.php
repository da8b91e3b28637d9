<?php

declare(strict_types=1);

namespace Logystera\WordPress;

use Logystera\Clock;
use Logystera\Dispatcher;
use Logystera\Dsn;
use Logystera\FileStorage;
use Logystera\Flushed;
use Logystera\Frame;
use Logystera\Hasher;
use Logystera\Lookup;
use Logystera\Owner;
use Logystera\Recorder;
use Logystera\Spool;
use Logystera\State;
use Logystera\SystemClock;
use Logystera\SystemRandomness;

/** This site's spool and what is done with it: recording, looking up, sending. */
final class Site
{
    /** @var Dsn */
    private $dsn;
    /** @var FileStorage */
    private $storage;
    /** @var Clock */
    private $clock;
    /** @var Recorder */
    public $recorder;
    /** @var Lookup */
    public $lookup;

    /** @param string[] $typesOn */
    private function __construct(Dsn $dsn, string $folder, array $typesOn)
    {
        $this->dsn = $dsn;
        $this->storage = new FileStorage($folder);
        $this->clock = new SystemClock();
        // Where nobody waits for a page, a signal is on disk at once: a job may be killed.
        $isImmediate = wp_doing_cron() || PHP_SAPI === 'cli';
        $spool = new Spool($this->storage, $this->clock);
        $this->recorder = new Recorder($spool, $this->clock, $typesOn, $isImmediate);
        $this->lookup = new Lookup($this->storage, $this->clock, new Hasher(Settings::hashKey()));
    }

    /** The site, if an administrator agreed and there is a folder for the spool. */
    public static function open(): ?self
    {
        $dsn = Settings::dsn();
        $folder = Settings::isAgreed($dsn) ? SpoolFolder::find() : null;
        return $dsn === null || $folder === null ? null : new self($dsn, $folder, Plugin::typesOn());
    }

    /** Sends what waits. $isAsked: an administrator wants an answer now. */
    public function flush(int $budgetMs, bool $isAsked = false): Flushed
    {
        $frame = new Frame('wordpress', VERSION, Plugin::typesOn(), Settings::all()['flush_every_s']);
        $owner = new Owner(home_url(), $this->dsn, (string) gethostname(), $this->storage->identity());
        $dispatcher = new Dispatcher($this->storage, $this->clock, new SystemRandomness(), new WpTransport());
        return $dispatcher->flush($this->dsn, $owner, $frame, $budgetMs, $isAsked);
    }

    /**
     * Whether the oldest signal waits for so long, or a heartbeat is due, and a try could be made now. Asked at the end of each
     * request: the state is read only where something waits.
     */
    public function isFlushDue(int $ageMs): bool
    {
        $now = $this->clock->nowMs();
        $oldest = (new Spool($this->storage, $this->clock))->oldestOpen();
        $waits = ($oldest !== null && $now - $oldest >= $ageMs)
            || $this->storage->size('segment') !== null
            || $now - (int) $this->storage->writtenAt('state') >= Settings::all()['flush_every_s'] * 1000;
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

    public function state(): State
    {
        return State::load($this->storage);
    }

    /** Bytes that wait, and what found no room and was not told yet. */
    public function waiting(): array
    {
        $spool = new Spool($this->storage, $this->clock);
        $state = $this->state();
        return [
            'bytes' => $spool->bytes(),
            'signals' => $this->signalsWaiting($spool, $state),
            'dropped' => Spool::sum($state->values['lost'], $spool->dropped($state->values['told'])['counts']),
        ];
    }

    private function signalsWaiting(Spool $spool, State $state): int
    {
        $count = 0;
        foreach (['segment', 'open'] as $name) {
            $head = $spool->head($name);
            if ($head !== null && $head['number'] > $state->values['done']) {
                $from = $name === 'segment' ? max($head['begin'], $state->values['offset']) : $head['begin'];
                $count += substr_count((string) $this->storage->read($name, $from), "\n");
            }
        }
        return $count;
    }

    /** The body of the batch that was settled last, exactly as it was sent, uncompressed; empty if there is none. */
    public function lastBatch(): string
    {
        $bytes = (string) $this->storage->read('last', strlen(Spool::GUARD));
        $plain = strncmp($bytes, "\x1f\x8b", 2) === 0 ? gzdecode($bytes) : $bytes;
        return $plain === false ? '' : $plain;
    }
}
