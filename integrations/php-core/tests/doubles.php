<?php

/** Doubles of the clock, of chance, of the folder and of the gateway. */

declare(strict_types=1);

namespace Logystera\Tests;

use Logystera\Answer;
use Logystera\Clock;
use Logystera\DiskFiles;
use Logystera\Files;
use Logystera\FileStorage;
use Logystera\Ledger;
use Logystera\Randomness;
use Logystera\Spool;
use Logystera\Storage;
use Logystera\Transport;

final class FakeClock implements Clock
{
    public $now = 1767225600000;

    public function nowMs(): int
    {
        return $this->now;
    }

    public function monotonicMs(): int
    {
        return $this->now;
    }
}

/** The same bytes in the same order every time; the largest delays. */
final class FakeRandomness implements Randomness
{
    public $drawn = 0;

    public function bytes(int $count): string
    {
        return substr(hash('sha256', (string) $this->drawn++, true), 0, $count);
    }

    public function upTo(int $max): int
    {
        return $max;
    }
}

/** The process dies at the n-th change of the disk. */
final class Crash extends \RuntimeException
{
}

/** A folder that crashes the process before or after its n-th change, or has no room. */
final class FragileStorage implements Storage
{
    private $inner;
    public $changesLeft = PHP_INT_MAX;
    public $isFull = false;
    /** @var bool nothing can be written at all, not even what was dropped */
    public $isOutOfRoom = false;
    /** @var string a file that cannot be written */
    public $failsToWrite = '';
    /** @var string[] what was asked of it, `append open` */
    public $asked = [];

    public function __construct(string $folder)
    {
        $this->inner = new FileStorage($folder);
    }

    public function lock(string $name, bool $waits)
    {
        $this->asked[] = "lock $name";
        return $this->inner->lock($name, $waits);
    }

    public function unlock($lock): void
    {
        $this->inner->unlock($lock);
    }

    public function read(string $name, int $offset = 0, int $length = PHP_INT_MAX): ?string
    {
        $this->asked[] = "read $name";
        return $this->inner->read($name, $offset, $length);
    }

    public function ends(string $name, int $headBytes, int $tailBytes): ?array
    {
        $this->asked[] = "ends $name";
        return $this->inner->ends($name, $headBytes, $tailBytes);
    }

    public function size(string $name): ?int
    {
        $this->asked[] = "size $name";
        return $this->inner->size($name);
    }

    public function writtenAt(string $name): ?int
    {
        $this->asked[] = "writtenAt $name";
        return $this->inner->writtenAt($name);
    }

    public function append(string $name, string $bytes): bool
    {
        $this->asked[] = "append $name";
        $this->change();
        return !$this->isFull && !$this->isOutOfRoom && $this->inner->append($name, $bytes);
    }

    public function grow(string $name, string $head, callable $bytes): bool
    {
        $this->asked[] = "grow $name";
        $this->change();
        return !$this->isFull && !$this->isOutOfRoom && $this->inner->grow($name, $head, $bytes);
    }

    public function write(string $name, string $bytes, bool $durably): bool
    {
        $this->asked[] = "write $name";
        $this->change();
        return !$this->isOutOfRoom && $name !== $this->failsToWrite && $this->inner->write($name, $bytes, false);
    }

    public function rename(string $from, string $to): bool
    {
        $this->asked[] = "rename $from";
        $this->change();
        return $this->inner->rename($from, $to);
    }

    public function delete(string $name): void
    {
        $this->asked[] = "delete $name";
        $this->change();
        $this->inner->delete($name);
    }

    public function identity(): string
    {
        return $this->inner->identity();
    }

    private function change(): void
    {
        if ($this->changesLeft-- <= 0) {
            throw new Crash('crash');
        }
    }
}

/** The counts of what no disk took, kept elsewhere. */
final class FakeLedger implements Ledger
{
    /** @var array<string, array{0: int, 1: int}> */
    public $kept = [];

    public function add(array $counts): void
    {
        $this->kept = Spool::sum($this->kept, $counts);
    }

    public function counts(): array
    {
        return $this->kept;
    }

    public function take(array $counts): void
    {
        foreach ($counts as $key => [$count]) {
            $this->kept[$key][0] -= $count;
        }
        $this->kept = array_filter($this->kept, static fn (array $c): bool => $c[0] > 0);
    }
}

/** A gateway that knows each batch once, or answers what it is told to. */
final class FakeGateway implements Transport
{
    /** @var FakeClock */
    private $clock;
    /** @var Answer[] what it says next, before it goes back to taking batches */
    public $script = [];
    /** @var array<string, string> body by batch id */
    public $taken = [];
    /** @var array<int, array{id: string, bytes: string, ts: int, timeoutMs: int}> */
    public $tries = [];
    /** @var int how far its clock is ahead */
    public $aheadMs = 0;
    /** @var bool it is of a version that does not say whether it compared a duplicate's bytes */
    public $isOld = false;
    /** @var bool the answer to the next batch is lost */
    public $losesAnswer = false;
    /** @var callable|null looks on when a try arrives */
    public $onTry = null;
    /** @var bool signatures are looked at */
    public $dsn = null;

    public function __construct(FakeClock $clock)
    {
        $this->clock = $clock;
    }

    public function post(string $url, array $headers, string $body, int $timeoutMs): Answer
    {
        $pattern = '/^v1 site=(\S+?),key=(\S+?),ts=(\d{10}),batch=([0-9a-f]{16}\.[1-9]\d*),sig=([0-9a-f]{64})$/D';
        if (preg_match($pattern, $headers['Logystera-Signature'], $m) !== 1) {
            throw new \RuntimeException('no signature');
        }
        $encoding = $headers['Content-Encoding'] ?? 'identity';
        $this->tries[] = ['id' => $m[4], 'bytes' => $body, 'ts' => (int) $m[3], 'timeoutMs' => $timeoutMs];
        if ($this->onTry !== null) {
            ($this->onTry)();
        }
        if ($this->script !== []) {
            return array_shift($this->script);
        }
        $plain = $encoding === 'gzip' ? (string) gzdecode($body) : $body;
        $known = $this->taken[$m[4]] ?? null;
        if ($known !== null) {
            return $this->again($m[4], $known === $plain);
        }
        $this->taken[$m[4]] = $plain;
        if ($this->losesAnswer) {
            $this->losesAnswer = false;
            return new Answer(0);
        }
        return $this->answer(202);
    }

    /** What it says of an id that it has: it compares the newest 64 of a spool, and knows the newest 1,024. */
    private function again(string $id, bool $isSame): Answer
    {
        [$spool, $seq] = explode('.', $id);
        $isNewer = static fn ($other): bool => strpos((string) $other, "$spool.") === 0 && (int) substr((string) $other, 17) > (int) $seq;
        $newer = count(array_filter(array_keys($this->taken), $isNewer));
        if ($newer < 64 && !$isSame) {
            return $this->answer(409, 'conflict');
        }
        if ($newer >= 64 && !$this->isOld) {
            return $this->answer(409, $newer < 1024 ? 'conflict' : 'below_window');
        }
        return $this->answer(200, 'duplicate', null, $newer < 64 && !$this->isOld ? ['same' => true] : []);
    }

    public function answer(int $status, string $code = '', ?string $retryAfter = null, array $more = []): Answer
    {
        $body = ['server_time' => $this->clock->now + $this->aheadMs] + ($code === '' ? [] : ['code' => $code]) + $more;
        return new Answer($status, (string) json_encode($body), $retryAfter);
    }

    /** All signals that were taken, in the order of their batches. */
    public function signals(): array
    {
        $signals = [];
        foreach ($this->taken as $body) {
            $signals = array_merge($signals, json_decode($body, true)['signals']);
        }
        return $signals;
    }
}

/** Each look at it takes so many milliseconds. */
final class SlowClock implements Clock
{
    public $stepMs = 0;
    private $now = 0;

    public function nowMs(): int
    {
        return time() * 1000;
    }

    public function monotonicMs(): int
    {
        return $this->now += $this->stepMs;
    }
}

/** Counts what is asked of the disk, and cannot read or list what it is told not to. */
final class CountedFiles implements Files
{
    public $looks = 0;
    public $reads = 0;
    public $closed = [];
    private $inner;

    public function __construct()
    {
        $this->inner = new DiskFiles();
    }

    public function real(string $path): string
    {
        return $this->inner->real($path);
    }

    public function names(string $folder, int $max): ?array
    {
        return in_array(basename($folder), $this->closed, true) ? null : $this->inner->names($folder, $max);
    }

    public function look(string $path): ?array
    {
        $this->looks++;
        $isClosed = array_intersect(explode('/', dirname($path)), $this->closed) !== [];
        return $isClosed ? null : $this->inner->look($path);
    }

    public function text(string $path, int $bytesMax): ?string
    {
        $this->reads++;
        return in_array(basename($path), $this->closed, true) ? null : $this->inner->text($path, $bytesMax);
    }
}
