<?php

/** What a page says: whether the sending works, what was lost and when, and which hashes somebody asks for. */

declare(strict_types=1);

namespace Logystera\Tests;

use Logystera\Dsn;
use Logystera\DsnError;
use Logystera\Hasher;
use Logystera\Limits;
use Logystera\Losses;
use Logystera\Lookup;
use Logystera\Outbox;
use Logystera\Spool;
use Logystera\Standing;
use Logystera\State;

return [
    'a page says that it works only where it does' => static function (): void {
        $minute = 60000;
        $answer = static fn (int $status, string $code = '', bool $isGateway = true): array
            => ['status' => $status, 'code' => $code, 'is_gateway' => $isGateway];
        // Name => state, reasons, last answer, minutes since the last success, and more.
        $cases = [
            'never tried' => ['waits', [], [], null],
            'taken a minute ago' => ['works', [], $answer(202), 1],
            'an earlier try had been taken' => ['works', [], $answer(200), 1],
            'taken, and nothing tried since' => ['fails', ['silent'], $answer(202), 31],
            'a site that speaks once a day' => ['works', [], $answer(202), 31, ['every' => 86400]],
            'and was silent for two' => ['fails', ['silent'], $answer(202), 2881, ['every' => 86400]],
            'one try failed' => ['look', ['unreached'], $answer(0, '', false), 2],
            'all tries fail' => ['fails', ['unreached'], $answer(0, '', false), 31],
            'none ever got through' => ['fails', ['unreached'], $answer(0, '', false), null, ['tried' => true]],
            'asked to go slower' => ['look', ['quota'], $answer(429), 2],
            'away for a moment' => ['look', ['busy'], $answer(503), 2],
            'a key that is not known any more' => ['fails', ['key'], $answer(401, 'unknown_key'), 1],
            'a wrong clock' => ['fails', ['clock'], $answer(401, 'clock_skew'), 1],
            'not there' => ['fails', ['address'], $answer(404), 1],
            'somebody else' => ['fails', ['stranger'], $answer(200, '', false), 1],
            'not understood' => ['fails', ['unread'], $answer(422), 1],
            'closed' => ['fails', ['closed'], $answer(410), 1, ['closed' => true]],
            'a batch that goes out in two' => ['works', [], $answer(413), 1],
            'numbers of a copy' => ['works', [], $answer(409), 1],
            'the disk' => ['fails', ['disk'], $answer(202), 1, ['disk' => true]],
            'the disk, before anything was sent' => ['fails', ['disk'], [], null, ['disk' => true]],
            'jobs are late' => ['look', ['jobs'], $answer(202), 1, ['hints' => ['jobs']]],
            'jobs are late, and nothing is sent' => ['fails', ['silent', 'jobs'], $answer(202), 60, ['hints' => ['jobs']]],
            'jobs are late, before anything was sent' => ['waits', ['jobs'], [], null, ['hints' => ['jobs']]],
            'an answer that got lost' => ['fails', ['silent'], [], 1],
        ];
        $now = 1700000000000;
        foreach ($cases as $name => $case) {
            [$state, $reasons, $last, $minutes] = $case;
            $more = ($case[4] ?? []) + ['every' => 60, 'tried' => $minutes !== null, 'closed' => false, 'disk' => false, 'hints' => []];
            $at = $minutes === null ? 0 : $now - $minutes * $minute;
            $values = ['closed' => $more['closed'], 'last_answer' => $last, 'succeeded_at' => $at, 'tried_at' => $more['tried'] ? $now : 0];
            $standing = Standing::of($values, $more['disk'], $more['hints'], $more['every'], $now);
            same([$state, $reasons], [$standing->state, $standing->reasons], $name);
        }
        same([true, true, false, false], array_map([Standing::class, 'isThrough'], [$answer(202), $answer(200), $answer(413), []]));
    },

    'what was lost has its day, and the list its end' => static function (): void {
        $day = 86400000;
        $losses = Losses::add([], ['auth.attempt|overflow' => [3, 5 * $day + 7], 'php.error|disk' => [1, 5 * $day]]);
        $losses = Losses::add($losses, ['auth.attempt|overflow' => [2, 5 * $day + 9]]);
        $losses = Losses::add($losses, ['auth.attempt|overflow' => [1, 6 * $day]]);
        same([['since' => 6 * $day, 'type' => 'auth.attempt', 'reason' => 'overflow', 'count' => 1],
            ['since' => 5 * $day + 7, 'type' => 'auth.attempt', 'reason' => 'overflow', 'count' => 5],
            ['since' => 5 * $day, 'type' => 'php.error', 'reason' => 'disk', 'count' => 1]], Losses::shown($losses));
        for ($i = 0; $i < 100; $i++) {
            $losses = Losses::add($losses, ['db.event|overflow' => [1, (10 + $i) * $day]]);
        }
        $shown = Losses::shown(Losses::checked($losses));
        same([Limits::LOSSES_MAX, 109 * $day, 'db.event'], [count($shown), $shown[0]['since'], $shown[0]['type']], 'the newest stay');
        same([], Losses::checked(['x' => 1, '5 a|b' => [0, 1], '5 a' => [1, 1], "5 a|b\n" => [1, 1]]), 'what is no loss');
    },

    'losses are shown before and after they were told, once' => static function (): void {
        $site = new Site();
        $spool = new Spool($site->storage, $site->clock, 4096);
        $since = $site->clock->nowMs();
        for ($i = 0; $i < 60; $i++) {
            $spool->append([[$site->clock->nowMs(), ['type' => 'cron.run', 'job' => str_repeat('j', 60), 'outcome' => 'ok']]]);
        }
        $outbox = new Outbox($site->storage, $site->clock);
        $lost = static fn (array $more = []): array => array_map(
            static fn (array $l): array => [$l['type'], $l['reason'], $l['since'], $l['count']],
            $outbox->losses($more)
        );
        $before = $lost();
        same(['cron.run', 'overflow', $since], array_slice($before[0], 0, 3), 'untold');
        $state = State::load($site->storage);
        $dropped = $spool->dropped($state->values['told']);
        $state->note($dropped['counts']);
        $state->values['told'] = $dropped['generation'];
        $state->save($site->storage);
        same($before, $lost(), 'told');
        same(2, count($lost(['auth.attempt|disk' => [1, $since]])), 'and what somebody else counts');
    },

    'many hashes are looked up at once, whatever text they stand in' => static function (): void {
        $site = new Site();
        $lookup = new Lookup($site->storage, $site->clock, new Hasher(str_repeat('k', 32)));
        [$alice, $bob] = [$lookup->hash(Hasher::USER, 'alice'), $lookup->hash(Hasher::USER, 'bob')];
        $lookup->write();
        $strange = str_repeat('0', 32);
        $text = "user_hash=$alice, \"$bob\" <script>alert(1)</script>\n" . strtoupper($alice)
            . " $strange x{$bob} {$bob}0 nonsense";
        same([$alice, $bob, $strange], Lookup::hashesIn($text));
        $found = $lookup->findAll(Lookup::hashesIn($text));
        same(['alice', 'bob', null], array_map(static fn (?array $one): ?string => $one['meaning'] ?? null, $found));
        same([[], []], [Lookup::hashesIn('nothing'), $lookup->findAll([])]);
        $many = implode(' ', array_map(static fn (int $i): string => md5((string) $i), range(1, 500)));
        same(Limits::LOOKUP_ASKED_MAX, count(Lookup::hashesIn($many)));
        same(0, count(Lookup::hashesIn(str_repeat(' ', Limits::LOOKUP_ASKED_BYTES_MAX) . $alice)));
    },

    'a DSN is judged in the page as it is when it is saved' => static function (): void {
        $cases = [
            '' => [Site::DSN, " \n" . Site::DSN . ' ', 'http://s.k:' . Site::SECRET . '@127.0.0.1:8080/v1/batches?audience=a',
                'http://s.k:' . Site::SECRET . '@[::1]:8080/v1/batches?audience=a',
                str_replace('in.example.com', 'IN.example.com', Site::DSN)],
            DsnError::SHAPE => ['nonsense', 'https://', '<script>alert(1)</script>',
                'https://in.example.com/v1/batches?audience=a', str_replace('https://', '', Site::DSN),
                str_replace(':' . Site::SECRET, '', Site::DSN)],
            DsnError::IDS => [str_replace('site_7qd.k2', 'site_7qd', Site::DSN), str_replace('site_7qd', 'Site', Site::DSN)],
            DsnError::SECRET => [str_replace(Site::SECRET, substr(Site::SECRET, 1), Site::DSN)],
            DsnError::AUDIENCE => [str_replace('?audience=eu-prod', '', Site::DSN), str_replace('=eu-prod', '=', Site::DSN)],
            DsnError::PATH => [str_replace('/v1/batches', '/v2/batches', Site::DSN), Site::DSN . '#x'],
            DsnError::PLAIN => [str_replace('https:', 'http:', Site::DSN), str_replace('https:', 'ftp:', Site::DSN)],
        ];
        $said = [];
        foreach ($cases as $fault => $texts) {
            foreach ($texts as $text) {
                try {
                    [$host, $found] = [Dsn::parse($text)->host(), ''];
                } catch (DsnError $error) {
                    [$host, $found] = ['', $error->fault];
                }
                same($fault, $found, $text);
                $said[] = [$text, $fault, $host];
            }
        }
        same(DsnError::FAULTS, array_values(array_unique(array_filter(array_column($said, 1)))), 'each fault');
        $node = trim((string) shell_exec('command -v node'));
        if ($node === '') {
            // Also without it the page is whole: what is saved is judged here.
            return;
        }
        $script = dirname(__DIR__) . '/src/assets/page.js';
        $code = "const { dsnFault, dsnAddress } = require(process.argv[1]); const texts = JSON.parse(process.argv[2]);"
            . "console.log(JSON.stringify(texts.map(([t]) => [t, dsnFault(t), dsnFault(t) ? '' : dsnAddress(t)])));";
        $arguments = array_map('escapeshellarg', [$code, $script, (string) json_encode($said)]);
        $ran = shell_exec("$node -e " . implode(' ', $arguments));
        same($said, json_decode((string) $ran, true), 'page.js');
    },
];
