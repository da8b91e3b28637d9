<?php

/** Whose address it is, and how it is written. */

declare(strict_types=1);

namespace Logystera\Tests;

use Logystera\Address;
use Logystera\Hasher;
use Logystera\Lookup;

return [
    'an address has one spelling, whatever it comes with' => static function (): void {
        $cases = [
            '192.0.2.7' => ['192.0.2.7', ' 192.0.2.7 ', '192.0.2.7:443', '"192.0.2.7"', '::ffff:192.0.2.7', '::FFFF:c000:207',
                '[::ffff:192.0.2.7]:80', '0:0:0:0:0:ffff:192.0.2.7', "\t192.0.2.7\r\n"],
            '2001:db8::5' => ['2001:DB8:0:0::5', '[2001:db8::5]', '[2001:db8::5]:8443', '2001:0db8:0000:0000:0000:0000:0000:0005'],
            'fe80::1' => ['fe80::1%eth0', '[fe80::1%25en0]:80'],
        ];
        foreach ($cases as $expected => $spellings) {
            foreach ($spellings as $spelling) {
                same((string) $expected, Address::canonical($spelling), $spelling);
                same((string) $expected, Hasher::normalAddress($spelling), $spelling);
            }
        }
        $nothing = ['', 'unknown', '192.0.2', '192.0.2.7.1', '192.0.2.7, 192.0.2.8', 'example.org', '192.0.2.300', '[]:1', "\xff"];
        foreach ($nothing as $none) {
            same(null, Address::canonical($none), $none);
        }
    },

    'of a list of proxies the last address counts that no trusted one has' => static function (): void {
        $trusted = ['10.0.0.0/8', '192.0.2.1', '2001:db8::/32'];
        $cases = [
            // what the header says, and who it is
            ['198.51.100.7', '198.51.100.7'], ['203.0.113.9, 198.51.100.7', '198.51.100.7'],
            ['203.0.113.9, 198.51.100.7, 10.1.2.3', '198.51.100.7'],
            ['203.0.113.9,198.51.100.7:1234 , 10.1.2.3, 192.0.2.1', '198.51.100.7'], ['10.1.1.1, 10.1.2.3', '10.1.1.1'],
            ['198.51.100.7, [2001:db8::9]:443', '198.51.100.7'], ['2001:db9::1, ::ffff:10.0.0.1', '2001:db9::1'],
            ['', null], ['unknown', null], ['198.51.100.7, unknown', null], ['unknown, 10.0.0.1', '10.0.0.1'],
            [str_repeat('10.0.0.1, ', 5000) . '10.0.0.2', '10.0.0.1'],
        ];
        foreach ($cases as [$list, $expected]) {
            same($expected, Address::client($list, $trusted), substr($list, 0, 60));
        }
        same('198.51.100.7', Address::client('203.0.113.9, 198.51.100.7', []), 'nobody is trusted');
    },

    'networks are read, and nothing else is' => static function (): void {
        $cases = ['10.0.0.0/8' => '10.0.0.0/8', ' 2001:DB8::/32 ' => '2001:db8::/32', '192.0.2.1' => '192.0.2.1',
            '::ffff:10.0.0.0/104' => '10.0.0.0/8', '10.0.0.0/33' => null, '10.0.0.0/x' => null, 'example.org' => null, '' => null,
            '/8' => null, '2001:db8::/129' => null, '0.0.0.0/0' => '0.0.0.0/0'];
        foreach ($cases as $text => $expected) {
            same($expected, Address::network((string) $text), (string) $text);
        }
        $inside = ['10.255.0.1' => ['10.0.0.0/8'], '192.0.2.127' => ['192.0.2.0/25'], '2001:db8:ffff::1' => ['2001:db8::/32'],
            '1.2.3.4' => ['0.0.0.0/0']];
        foreach ($inside as $address => $networks) {
            same(true, Address::isIn((string) $address, $networks), (string) $address);
        }
        $outside = ['192.0.2.128' => ['192.0.2.0/25'], '11.0.0.1' => ['10.0.0.0/8'], '::1' => ['0.0.0.0/0'], '10.0.0.1' => [],
            'x' => ['0.0.0.0/0']];
        foreach ($outside as $address => $networks) {
            same(false, Address::isIn((string) $address, $networks), (string) $address);
        }
        $private = ['10.1.1.1', '::1', '127.0.0.1', '::ffff:127.0.0.1', '169.254.169.254', '0.0.0.0', '100.64.1.1',
            'fe80::1', 'fd00::1', '224.0.0.1'];
        same(array_fill(0, 10, true), array_map([Address::class, 'isPrivate'], $private));
        same([false, false], array_map([Address::class, 'isPrivate'], ['8.8.8.8', '2606:4700::1']));
    },

    'where all visitors of a day have one address, that is known' => static function (): void {
        $site = new Site();
        $lookup = static fn (): Lookup => new Lookup($site->storage, $site->clock, new Hasher(str_repeat('k', 32)));
        $see = static function (string $address) use ($lookup): void {
            $one = $lookup();
            $one->hash(Hasher::ADDRESS, $address);
            $one->write();
        };
        same([], $lookup()->sources(86400));
        $see('198.51.100.1');
        $site->clock->now += 2 * 86400000;
        array_map($see, ['10.0.0.1', '10.0.0.1', 'command line', 'unknown']);
        same(['10.0.0.1'], $lookup()->sources(86400));
        $see('198.51.100.2');
        same(2, count($lookup()->sources(86400)));
    },
];
