<?php

/** What a request costs at most, however much of anything it brings: by how much is looked at, and by what is computed for it. */

declare(strict_types=1);

namespace Logystera\Tests;

use Logystera\Comparison;
use Logystera\Hasher;
use Logystera\Limits;
use Logystera\Probe;
use Logystera\Redact;
use Logystera\Script;

/** What something computes, in ms: the least of three, for what others do on the machine is nobody's cost here. */
function computed(callable $act): float
{
    $spent = static function (): float {
        $usage = getrusage();
        $microseconds = $usage['ru_utime.tv_usec'] + $usage['ru_stime.tv_usec'];
        return 1000 * ($usage['ru_utime.tv_sec'] + $usage['ru_stime.tv_sec']) + $microseconds / 1000;
    };
    $costs = [];
    while (count($costs) < 3) {
        $start = $spent();
        $act();
        $costs[] = $spent() - $start;
    }
    return min($costs);
}

/** A tree at random, and one that is the same or differs somewhere. */
function trees(int $depth): array
{
    $leaves = [1, 1.0, '1', '', 0, false, null, 'word', str_repeat('long ', 200), str_repeat('Long ', 200)];
    [$one, $other] = [[], []];
    for ($left = mt_rand(0, 4); $left > 0; $left--) {
        $key = [mt_rand(0, 3), 'k' . mt_rand(0, 3)][mt_rand(0, 1)];
        [$a, $b] = $depth > 0 && mt_rand(0, 2) === 0 ? trees($depth - 1) : array_fill(0, 2, $leaves[array_rand($leaves)]);
        $one[$key] = $a;
        $other[$key] = mt_rand(0, 30) === 0 ? $leaves[array_rand($leaves)] : $b;
    }
    return [$one, mt_rand(0, 30) === 0 ? array_reverse($other, true) : $other];
}

/** An object's tree of so many values, which shares nothing with another one. */
function tree(int $values): array
{
    return unserialize(serialize(['list' => array_map(static fn (int $i): string => "value $i", range(1, $values - 1))]));
}

return [
    'however long a text of strangers is, the same little of it is looked at' => static function (): void {
        $mega = 1 << 20;
        [$path, $agent, $name] = [[Redact::class, 'path'], [Redact::class, 'userAgent'], [Redact::class, 'name']];
        [$message, $query, $script] = [[Redact::class, 'message'], [Redact::class, 'query'], [Script::class, 'heuristics']];
        $cases = [
            // What each is made of, and what is left of it.
            'path: short segments' => [$path, '/' . str_repeat('a:b/', $mega), substr('/' . str_repeat('a:b/', 64), 0, 256)],
            'path: one segment' => [$path, '/' . str_repeat('a', $mega), '/*'],
            'path: no slash' => [$path, str_repeat('a', $mega), '/*'],
            'path: layers of encoding' => [$path, '/a%' . str_repeat('25', $mega) . '40', '/*'],
            'path: persons' => [$path, str_repeat('/a@b', $mega), str_repeat('/*', 128)],
            'agent: one word' => [$agent, 'x/1 ' . str_repeat('a', $mega) . '/.', 'x/ *'],
            'agent: brackets' => [$agent, 'x/1 ' . str_repeat('1((', $mega) . '1.', 'x/ *'],
            'agent: words' => [$agent, str_repeat('ab/1 ', $mega), substr(str_repeat('ab/1 ', 52), 0, 256)],
            'name: one word' => [$name, str_repeat('a', $mega) . ' @', '_token'],
            'name: plain' => [$name, str_repeat('a_', $mega), null],
            'message: quotes' => [$message, 'x "' . str_repeat('\\"', $mega), 'x ?'],
            'message: digits' => [$message, 'x ' . str_repeat('1', $mega) . '_', 'x ?'],
            'message: signs' => [$message, 'x ' . str_repeat('%4', $mega), 'x ?'],
            'message: backticks' => [$message, 'x ' . str_repeat('`a', $mega), 'x ?'],
            'query: comments' => [$query, 'SELECT ' . str_repeat('/* ', $mega), 'SELECT'],
            'query: quotes' => [$query, "SELECT '" . str_repeat("\\'", $mega), 'SELECT ?'],
            'query: pairs of quotes' => [$query, 'SELECT ' . str_repeat('""', $mega) . '"', 'SELECT ?'],
            'query: values' => [$query, 'VALUES (1' . str_repeat(',1', $mega), null],
            'login' => [[Hasher::class, 'normalUser'], str_repeat('A', 8 * $mega), str_repeat('a', Limits::LOGIN_BYTES_MAX)],
            'script: rows that are no payload' => [$script, str_repeat(str_repeat('a', 999) . ' ', 1000),
                ['obfuscated' => false, 'encoded_payload' => false]],
            'script: calls that are none' => [$script, str_repeat("preg_replace('a", 70000),
                ['obfuscated' => false, 'encoded_payload' => false]],
        ];
        $costs = [];
        foreach ($cases as $what => [$look, $text, $left]) {
            $shown = null;
            $costs[$what] = computed(static function () use ($look, $text, &$shown): void {
                $shown = $look($text);
            });
            same(true, $left === null || $left === $shown, "$what: " . json_encode($shown));
        }
        $values = [str_repeat('&', $mega), str_repeat('abcd&', $mega), implode('&', range(100000, 200000)), str_repeat('a=abcd&', $mega)];
        foreach ($values as $i => $query) {
            $costs["query string $i"] = computed(static fn () => Probe::flags($query, [], 'shop.example'));
        }
        // Most are below one; a slow machine that others work on takes several times as long.
        same([], array_filter($costs, static fn (float $ms): bool => $ms >= 50), 'ms');
    },

    'what lies at the end of what is looked at is not shown by half' => static function (): void {
        $hex = 'a1' . str_repeat('b2', 600);
        foreach (PLANTED as $text => $needles) {
            for ($shown = 1; $shown <= strlen((string) $text); $shown++) {
                // All before it is one token, which is told as one mark: what is behind it would be seen.
                $before = static fn (int $bytes): string => substr($hex, 0, $bytes - $shown - 1);
                $path = '/' . $before(Limits::PATH_BYTES_MAX - 1) . "/$text/x/y";
                hides($needles, Redact::path($path), "path, $shown of $text");
                $agent = $before(Limits::AGENT_BYTES_MAX) . " $text and more";
                hides($needles, (string) Redact::userAgent($agent), "agent, $shown of $text");
                $name = $before(Limits::NAME_BYTES_MAX) . " $text and more";
                hides($needles, Redact::name($name), "name, $shown of $text");
                $message = $before(Limits::MESSAGE_BYTES_MAX) . " $text and more";
                hides($needles, Redact::message($message), "message, $shown of $text");
            }
        }
        same('no key ?', Redact::message('no key "' . str_repeat('hunter2 ', 200) . '"'), 'what is quoted, and has no end');
        $long = "INSERT INTO t VALUES ('" . str_repeat('hunter2 ', 2000) . "')";
        same('INSERT INTO t VALUES (?', Redact::query($long), 'a literal without an end');
    },

    'marks of an attack are found behind any number of short values' => static function (): void {
        $query = implode('&', range(1, 3000)) . '&id=-1+union+select+1';
        same(['sqli'], Probe::flags($query, [], 'shop.example'));
        foreach (["'ora=a", 'zip://', '../../'] as $shortest) {
            same(1, count(Probe::flags("a&$shortest&b", [], 'shop.example')), $shortest);
        }
    },

    'scripts are known as before by what hides in them' => static function (): void {
        $cases = [
            "preg_replace('/.*/e', \$_GET['x'], '')" => 'obfuscated', 'preg_replace("~(.*)~sie", $x, "")' => 'obfuscated',
            "preg_replace('/e/', 'e', 'e')" => null, "preg_replace('/x/si', 'e', 'e')" => null, 'eval(base64_decode($x))' => 'obfuscated',
            str_repeat('a', 1000) => 'encoded_payload', "= '" . str_repeat('QUJD', 250) . "'" => 'encoded_payload',
            str_repeat('a', 999) => null, str_repeat('\\x41', 100) => 'encoded_payload',
            'y' . str_repeat('\\x41', 101) => 'encoded_payload', str_repeat('\\x41', 99) => null,
        ];
        foreach ($cases as $text => $flag) {
            $found = array_keys(array_filter(Script::heuristics((string) $text)));
            same($flag === null ? [] : [$flag], $found, substr((string) $text, 0, 40));
        }
    },

    'a comparison says what PHP says' => static function (): void {
        mt_srand(15);
        $clock = new FakeClock();
        [$comparison, $counts] = [new Comparison($clock), [0, 0]];
        for ($i = 0; $i < 20000; $i++) {
            [$one, $other] = trees(3);
            // Nothing is shared: PHP need not look at what is.
            $other = unserialize(serialize($other));
            same($one !== $other, $comparison->differ($one, $other), json_encode([$one, $other]) ?: '');
            $counts[(int) ($one !== $other)]++;
            $clock->now += 1000;
        }
        same(true, min($counts) > 2000, 'of both: ' . json_encode($counts));
    },

    'a request compares so much, and what is beyond is known to nobody' => static function (): void {
        $clock = new FakeClock();
        foreach ([2, 10, 1000, 40000] as $values) {
            $comparison = new Comparison($clock);
            // A tree's own arrays cost one value each.
            $fits = intdiv(Limits::REQUEST_COMPARED_MAX, $values + 2);
            [$one, $same, $other] = [tree($values), tree($values), tree($values)];
            $other['list'][] = 'more';
            for ($i = 0; $i < $fits; $i++) {
                same(false, $comparison->differ($one, $same), "$values, $i");
            }
            same(null, $comparison->differ($one, $same), "$values, one more");
            // What is seen at once is seen all the same, and a minute later there is room again.
            same(true, $comparison->differ($one, $one + ['more' => 1]), 'another count');
            same(true, $comparison->differ([], $one), 'added');
            $clock->now += Limits::REQUEST_MS_MAX;
            same([false, true], [$comparison->differ($one, $same), $comparison->differ($one, $other)], 'a minute later');
        }
        $comparison = new Comparison($clock);
        $huge = range(0, Limits::REQUEST_COMPARED_MAX);
        same(null, $comparison->differ($huge, [1] + $huge), 'more than fits at all');
        same(false, $comparison->differ([1], [1]), 'which leaves the others their room');
        $text = str_repeat('x', 256 * Limits::REQUEST_COMPARED_MAX);
        same(null, $comparison->differ([$text], [strrev($text)]), 'a text that is as much');
        same(true, $comparison->differ([$text], ["$text."]), 'its length is seen');
    },
];
