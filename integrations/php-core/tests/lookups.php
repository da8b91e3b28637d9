<?php

/** What hashes stand for: found on the site, forgotten in time, and not pushed out by a flood. */

declare(strict_types=1);

namespace Logystera\Tests;

use Logystera\Hasher;
use Logystera\Limits;
use Logystera\Lookup;

return [
    'hashes are looked up on the site, newest first, and forgotten' => static function (): void {
        $site = new Site();
        $lookup = static fn (): Lookup => new Lookup($site->storage, $site->clock, new Hasher(str_repeat('k', 32)));
        $first = $lookup();
        $user = $first->hash(Hasher::USER, 'alice');
        $value = $first->hash(Hasher::VALUE, 'hunter2', "a value of\tblogname");
        $first->write();
        same('alice', $lookup()->find(strtoupper(" $user "))['meaning']);
        same('a value of blogname', $lookup()->find($value)['meaning']);
        $lookup()->merge();
        same(null, $site->storage->read('lookup'), 'so little is not worth it');
        $lookup()->merge(1);
        same(Hasher::USER, $lookup()->find($user)['kind']);
        same(false, strpos((string) $site->storage->read('lookup'), 'hunter2'));
        $site->clock->now += 91 * 86400000;
        $later = $lookup();
        $later->hash(Hasher::USER, 'bob');
        $later->write();
        $later->merge(1);
        same(null, $lookup()->find($user));
    },

    'so many bytes of settings are hashed in one request, and what is beyond is not written out' => static function (): void {
        $max = Limits::REQUEST_VALUE_BYTES_MAX;
        foreach ([100, 1000, 100000, $max, $max + 1, 10000000] as $size) {
            $site = new Site();
            $hasher = new Hasher(str_repeat('k', 32));
            $lookup = new Lookup($site->storage, $site->clock, $hasher);
            $value = str_repeat('v', $size);
            $expected = $hasher->hash(Hasher::VALUE, $value);
            $written = 0;
            $write = static function () use (&$written, $value): string {
                $written += strlen($value);
                return $value;
            };
            // A minute later there is room again, and where the clock went back.
            foreach ([[0, true], [Limits::REQUEST_MS_MAX - 1, false], [1, true], [-1, true]] as $step => [$later, $hasRoom]) {
                $site->clock->now += $later;
                [$written, $hashes] = [0, []];
                for ($i = 0; $i < 3000; $i++) {
                    $hashes[] = $lookup->value($write, 'a value of x');
                }
                $fits = $hasRoom ? intdiv($max, $size) : 0;
                same(array_pad(array_fill(0, $fits, $expected), 3000, null), $hashes, "$size B, step $step");
                same(true, $written <= ($hasRoom ? $max + $size : 0), "$size B, step $step: written out $written");
            }
            // Accounts and addresses are hashed all the same, and what a value was of is known.
            same($hasher->hash(Hasher::USER, 'alice'), $lookup->hash(Hasher::USER, 'alice'));
            $lookup->write();
            same($size <= $max ? 'a value of x' : null, $lookup->find($expected)['meaning'] ?? null);
        }
    },

    'a flood of one kind of meanings pushes out no other' => static function (): void {
        $site = new Site();
        $lookup = static fn (): Lookup => new Lookup($site->storage, $site->clock, new Hasher(str_repeat('k', 32)));
        $flood = static function (int $count) use ($site, $lookup): void {
            $one = $lookup();
            for ($i = 0; $i < $count; $i++) {
                $one->hash(Hasher::VALUE, $site->clock->now . " $i", "a value of option_$i");
            }
            $address = $one->hash(Hasher::ADDRESS, '192.0.2.99');
            $one->write();
            $count < 10000 || same('192.0.2.99', $lookup()->find($address)['meaning'] ?? null, 'in the same request');
        };
        $first = $lookup();
        $kept = [];
        for ($i = 0; $i < 100; $i++) {
            $kept[] = $first->hash(Hasher::ADDRESS, "198.51.100.$i");
            $kept[] = $first->hash(Hasher::USER, "user$i");
        }
        $first->write();
        for ($i = 0; $i < 50; $i++) {
            $site->clock->now += 1000;
            $flood($i === 0 ? 10000 : 600);
            $i % 10 === 9 ? $lookup()->merge(1) : null;
        }
        $late = $lookup();
        $hash = $late->hash(Hasher::ADDRESS, '203.0.113.1');
        $late->write();
        $stored = $site->storage->read('lookup');
        $found = array_filter($kept, static fn (string $one): bool => strpos((string) $stored, $one) !== false);
        same([200, '203.0.113.1'], [count($found), $lookup()->find($hash)['meaning'] ?? null]);
        // Nor does a backlog that nobody merges.
        for ($i = 0; $i < 40; $i++) {
            $site->clock->now += 1000;
            $flood(600);
        }
        same(true, $site->storage->size('meanings') <= Limits::LOOKUP_PENDING_BYTES_MAX);
        same(true, substr_count((string) $site->storage->read('lookup'), "\n") <= Limits::LOOKUP_ENTRIES_MAX + 1);
    },
];
