<?php

declare(strict_types=1);

namespace Logystera\Tests;

use Logystera\Dispatcher;
use Logystera\Dsn;
use Logystera\Flushed;
use Logystera\Frame;
use Logystera\Outbox;
use Logystera\Owner;
use Logystera\Recorder;
use Logystera\Spool;
use Logystera\State;

/** A site with its spool in a scratch folder, and a gateway. */
final class Site
{
    public const DSN = 'https://site_7qd.k2:' . self::SECRET . '@in.example.com/v1/batches?audience=eu-prod';
    public const SECRET = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f';

    public $clock;
    public $randomness;
    public $storage;
    public $gateway;
    public $ledger;
    public $url = 'https://example.org';
    public $host = 'web1';
    public $dsn = self::DSN;
    public $bytesMax = 4194304;
    private $next = 0;

    public function __construct(?string $folder = null)
    {
        $this->clock = new FakeClock();
        $this->randomness = new FakeRandomness();
        $this->storage = new FragileStorage($folder ?? self::scratch());
        $this->gateway = new FakeGateway($this->clock);
        $this->ledger = new FakeLedger();
    }

    /** @param string[] $enabled */
    public function recorder(array $enabled = ['cron.run'], bool $isImmediate = false): Recorder
    {
        return new Recorder($this->spool(), $this->clock, $enabled, $isImmediate, $this->ledger);
    }

    public static function scratch(): string
    {
        $folder = sys_get_temp_dir() . '/logystera-test-' . bin2hex(random_bytes(6));
        mkdir($folder, 0700);
        register_shutdown_function(static function () use ($folder): void {
            array_map('unlink', glob("$folder/*") ?: []);
            @rmdir($folder);
        });
        return $folder;
    }

    public function spool(): Spool
    {
        return new Spool($this->storage, $this->clock, $this->bytesMax);
    }

    /** Records jobs j0, j1, … in one go. */
    public function record(int $count): void
    {
        $signals = [];
        for ($i = 0; $i < $count; $i++) {
            $signal = ['type' => 'cron.run', 'job' => 'j' . $this->next++, 'outcome' => 'ok'];
            $signals[] = [$this->clock->now, $signal];
        }
        $this->spool()->append($signals);
    }

    public function outbox(): Outbox
    {
        return new Outbox($this->storage, $this->clock);
    }

    public function flush(bool $isAsked = false, int $budgetMs = 10000): Flushed
    {
        $dsn = Dsn::parse($this->dsn);
        $owner = new Owner($this->url, $dsn, $this->host, $this->storage->identity());
        $frame = new Frame('wordpress', '1.0.0', ['cron.run'], 60);
        $dispatcher = new Dispatcher($this->storage, $this->clock, $this->randomness, $this->gateway);
        return $dispatcher->flush($dsn, $owner, $frame, $budgetMs, $isAsked);
    }

    public function state(): State
    {
        return State::load($this->storage);
    }

    /** Jobs of what the gateway has, and `type/reason` with the count of what it was told to be missing. */
    public function told(): array
    {
        $told = [];
        foreach ($this->gateway->signals() as $s) {
            $told[] = $s['job'] ?? "{$s['dropped_type']}/{$s['reason']}: {$s['count']}";
        }
        return $told;
    }
}
