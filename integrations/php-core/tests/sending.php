<?php

/** A site and a gateway, answer by answer. */

declare(strict_types=1);

namespace Logystera\Tests;

use Logystera\Answer;
use Logystera\Limits;
use Logystera\State;

/** What a site does that was answered so: state and what arrived in the end. */
function afterAnswer(Answer $answer, Site $site): array
{
    $site->record(4);
    $site->gateway->script = [$answer];
    $flushed = $site->flush();
    return [$flushed->outcome, count($site->gateway->tries), $site->state()->values['next_try_at'] - $site->clock->now];
}

return [
    'every answer of the gateway, as the site lives through it' => static function (): void {
        $gateway = static fn (int $s, string $c = '', ?string $after = null) => (new FakeGateway(new FakeClock()))->answer($s, $c, $after);
        $same = (new FakeGateway(new FakeClock()))->answer(200, 'duplicate', null, ['same' => true]);
        $due = -1767225600000;
        $all = ['j0', 'j1', 'j2', 'j3'];
        $dropped = ['cron.run/refused: 4'];
        $cases = [
            // answer; then outcome, tries, pause; what the gateway has after a later flush; spools that were used
            'taken' => [$gateway(202), ['sent', 1, $due], [], 1],
            'taken before' => [$same, ['sent', 1, $due], [], 1],
            'taken from somebody else' => [$gateway(200, 'duplicate'), ['sent', 2, $due], $all, 2],
            'below the window' => [$gateway(409, 'below_window'), ['sent', 2, $due], $all, 2],
            '400' => [$gateway(400, 'json_malformed'), ['sent', 2, $due], $dropped, 1],
            '415' => [$gateway(415), ['sent', 2, $due], $dropped, 1],
            '422' => [$gateway(422, 'nothing_acceptable'), ['sent', 2, $due], $dropped, 1],
            '413' => [$gateway(413, 'body_too_large'), ['sent', 3, $due], $all, 1],
            '413 of a proxy' => [new Answer(413, '<html>'), ['sent', 3, $due], $all, 1],
            '409' => [$gateway(409, 'conflict'), ['sent', 2, $due], $all, 2],
            '410' => [$gateway(410, 'site_closed'), ['closed', 1, $due], [], 1],
            'wrong clock' => [$gateway(401, 'clock_skew'), ['sent', 2, $due], $all, 1],
            'wrong key' => [$gateway(401, 'unauthorized'), ['failed', 1, 5000], $all, 1],
            'wrong path' => [$gateway(404, 'not_found'), ['failed', 1, 5000], $all, 1],
            'asked to wait' => [$gateway(429, 'quota_exceeded', '17'), ['failed', 1, 17000], $all, 1],
            'busy' => [$gateway(503, 'busy', '2'), ['failed', 1, 2000], $all, 1],
            'broken body' => [$gateway(408, 'body_broken'), ['failed', 1, 30000], $all, 1],
            'no length' => [$gateway(411, 'length_required'), ['failed', 1, 30000], $all, 1],
            'no answer' => [new Answer(0), ['failed', 1, 30000], $all, 1],
            'a captive portal' => [new Answer(200, '<html>'), ['failed', 1, 30000], $all, 1],
        ];
        foreach ($cases as $name => [$answer, $expected, $arrived, $spools]) {
            $site = new Site();
            same($expected, afterAnswer($answer, $site), "answer $name");
            $site->clock->now += 40000;
            $site->flush();
            same($arrived, $site->told(), "$name: what arrived");
            $ids = array_map(static fn (array $try): string => substr($try['id'], 0, 16), $site->gateway->tries);
            same($spools, count(array_unique($ids)), "$name: spools");
        }
    },

    'a retry has the same id and bytes and a fresh time' => static function (): void {
        $site = new Site();
        $site->record(3);
        $site->gateway->script = [new Answer(0), new Answer(500)];
        foreach ([0, 31, 62] as $seconds) {
            $site->clock->now += $seconds * 1000;
            $site->record(1);
            $site->flush();
        }
        $tries = $site->gateway->tries;
        same([$tries[0]['id'], $tries[0]['bytes']], [$tries[1]['id'], $tries[1]['bytes']]);
        same([$tries[0]['id'], $tries[0]['bytes']], [$tries[2]['id'], $tries[2]['bytes']]);
        same([31, 62], [$tries[1]['ts'] - $tries[0]['ts'], $tries[2]['ts'] - $tries[1]['ts']]);
        same(['j0', 'j1', 'j2', 'j3', 'j4', 'j5'], $site->told());
    },

    'an answer that was lost leads to a duplicate, never to two' => static function (): void {
        $site = new Site();
        $site->record(2);
        $site->gateway->losesAnswer = true;
        same('failed', $site->flush()->outcome);
        $site->clock->now += 31000;
        same('sent', $site->flush()->outcome);
        same(['j0', 'j1'], $site->told());
        same(2, count($site->gateway->tries));
    },

    'an answer that was lost leads to a duplicate also where an old gateway does not say that it compared' => static function (): void {
        $site = new Site();
        $site->gateway->isOld = true;
        $site->record(2);
        $site->gateway->losesAnswer = true;
        same('failed', $site->flush()->outcome);
        $site->clock->now += 31000;
        same('sent', $site->flush()->outcome);
        same([['j0', 'j1'], 2, 1], [$site->told(), count($site->gateway->tries), count($site->gateway->taken)]);
    },

    'that a batch is tried stands on disk before the first byte leaves' => static function (): void {
        $site = new Site();
        $site->record(1);
        $site->gateway->onTry = static function () use ($site): void {
            same(true, State::load($site->storage)->values['batch']['tried']);
        };
        same('sent', $site->flush()->outcome);
        $site->record(1);
        $site->clock->now += 60000;
        // The claim is three changes: the segment, the bytes, the state. What can't be noted is not sent.
        $site->gateway->onTry = null;
        $site->storage->failsToWrite = 'state';
        $tries = count($site->gateway->tries);
        $site->flush();
        same($tries, count($site->gateway->tries), 'sent without a note');
        $site->storage->failsToWrite = '';
        $site->clock->now += 60000;
        $site->flush();
        same(['j0', 'j1'], $site->told());
    },

    'a pause is kept, and an operator who asks gets an answer all the same' => static function (): void {
        $site = new Site();
        $site->record(1);
        $site->gateway->script = [new Answer(0)];
        $site->flush();
        same('waiting', $site->flush()->outcome);
        same(1, count($site->gateway->tries));
        same('sent', $site->flush(true)->outcome);
        same('sent', $site->flush(true)->outcome, 'with nothing to say, a heartbeat');
        same(['j0'], $site->told());
        $site->gateway->script = [new Answer(0)];
        $site->flush(true);
        $site->clock->now -= 86400000;
        same(true, $site->flush()->outcome !== 'waiting', 'a clock that went back makes no longer pause');
    },

    'a closed site says nothing more until it is given another' => static function (): void {
        $site = new Site();
        $site->record(1);
        $site->gateway->script = [$site->gateway->answer(410, 'site_closed')];
        same('closed', $site->flush()->outcome);
        $site->clock->now += 7200000;
        same(['closed', 1], [$site->flush(true)->outcome, count($site->gateway->tries)]);
        $site->dsn = str_replace('site_7qd', 'site_new', Site::DSN);
        same('sent', $site->flush()->outcome);
        same(['j0'], $site->told());
    },

    'a wrong clock is corrected, kept, and told with the next claim' => static function (): void {
        $site = new Site();
        $site->gateway->aheadMs = 600400;
        $site->record(1);
        $site->gateway->script = [$site->gateway->answer(401, 'clock_skew')];
        same('sent', $site->flush()->outcome);
        same(600, $site->gateway->tries[1]['ts'] - $site->gateway->tries[0]['ts']);
        same($site->gateway->tries[0]['bytes'], $site->gateway->tries[1]['bytes'], 'a claim keeps its offset');
        $site->clock->now += 60000;
        $site->flush();
        $bodies = array_values($site->gateway->taken);
        same([0, 600000], array_map(static fn (string $b): int => json_decode($b, true)['clock_offset_ms'], $bodies));
    },

    'heartbeats keep the promise and move the watermark' => static function (): void {
        $site = new Site();
        $outcomes = [];
        foreach ([0, 10, 39, 1, 55] as $seconds) {
            $site->clock->now += $seconds * 1000;
            $outcomes[] = $site->flush()->outcome;
        }
        same(['sent', 'idle', 'idle', 'sent', 'sent'], $outcomes);
        foreach ($site->gateway->taken as $body) {
            $bodies[] = json_decode($body, true);
        }
        same([[], 60], [$bodies[0]['signals'], $bodies[0]['flush_every_s']]);
        same(true, $bodies[2]['through'] > $bodies[1]['through']);
        same(['cron.run', 'integration.dropped'], $bodies[0]['integration']['enabled']);
    },

    'every batch speaks for its own signals and for none that stays behind' => static function (): void {
        $site = new Site();
        mt_srand(7);
        for ($i = 0; $i < 300; $i++) {
            $site->record(mt_rand(0, 30) * mt_rand(0, 40));
            // The clock goes back now and then.
            $site->clock->now += mt_rand(-2000, 9000);
            if (mt_rand(0, 9) === 0) {
                $site->gateway->script = [$site->gateway->answer(413, 'body_too_large')];
            }
            if (mt_rand(0, 3) === 0) {
                $site->flush(false, mt_rand(0, 1) * 10000);
            }
        }
        $site->clock->now += 10000;
        $site->flush();
        checkWatermarks($site->gateway);
        $count = count($site->gateway->signals());
        same(array_map(static fn (int $i): string => "j$i", range(0, $count - 1)), $site->told(), 'order');
        foreach ($site->gateway->taken as $body) {
            same(true, count(json_decode($body, true)['signals']) <= Limits::BATCH_SIGNALS_MAX);
        }
        same(true, $count > 10000, "$count");
    },

    'the try gets what is left of the budget' => static function (): void {
        $site = new Site();
        $site->record(1);
        $site->flush(false, 3000);
        same(3000, $site->gateway->tries[0]['timeoutMs']);
        $site->record(1);
        same('failed', $site->flush(false, 499)->outcome);
        same(1, count($site->gateway->tries), 'a try without time');
    },
];
