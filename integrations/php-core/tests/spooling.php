<?php

/** The spool: its bounds, its owner, and a crash at each step. */

declare(strict_types=1);

namespace Logystera\Tests;

use Logystera\Owner;
use Logystera\Spool;

/** What a gateway was told is missing, by type and reason, and how many signals it has. */
function tally(FakeGateway ...$gateways): array
{
    $tally = ['signals' => 0];
    foreach ($gateways as $gateway) {
        foreach ($gateway->signals() as $s) {
            if ($s['type'] === 'integration.dropped') {
                $key = "{$s['dropped_type']}|{$s['reason']}";
                $tally[$key] = ($tally[$key] ?? 0) + $s['count'];
            } else {
                $tally['signals']++;
            }
        }
    }
    return $tally;
}

/** Each batch speaks for its own signals, and for none that comes later. */
function checkWatermarks(FakeGateway $gateway): void
{
    [$through, $last] = [-1, 0];
    foreach ($gateway->taken as $id => $body) {
        $batch = json_decode($body, true);
        foreach ($batch['signals'] as $signal) {
            $isInOrder = $signal['at'] > $through && $signal['at'] >= $last;
            same(true, $isInOrder, "$id: {$signal['at']} after $through, $last");
            $last = $signal['at'];
        }
        same(true, $batch['through'] >= $through && $batch['through'] >= $last - 1, "$id: through {$batch['through']}");
        $through = $batch['through'];
    }
}

/** Copies a folder of a spool, as a backup or a staging copy does. */
function copyFolder(string $from): string
{
    $to = Site::scratch();
    foreach (glob("$from/*") ?: [] as $file) {
        copy($file, $to . '/' . basename($file));
    }
    return $to;
}

return [
    'what finds no room is counted, exactly' => static function (): void {
        $site = new Site();
        $site->bytesMax = 10000;
        $site->gateway->script = array_fill(0, 4, new \Logystera\Answer(0));
        for ($i = 0; $i < 50; $i++) {
            $site->record(20);
            same(true, $site->spool()->bytes() <= 10000, 'the cap');
            $site->clock->now += 5000;
            $site->flush();
        }
        $site->clock->now += 4000000;
        $site->flush();
        $site->flush();
        $tally = tally($site->gateway);
        same(true, ($tally['cron.run|overflow'] ?? 0) > 100, json_encode($tally));
        same(1000, $tally['signals'] + $tally['cron.run|overflow'], json_encode($tally));
        same(false, array_key_exists('integration.dropped|overflow', $tally));
    },

    'what is older than six days is counted, also while nothing can be sent' => static function (): void {
        $site = new Site();
        $site->record(3);
        $site->gateway->script = array_fill(0, 400, new \Logystera\Answer(0));
        $site->flush();
        $site->record(2);
        for ($hour = 0; $hour < 6 * 24; $hour++) {
            $site->clock->now += 3600000;
            $site->flush();
        }
        $site->record(5);
        same(true, $site->state()->values['next_try_at'] > $site->clock->now, 'the circuit is open');
        $site->clock->now += 1000;
        $site->flush();
        same(['cron.run|expired' => [5, 1767225600000]], $site->state()->values['untold']);
        $site->gateway->script = [];
        $site->flush(true);
        same(['signals' => 5, 'cron.run|expired' => 5], tally($site->gateway));
    },

    'a full disk is counted once it has room again' => static function (): void {
        $site = new Site();
        $site->record(1);
        $site->storage->isFull = true;
        $site->record(4);
        $site->storage->isFull = false;
        $site->record(1);
        $site->flush();
        same(['j0', 'j5', 'cron.run/disk: 4'], $site->told());
    },

    'a line that was torn by a crash is counted and takes no other with it' => static function (): void {
        $site = new Site();
        $site->record(2);
        $site->storage->append('open', $site->clock->now . ' {"type":"cron.run","at":17672256000');
        $site->record(2);
        $site->flush();
        same(['j0', 'j1', 'j2', 'j3', 'cron.run/disk: 1'], $site->told());
    },

    'a torn line is counted once, also where its batch is claimed twice' => static function (): void {
        $site = new Site();
        $site->spool()->append([]);
        $site->storage->append('open', $site->clock->now . ' {"type":"cron.run","at":17672256000');
        $site->record(2);
        $site->gateway->script = [$site->gateway->answer(409, 'conflict')];
        $site->flush();
        same(['j0', 'j1', 'cron.run/disk: 1'], $site->told());
    },

    'a batch whose bytes are damaged is claimed anew' => static function (): void {
        $site = new Site();
        $site->record(2);
        $site->gateway->script = [new \Logystera\Answer(0)];
        $site->flush();
        $site->storage->append('batch', 'x');
        $site->clock->now += 31000;
        $site->flush();
        same([['j0', 'j1'], '.2'], [$site->told(), substr($site->gateway->tries[1]['id'], 16)]);
    },

    'a spool whose open file is lost goes on with what comes' => static function (): void {
        $site = new Site();
        $site->record(2);
        $site->flush();
        $site->record(1);
        $site->storage->delete('open');
        $site->clock->now += 1000;
        $site->record(2);
        $site->clock->now += 1000;
        $site->flush();
        same(['j0', 'j1', 'j3', 'j4'], $site->told());
        checkWatermarks($site->gateway);
    },

    'a refused report makes no other' => static function (): void {
        $site = new Site();
        $site->gateway->script = [$site->gateway->answer(422), $site->gateway->answer(422)];
        $site->record(2);
        $site->flush();
        same([], $site->told());
        $site->clock->now += 60000;
        $site->flush();
        same([[], 3], [$site->told(), count($site->gateway->tries)]);
    },

    'a copy of the site draws a new spool, and neither loses a signal' => static function (): void {
        foreach (['another address', 'another machine'] as $how) {
            $site = new Site();
            $site->record(3);
            $site->gateway->script = [new \Logystera\Answer(0)];
            $site->flush(); // claimed, not answered
            $site->record(2);
            $copy = new Site(copyFolder(folderOf($site)));
            $copy->randomness->drawn = 100;
            $how === 'another address' ? $copy->url = 'https://staging.example.org' : $copy->host = 'web2';
            $copy->gateway = new FakeGateway($copy->clock);
            $site->clock->now = $copy->clock->now += 31000;
            $site->flush();
            $copy->flush();
            same(['j0', 'j1', 'j2', 'j3', 'j4'], $site->told(), "$how: the site");
            same(['j0', 'j1', 'j2', 'j3', 'j4'], $copy->told(), "$how: the copy");
            $spools = array_map(
                static fn (Site $s): array => array_unique(array_map(
                    static fn (string $id): string => substr($id, 0, 16),
                    array_keys($s->gateway->taken)
                )),
                [$site, $copy]
            );
            same([], array_intersect($spools[0], $spools[1]), "$how: spools");
            same('.1', substr((string) array_key_first($copy->gateway->taken), 16), "$how: numbers");
        }
    },

    'a folder that is restored from a backup gives up no signal, however old it is' => static function (): void {
        foreach ([[1, false], [70, false], [70, true], [1100, false], [1100, true]] as [$batches, $isOld]) {
            $site = new Site();
            $site->gateway->isOld = $isOld;
            $site->record(1);
            $site->flush();
            $backup = copyFolder(folderOf($site));
            for ($i = 0; $i < $batches; $i++) {
                $site->record(1);
                $site->clock->now += 60000;
                $site->flush();
            }
            array_map('unlink', glob(folderOf($site) . '/*') ?: []);
            foreach (glob("$backup/*") ?: [] as $file) {
                copy($file, folderOf($site) . '/' . basename($file));
            }
            for ($i = 0; $i < 5; $i++) {
                $site->record(2);
                $site->clock->now += 60000;
                same('sent', $site->flush()->outcome);
            }
            $all = array_map(static fn (int $i): string => "j$i", range(0, $batches + 10));
            same($all, $site->told(), "after $batches batches");
            same(true, $site->state()->values['renewed_at'] > 0, 'the page says so');
        }
    },

    'a clock that was ahead for one request holds nothing back' => static function (): void {
        $ahead = 14 * 366 * 86400000;
        // What happens while the clock is ahead: nothing is recorded or sent, only one, or both; and with a rotation before.
        foreach (['record', 'flush', 'record flush', 'flush record', 'record flush record', 'record rotate'] as $what) {
            foreach ([false, true] as $hasBacklog) {
                $site = new Site();
                $site->flush();
                $site->record(2);
                $hasBacklog ? $site->clock->now += 30000 : $site->flush();
                $site->clock->now += $ahead;
                $site->gateway->aheadMs = -$ahead;
                foreach (explode(' ', $what) as $step) {
                    $step === 'record' && $site->record(1);
                    $step === 'rotate' && $site->spool()->rotate();
                    if ($step === 'flush') {
                        $site->gateway->script = [$site->gateway->answer(401, 'clock_skew')];
                        $site->flush();
                    }
                }
                $site->gateway->script = [];
                $site->clock->now -= $ahead;
                $site->gateway->aheadMs = 0;
                $from = count($site->gateway->taken);
                for ($i = 0; $i < 5; $i++) {
                    $site->clock->now += 60000;
                    $site->record(2);
                    $recorded[$i] = $site->clock->now;
                    $site->clock->now += 1000;
                    $site->flush();
                }
                $jobs = array_column($site->gateway->signals(), 'job');
                $count = 12 + substr_count($what, 'record');
                same(array_map(static fn (int $i): string => "j$i", range(0, $count - 1)), $jobs, "$what: all, in order");
                $times = array_column($site->gateway->signals(), 'at');
                for ($i = 0; $i < 5; $i++) {
                    $off = abs($times[$count - 10 + 2 * $i] - $recorded[$i]);
                    same(true, $off <= 1, "$what: a right time, round $i: $off ms off");
                }
                foreach (array_slice(array_values($site->gateway->taken), $from) as $body) {
                    $batch = json_decode($body, true);
                    $isHere = abs($batch['through'] - $site->clock->now) < 3600000 && abs($batch['clock_offset_ms']) < 2000;
                    $last = end($batch['signals']) ?: ['at' => 0];
                    same(true, $isHere && $batch['through'] >= $last['at'] - 1, "$what: $body");
                }
            }
        }
    },

    'a clock that goes back a little keeps the order' => static function (): void {
        $site = new Site();
        $site->record(1);
        $site->clock->now += 200000;
        $site->record(1);
        $site->flush();
        $site->clock->now -= 290000;
        $site->record(2);
        $site->clock->now += 1000;
        $site->flush();
        checkWatermarks($site->gateway);
        same(['j0', 'j1', 'j2', 'j3'], $site->told());
    },

    'machines that share a folder and a container with a new name are no copies' => static function (): void {
        $site = new Site();
        foreach (['web1', 'web2', 'web1', 'c0ffee'] as $host) {
            $site->host = $host;
            $site->record(1);
            $site->clock->now += 60000;
            $site->flush();
        }
        $spools = array_unique(array_map(static fn ($id) => substr((string) $id, 0, 16), array_keys($site->gateway->taken)));
        same([1, ['j0', 'j1', 'j2', 'j3']], [count($spools), $site->told()]);
    },

    'a site is what it is, whatever language or scheme a page has, and keeps the spool of an older version' => static function (): void {
        $spools = static function (array $urls): int {
            $site = new Site();
            foreach ($urls as $url) {
                $site->url = $url;
                $site->record(1);
                $site->clock->now += 61000;
                $site->flush();
            }
            $ids = array_map(static fn ($id): string => substr((string) $id, 0, 16), array_keys($site->gateway->taken));
            return count(array_unique($ids));
        };
        $is = [Owner::siteOf('https://example.org', 1), Owner::siteOf('http://Example.org/', 1)];
        same(['example.org#1', 'example.org#1'], $is, 'no scheme');
        same('example.org/shop#2', Owner::siteOf('https://example.org/shop/', 2));
        same('', Owner::siteOf('', 1), 'not known');
        same(1, $spools(['https://example.org', $is[0], $is[0]]), 'of an older version');
        same(1, $spools(['http://example.org:8080/de/', 'example.org:8080#1']), 'which went by the language of a page');
        same(1, $spools([$is[0], '', $is[0]]), 'what cannot be asked for a moment is not another');
        same(2, $spools([$is[0], 'example.org#2']), 'another site of a network');
        same(2, $spools([$is[0], 'staging.example.org#1']), 'another address');
        same(2, $spools(['https://example.org', 'staging.example.org#1']), 'another address, of an older version');
    },

    'a crash at any change of the disk loses nothing and repeats nothing' => static function (): void {
        $crashes = 0;
        for ($changes = 0; $changes < 60; $changes++) {
            $site = new Site();
            $site->bytesMax = 3000;
            $steps = [
                static fn () => $site->record(20), static fn () => $site->flush(), static fn () => $site->record(60),
                static fn () => $site->flush(), static fn () => $site->record(3), static fn () => $site->flush(),
            ];
            $site->storage->changesLeft = $changes;
            $site->gateway->script = $changes % 3 === 0 ? [$site->gateway->answer(409)] : [];
            $recorded = 0;
            foreach ($steps as $i => $step) {
                $site->clock->now += 31000;
                try {
                    $step();
                } catch (Crash $crash) {
                    $crashes++;
                    $site->storage->changesLeft = PHP_INT_MAX;
                    // What was not taken in yet is the caller's loss; count what was.
                    $recorded -= $i === 0 || $i === 2 || $i === 4 ? 1 : 0;
                }
            }
            $site->storage->changesLeft = PHP_INT_MAX;
            for ($i = 0; $i < 4; $i++) {
                $site->clock->now += 61000;
                $site->flush();
            }
            $jobs = array_column($site->gateway->signals(), 'job');
            same(count($jobs), count(array_unique($jobs)), "crash at change $changes: twice");
            checkWatermarks($site->gateway);
            $tally = tally($site->gateway);
            $known = $tally['signals'] + ($tally['cron.run|overflow'] ?? 0);
            if ($recorded === 0) {
                same(83, $known, "crash at change $changes: " . json_encode($tally));
            }
        }
        same(true, $crashes > 20, "only $crashes crashes");
    },

    'a spool whose state is lost goes on under a new id' => static function (): void {
        $site = new Site();
        $site->record(2);
        $site->flush();
        $site->storage->delete('state');
        $site->storage->delete('open');
        $site->record(2);
        $site->clock->now += 1000;
        $site->flush();
        same(['j0', 'j1', 'j2', 'j3'], $site->told());
    },

    'a recorder takes what is switched on and allowed, and counts the rest' => static function (): void {
        $site = new Site();
        $recorder = $site->recorder();
        $recorder->record('mail.outcome', ['outcome' => 'sent']);
        $recorder->record('cron.run', ['job' => 'a', 'outcome' => 'ok']);
        $recorder->record('cron.run', ['job' => 'b', 'outcome' => 'perhaps']);
        same(null, $site->spool()->oldestOpen(), 'nothing is written yet');
        same(true, $recorder->write());
        same($site->clock->now, $site->spool()->oldestOpen());
        for ($i = 0; $i < 600; $i++) {
            $recorder->record('cron.run', ['job' => "c$i", 'outcome' => 'ok']);
        }
        $recorder->write();
        $site->flush();
        same(['signals' => 500, 'cron.run|refused' => 1, 'cron.run|overflow' => 101], tally($site->gateway));
    },

    'files say nothing to who runs them' => static function (): void {
        $site = new Site();
        $site->record(5);
        $site->flush();
        $site->record(5);
        foreach (glob(folderOf($site) . '/*') ?: [] as $file) {
            same('', (string) shell_exec(escapeshellarg(PHP_BINARY) . ' -n ' . escapeshellarg($file)), $file);
        }
        same(true, count(glob(folderOf($site) . '/*') ?: []) >= 4);
        same(0, strpos((string) $site->storage->read('open'), Spool::GUARD));
    },
];

/** Where a site's spool lies. */
function folderOf(Site $site): string
{
    $property = new \ReflectionProperty($site->storage, 'inner');
    $property->setAccessible(true);
    return $property->getValue($site->storage)->folder();
}
