<?php

/** A spool that is full merges what waits and is equal, before it drops anything. */

declare(strict_types=1);

namespace Logystera\Tests;

use Logystera\Limits;
use Logystera\Merge;
use Logystera\Shares;
use Logystera\Tallies;

/** How many signals of a type a gateway has, each counted as many times as it says. */
function standsFor(FakeGateway $gateway, string $type): int
{
    $of = array_filter($gateway->signals(), static fn (array $s): bool => $s['type'] === $type);
    return array_sum(array_map(static fn (array $s): int => $s['repeats'] ?? 1, $of));
}

/** Appends failed sign-ins of some users, fifty at once, five seconds apart. */
function signIns(Site $site, int $count, int $users = 20): void
{
    foreach (array_chunk(range(1, $count), 50) as $chunk) {
        $site->clock->now += 5000;
        $site->spool()->append(array_map(
            static fn (int $n): array => [$site->clock->now, sample('auth.attempt', $n % $users)],
            $chunk
        ));
    }
}

return [
    'in a spool that is full equal signals are merged before any is dropped' => static function (): void {
        $site = new Site();
        flood($site, 'http.request', 20000);
        $begin = $site->clock->now;
        signIns($site, 5000, 8);
        same([], preg_grep('/^auth/', array_keys($site->spool()->dropped(0)['counts'])), 'what was dropped');
        same(true, $site->spool()->bytes() <= 4194304, 'the cap');
        $text = (string) $site->storage->read('open', $site->spool()->head('open')['begin']);
        same(Shares::tally($text), (new Tallies($site->storage, $site->spool()))->load(), 'what is known of it');
        $lines = array_filter(explode("\n", $text), static fn (string $l): bool => strpos($l, 'auth.attempt') !== false);
        same(true, count($lines) < 300, count($lines) . ' lines');
        $site->flush();
        same(5000, standsFor($site->gateway, 'auth.attempt'));
        checkWatermarks($site->gateway);
        foreach ($site->gateway->signals() as $signal) {
            if (isset($signal['repeats'])) {
                same(true, $signal['at'] > $begin && $signal['repeats'] <= 12 * 50, 'each is of one minute');
            }
        }
        // What differs cannot be merged, and is counted as before.
        $site = new Site();
        flood($site, 'auth.attempt', 20000);
        same(true, $site->spool()->dropped(0)['counts']['auth.attempt|overflow'][0] > 1000);
    },

    'a full spool is merged seldom, and in small pieces' => static function (): void {
        $site = new Site();
        flood($site, 'http.request', 15000);
        $before = $site->storage->read('open');
        signIns($site, 100);
        same(0, strpos((string) $site->storage->read('open'), (string) $before), 'what came before is as it was');
        // Nothing of it is equal: it is looked at once, and no more.
        $looks = 0;
        for ($i = 0; $i < 300; $i++) {
            $noted = $site->storage->read('merged');
            $site->clock->now += 1000;
            $site->spool()->append([[$site->clock->now, sample('http.request', 50000 + $i)]]);
            $looks += $site->storage->read('merged') === $noted ? 0 : 1;
        }
        same(true, $looks <= 1, "$looks looks");
        // Where it cannot be noted, it is not done, or each page would do it.
        $site = new Site();
        $site->storage->failsToWrite = 'merged';
        signIns($site, 20000);
        same(true, $site->spool()->dropped(0)['counts']['auth.attempt|overflow'][0] > 1000);
        same(false, strpos((string) $site->storage->read('open'), '"repeats"'));
        same(true, Limits::MERGE_BYTES_MIN * 2 <= Limits::MERGE_BYTES_MAX);
    },

    'only what is equal in one minute is merged' => static function (): void {
        $line = static function (int $at, string $type, string $rest): string {
            return "$at {\"type\":\"$type\",\"at\":$at,$rest}\n";
        };
        $job = '"job":"a","outcome":"ok"';
        $get = static function (int $ms, string $path = '/'): string {
            return "\"method\":\"GET\",\"path\":\"$path\",\"duration_ms\":$ms,\"source\":\"x\"";
        };
        $got = static fn (string $path): string => "\"method\":\"GET\",\"path\":\"$path\",\"source\":\"x\"";
        $cases = [
            'one' => [$line(1, 'cron.run', $job), $line(1, 'cron.run', $job)],
            'three' => [$line(1, 'cron.run', $job) . $line(2, 'cron.run', $job) . $line(59999, 'cron.run', $job),
                $line(1, 'cron.run', $job . ',"repeats":3')],
            'another minute' => [$line(1, 'cron.run', $job) . $line(60000, 'cron.run', $job),
                $line(1, 'cron.run', $job) . $line(60000, 'cron.run', $job)],
            'merged before' => [
                $line(1, 'cron.run', $job . ',"repeats":3') . $line(1, 'cron.run', $job) . $line(2, 'cron.run', $job . ',"repeats":5'),
                $line(1, 'cron.run', $job . ',"repeats":9')],
            'another type, another field' => [$line(1, 'cron.run', $job) . $line(1, 'cron.run', $job . ',"late_s":1'),
                $line(1, 'cron.run', $job) . $line(1, 'cron.run', $job . ',"late_s":1')],
            'how long a job took is its own' => [
                $took = $line(1, 'cron.run', "$job,\"duration_ms\":1") . $line(1, 'cron.run', "$job,\"duration_ms\":2"),
                $took,
            ],
            'a request\'s is not, and is kept where it stands alone' => [
                $line(1, 'http.request', $get(5)) . $line(2, 'http.request', $get(7, '/b')) . $line(3, 'http.request', $get(9)),
                $line(1, 'http.request', $got('/') . ',"repeats":2') . $line(2, 'http.request', $get(7, '/b'))],
            'more than one can stand for' => [
                $line(1, 'cron.run', $job . ',"repeats":1000000000') . $line(1, 'cron.run', $job) . $line(1, 'cron.run', $job),
                $line(1, 'cron.run', $job . ',"repeats":1000000000') . $line(1, 'cron.run', $job . ',"repeats":2')],
            'what has no such field' => [$told = str_repeat($line(1, 'integration.dropped', '"count":1'), 2), $told],
            'torn, empty, damaged' => [$torn = "\n1 {\"type\":\"cron.run\",\"at\":1,\nx\nx\n1 {\"ty", $torn],
        ];
        foreach ($cases as $name => [$before, $after]) {
            same($after, Merge::merged($before), $name);
        }
        same('', Merge::merged(''));
    },

    'a crash at any change while a full spool is merged loses nothing and counts nothing twice' => static function (): void {
        $isDone = false;
        for ($changes = 0, $merges = 0; !$isDone; $changes++) {
            $site = new Site();
            $site->bytesMax = 131072;
            $site->storage->changesLeft = $changes;
            $isDone = true;
            for ($i = 0; $i < 24; $i++) {
                try {
                    signIns($site, 50, 5);
                } catch (Crash $crash) {
                    $isDone = false;
                    $site->storage->changesLeft = PHP_INT_MAX;
                }
            }
            $site->storage->changesLeft = PHP_INT_MAX;
            $merges += strpos((string) $site->storage->read('open'), '"repeats"') === false ? 0 : 1;
            $site->flush();
            checkWatermarks($site->gateway);
            $known = standsFor($site->gateway, 'auth.attempt') + (tally($site->gateway)['auth.attempt|overflow'] ?? 0);
            // What was being taken in when the process died is its caller's: fifty, or none.
            same(true, $known <= 1200 && $known >= ($isDone ? 1200 : 1150), "crash at change $changes: $known");
        }
        same(true, $merges > 20 && $changes > 20, "$merges of $changes");
    },
];
