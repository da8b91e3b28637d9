<?php

/** Functions over values: signatures, answers, delays, clock offsets, hashes, the catalogue. */

declare(strict_types=1);

namespace Logystera\Tests;

use Logystera\Agreement;
use Logystera\Answer;
use Logystera\Catalogue;
use Logystera\CatalogueData;
use Logystera\ClockOffset;
use Logystera\Cut;
use Logystera\Dsn;
use Logystera\DsnError;
use Logystera\Hasher;
use Logystera\Health;
use Logystera\Limits;
use Logystera\Verdict;

return [
    'signatures are those of the published vectors' => static function (): void {
        $file = __DIR__ . '/../../../tests/clients/vectors.json';
        $vectors = json_decode((string) file_get_contents($file), true);
        same(6, count($vectors['vectors']));
        foreach ($vectors['vectors'] as $v) {
            $user = "{$v['site']}.{$v['key']}:{$vectors['secret_hex']}";
            $dsn = Dsn::parse("https://$user@in.example.com/v1/batches?audience={$v['audience']}");
            $body = (string) base64_decode($v['body_base64'], true);
            $encoding = $v['content_encoding'];
            same($v['signed'], $dsn->signedText($v['ts'], $v['batch'], $encoding, $body), $v['name']);
            same($v['header'], $dsn->sign($v['ts'], $v['batch'], $encoding, $body), $v['name']);
        }
    },

    'a DSN is read whole or refused without being repeated' => static function (): void {
        $dsn = Dsn::parse(' ' . Site::DSN . "\n");
        same(['site_7qd', 'k2', 'eu-prod'], [$dsn->site, $dsn->key, $dsn->audience]);
        same('https://in.example.com/v1/batches', $dsn->url);
        same('in.example.com', $dsn->host());
        $cases = [
            'http to another machine' => ['https://', 'http://', 'https'],
            'no secret' => [':' . Site::SECRET, '', 'looks like'],
            'a short secret' => [Site::SECRET, substr(Site::SECRET, 1), '64 hex digits'],
            'no key' => ['site_7qd.k2', 'site_7qd', 'before the colon'],
            'capitals in the site' => ['site_7qd', 'Site', 'before the colon'],
            'no audience' => ['?audience=eu-prod', '', 'audience'],
            'another path' => ['/v1/batches', '/v2/batches', 'path'],
            'a host that only looks like ours' => ['https://', 'http://', 'refused', '127.0.0.1.example.com'],
        ];
        foreach ($cases as $name => $case) {
            $text = str_replace($case[0], $case[1], Site::DSN);
            $text = str_replace('in.example.com', $case[3] ?? 'in.example.com', $text);
            $message = 'taken';
            try {
                Dsn::parse($text);
            } catch (DsnError $error) {
                $message = $error->getMessage();
            }
            same(true, strpos($message, $case[2]) !== false, "$name: $message");
            same(false, strpos($message, substr(Site::SECRET, 2, 40)), $name);
        }
        foreach (['127.0.0.1:8080', '[::1]:8080', 'localhost'] as $host) {
            $text = str_replace(['https', 'in.example.com'], ['http', $host], Site::DSN);
            same("http://$host/v1/batches", Dsn::parse($text)->url);
        }
        same(false, strpos(print_r($dsn, true), substr(Site::SECRET, 0, 8)), 'a dump shows the secret');
        same(false, strpos(print_r($dsn, true), (string) hex2bin(Site::SECRET)), 'a dump shows the secret');
    },

    'an agreement is with one gateway, and is never made by a tick that stood there' => static function (): void {
        $cases = [
            // host that was agreed to, host that is saved, tick; what it means
            ['', 'a', true, 'made'], ['', 'a', false, 'stays'], ['', '', true, 'stays'], ['', '', false, 'stays'],
            ['a', 'a', true, 'stays'], ['a', 'a', false, 'in question'],
            ['a', 'b', true, 'over'], ['a', 'b', false, 'over'], ['a', 'a:8443', true, 'over'], ['a', '', true, 'over'],
        ];
        foreach ($cases as $i => [$before, $now, $isTicked, $expected]) {
            same($expected, Agreement::after($before, $now, $isTicked), "case $i");
        }
    },

    'each answer has its meaning' => static function (): void {
        $own = static function (int $status, string $code = '', ?string $after = null): Answer {
            return new Answer($status, (string) json_encode(['server_time' => 1, 'code' => $code]), $after);
        };
        $same = new Answer(200, '{"server_time":1,"code":"duplicate","same":true}');
        $stranger = static fn (int $status, ?string $after = null): Answer => new Answer($status, '<html>', $after);
        $cases = [
            [$own(202), 'done', 0], [$same, 'duplicate', 0], [$own(200, 'duplicate'), 'new_spool', 0],
            [$own(400, 'json_malformed'), 'drop', 0], [$own(415), 'drop', 0], [$own(422), 'drop', 0],
            [$own(413, 'body_too_large'), 'split', 0], [$stranger(413), 'split', 0],
            [$own(409, 'conflict'), 'new_spool', 0], [$own(410, 'site_closed'), 'stop', 0],
            [$own(401, 'clock_skew'), 'retry_now', 0],
            [$own(401, 'unauthorized'), 'wait', 5000], [$own(404), 'wait', 5000], [$own(405), 'wait', 5000],
            [$own(429, 'quota_exceeded', '3'), 'wait', 3000], [$own(503, 'busy', '2'), 'wait', 2000],
            [$own(503, 'busy', '0'), 'wait', 1000], [$own(503, 'busy', '999999'), 'wait', 3600000],
            [$stranger(503, '7'), 'wait', 7000],
            [$own(429, 'too_many_spools'), 'wait', 30000], [$own(503), 'wait', 30000], [$own(500), 'wait', 30000],
            [$own(500, '', '2'), 'wait', 30000], [$own(302), 'wait', 30000], [$own(204), 'wait', 30000],
            [$own(408, 'body_broken'), 'wait', 30000], [$own(411, 'length_required'), 'wait', 30000],
            [new Answer(0), 'wait', 30000],
            // What no gateway said is never final: a captive portal says 200, a proxy 400 or 410.
            [$stranger(200), 'wait', 30000], [$stranger(202), 'wait', 30000], [$stranger(400), 'wait', 30000],
            [$stranger(401), 'wait', 30000], [$stranger(404), 'wait', 30000], [$stranger(409), 'wait', 30000],
            [$stranger(410), 'wait', 30000], [$stranger(422), 'wait', 30000],
            [new Answer(202, '{"server_time":"1"}'), 'wait', 30000], [new Answer(410, '[1]'), 'wait', 30000],
        ];
        foreach ($cases as $i => [$answer, $next, $waitMs]) {
            $verdict = Verdict::of($answer, new Health(), new FakeRandomness(), true);
            same([$next, $waitMs], [$verdict->next, $verdict->waitMs], "case $i, status {$answer->status}");
            // To a later try a duplicate is the first one's, whose answer was lost; nothing else differs.
            $later = Verdict::of($answer, new Health(), new FakeRandomness(), false);
            $expected = $answer->status === 200 && $next === 'new_spool' ? 'duplicate' : $next;
            same([$expected, $waitMs], [$later->next, $later->waitMs], "case $i, later, status {$answer->status}");
        }
    },

    'delays double to an hour, then the circuit is open and probes' => static function (): void {
        $health = new Health();
        $waits = [];
        for ($i = 0; $i < 10; $i++) {
            $waits[] = Verdict::of(new Answer(0), $health, new FakeRandomness(), false)->waitMs / 1000;
        }
        same([30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600], $waits);
        same(true, $health->isCircuitOpen());
        Verdict::of(new Answer(202, '{"server_time":1}'), $health, new FakeRandomness(), false);
        same([false, 0], [$health->isCircuitOpen(), $health->failures]);
        $random = new class implements \Logystera\Randomness {
            public $asked = [];

            public function bytes(int $count): string
            {
                return str_repeat('a', $count);
            }

            public function upTo(int $max): int
            {
                $this->asked[] = $max;
                return 0;
            }
        };
        same(0, Verdict::of(new Answer(0), new Health(), $random, false)->waitMs, 'full jitter');
        same([30000], $random->asked);
    },

    'a timeline of answers that repeat' => static function (): void {
        $health = new Health();
        $says = static function (int $status, string $code) use ($health): string {
            $answer = new Answer($status, (string) json_encode(['server_time' => 1, 'code' => $code]));
            $verdict = Verdict::of($answer, $health, new FakeRandomness(), true);
            return $verdict->next . ($verdict->waitMs > 0 ? ' ' . $verdict->waitMs / 1000 : '');
        };
        $steps = [
            [401, 'clock_skew', 'retry_now'], [401, 'clock_skew', 'wait 30'], [401, 'clock_skew', 'retry_now'],
            [202, '', 'done'],
            [409, '', 'new_spool'], [409, '', 'new_spool'], [409, '', 'new_spool'], [409, '', 'wait 30'],
            [202, '', 'done'], [409, '', 'new_spool'], [202, '', 'done'],
            [401, 'unauthorized', 'wait 5'], [503, '', 'wait 30'], [401, 'unauthorized', 'wait 5'],
            [404, '', 'wait 5'], [401, 'unauthorized', 'wait 3600'], [401, 'unauthorized', 'wait 3600'],
            [202, '', 'done'], [200, 'duplicate', 'new_spool'], [401, 'unauthorized', 'wait 5'],
        ];
        foreach ($steps as $i => [$status, $code, $expected]) {
            same($expected, $says($status, $code), "step $i");
        }
    },

    'a batch ends at either limit' => static function (): void {
        $line = static fn (int $bytes): string => '1 ' . str_pad('{"type":"cron.run","job":"', $bytes - 2, 'j') . "\"}\n";
        $cut = Cut::of(str_repeat($line(1023), 2000), 0, 1000, 0, PHP_INT_MAX >> 1, 0);
        same([intdiv(Limits::BATCH_BYTES_MAX, 1024), 1], [count($cut->signals), $cut->nextAt]);
        same(1000, count(Cut::of(str_repeat($line(40), 2000), 0, 1000, 0, PHP_INT_MAX >> 1, 0)->signals));
        same(1, count(Cut::of($line(600000) . $line(40), 0, 1000, 0, PHP_INT_MAX >> 1, 0)->signals), 'one signal always goes');
    },

    'only a step of more than two seconds moves the clock offset' => static function (): void {
        $century = 100 * 366 * 86400000;
        $cases = [
            [0, 0, 0], [0, 1999, 0], [0, 2000, 0], [0, 2001, 2000], [0, -2001, -2000], [0, 3500, 4000],
            [0, 3499, 3000], [0, -3501, -4000], [4000, 2000, 4000], [4000, 1999, 2000], [4000, 0, 0],
            [0, 2 * $century, $century],
        ];
        foreach ($cases as [$kept, $measured, $expected]) {
            same($expected, ClockOffset::learn($kept, $measured, 0), "$kept $measured");
        }
    },

    'hashes are keyed, short and apart by kind' => static function (): void {
        $hasher = new Hasher(str_repeat('k', 32));
        $expected = substr(hash_hmac('sha256', "user\0alice", str_repeat('k', 32)), 0, 32);
        same($expected, $hasher->hash(Hasher::USER, 'alice'));
        same(false, $hasher->hash(Hasher::USER, 'a') === $hasher->hash(Hasher::FILE, 'a'));
        same(false, $expected === (new Hasher(str_repeat('l', 32)))->hash(Hasher::USER, 'alice'));
        same('alice', Hasher::normalUser(" Alice\n"));
        same(Hasher::normalAddress('2001:DB8:0:0::5'), Hasher::normalAddress('2001:db8::5'));
        same(false, strpos(print_r($hasher, true), 'kkkk'), 'a dump shows the key');
    },

    'the allowlist is that of the schemas, and nothing else gets through' => static function (): void {
        same(12, count(CatalogueData::TYPES));
        $hash = str_repeat('0a', 16);
        $base = ['outcome' => 'failure', 'method' => 'form', 'source' => $hash];
        $whole = static fn (array $more): ?array => Catalogue::signal('auth.attempt', $more + $base);
        same(['type' => 'auth.attempt'] + $base, $whole([]));
        // The catalogue's order, whatever the caller's; what does not fit is left out where it may be missing.
        same(
            ['type' => 'auth.attempt', 'outcome' => 'failure', 'method' => 'form', 'user_length' => 1024, 'source' => $hash],
            $whole(['user_length' => 5000, 'user_hash' => 'alice', 'privileged' => 'yes'])
        );
        same(null, $whole(['password' => 'hunter2']), 'an unknown field');
        same(null, $whole(['outcome' => 'maybe']), 'an unknown symbol');
        same(null, $whole(['source' => '203.0.113.9']), 'an address instead of a hash');
        same(null, Catalogue::signal('auth.login', $base), 'an unknown type');
        same(null, Catalogue::signal('cron.run', ['job' => 'ev il', 'outcome' => 'ok']), 'a character');
        $job = Catalogue::signal('cron.run', ['job' => str_repeat('j', 300), 'outcome' => 'ok']);
        same(191, strlen($job['job']));
        $edit = ['path' => '/a.php', 'size_delta' => 1, 'heuristics' => ['core_file', 'obfuscated', 'core_file']];
        same(['obfuscated', 'core_file'], Catalogue::signal('file.edit', $edit)['heuristics']);
        same(null, Catalogue::signal('file.edit', ['path' => '/a@b'] + $edit));
        same(null, Catalogue::signal('file.edit', ['heuristics' => ['other']] + $edit));
        $request = ['method' => 'GET', 'path' => '/', 'status' => 200, 'route_group' => 'page'];
        same(null, Catalogue::signal('http.request', ['path' => '/?q'] + $request));
        same(null, Catalogue::signal('http.request', ['path' => '/#f'] + $request));
    },
];
