<?php

/** What a flood of one type leaves of the others: on disk, and in one request. */

declare(strict_types=1);

namespace Logystera\Tests;

use Logystera\Recorder;
use Logystera\Shares;

/** A signal of a type, as long as those of a site. */
function sample(string $type, int $n): array
{
    $hash = str_pad(dechex($n), 32, '0', STR_PAD_LEFT);
    $samples = [
        'http.request' => ['method' => 'GET', 'path' => "/a/page/$n", 'status' => 200, 'route_group' => 'page', 'source' => $hash,
            'user_agent' => 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0'],
        'php.error' => ['level' => 'warning', 'component' => 'shop', 'file_hash' => $hash, 'line' => 1, 'message_hash' => $hash],
        'auth.attempt' => ['outcome' => 'failure', 'method' => 'form', 'reason' => 'bad_password', 'user_hash' => $hash,
            'user_length' => 5, 'source' => $hash, 'privileged' => false],
        'config.change' => ['key' => "key_$n", 'action' => 'updated', 'before_hash' => $hash, 'after_hash' => $hash],
        'user.change' => ['action' => 'created', 'role' => 'subscriber', 'user_hash' => $hash, 'user_length' => 5],
        'component.lifecycle' => ['kind' => 'plugin', 'slug' => "p$n", 'action' => 'activated'],
        'file.edit' => ['path' => "/wp-content/a$n.php", 'size_delta' => 1, 'heuristics' => ['php_in_uploads']],
        'cron.run' => ['job' => "job_$n", 'outcome' => 'ok'],
        'mail.outcome' => ['outcome' => 'failed', 'transport' => 'smtp', 'recipients' => $n % 50],
        'db.event' => ['kind' => 'error', 'query_hash' => $hash],
    ];
    return ['type' => $type] + $samples[$type];
}

/** Appends many, and gives how many were not kept. */
function flood(Site $site, string $type, int $count, array $more = [], bool $isVital = false): int
{
    $before = $site->outbox()->waiting()['signals'];
    foreach (array_chunk(range(1, $count), 50) as $chunk) {
        $site->spool()->append(array_map(
            static fn (int $n): array => [$site->clock->now, array_merge(sample($type, $n), $more), $isVital],
            $chunk
        ));
    }
    return $count - ($site->outbox()->waiting()['signals'] - $before);
}

return [
    'a flood of page views and warnings pushes out no other type' => static function (): void {
        $site = new Site();
        same(true, flood($site, 'http.request', 20000) > 0, 'the flood is larger than the spool');
        same(true, flood($site, 'php.error', 20000) > 0);
        same(0, flood($site, 'auth.attempt', 203), 'failed sign-ins');
        foreach (['user.change', 'component.lifecycle', 'file.edit', 'config.change'] as $type) {
            same(0, flood($site, $type, 400), $type);
        }
        same(0, flood($site, 'auth.attempt', 400, ['privileged' => true]), 'privileged accounts');
        foreach (['cron.run', 'mail.outcome', 'db.event'] as $type) {
            same(0, flood($site, $type, 100), $type);
        }
        // The same is true of what a rotation has set aside, and of floods of the types that are kept.
        $site->spool()->rotate();
        same(true, flood($site, 'config.change', 20000) > 19000);
        same(0, flood($site, 'user.change', 200), 'user.change, after a flood of settings');
        same(true, flood($site, 'user.change', 20000) > 19000);
        same(0, flood($site, 'user.change', 20, ['role' => 'administrator'], true), 'an administrator');
        same(true, flood($site, 'user.change', 20000, [], true) > 0, 'and even those have an end');
        same(true, $site->spool()->bytes() <= 4194304 * 33 / 32, 'the cap');
    },

    'what a full spool holds is known without reading it each time' => static function (): void {
        $site = new Site();
        flood($site, 'http.request', 20000);
        $each = static function (int $count, bool $isKnown) use ($site): float {
            $spent = 0.0;
            for ($i = 0; $i < $count; $i++) {
                $isKnown ? null : $site->storage->delete('tally');
                $start = microtime(true);
                $site->spool()->append([[$site->clock->now, sample('auth.attempt', 1)]]);
                $spent += microtime(true) - $start;
            }
            return $spent / $count;
        };
        [$counted, $known] = [$each(10, false), $each(50, true)];
        same(true, $known < $counted / 2, sprintf('%.5f s, counting all of it %.5f s', $known, $counted));
        // Another process appended, and left no tally, or a damaged one.
        $site->storage->delete('tally');
        same(0, flood($site, 'auth.attempt', 10));
        $site->storage->write('tally', 'x', false);
        same(0, flood($site, 'auth.attempt', 10));
    },

    'of a type that floods one request the repeats go first, and an administrator passes' => static function (): void {
        $cases = [
            '510 users' => static function (Recorder $r): void {
                for ($i = 1; $i <= 510; $i++) {
                    $r->record('user.change', array_diff_key(sample('user.change', $i), ['type' => 1]));
                }
            },
            '130 toggles of a role' => static function (Recorder $r): void {
                for ($i = 0; $i < 260; $i++) {
                    foreach (['role_revoked', 'role_granted'] as $action) {
                        $role = $action === 'role_granted' xor $i % 2 ? 'editor' : 'author';
                        $fields = ['action' => $action, 'role' => $role] + array_diff_key(sample('user.change', 1), ['type' => 1]);
                        $r->record('user.change', $fields);
                    }
                }
            },
            '10,000 toggles of the role that matters' => static function (Recorder $r): void {
                for ($i = 0; $i < 10000; $i++) {
                    foreach (['role_revoked', 'role_granted'] as $action) {
                        $fields = ['action' => $action, 'role' => 'administrator'];
                        $fields += array_diff_key(sample('user.change', 1), ['type' => 1]);
                        $r->record('user.change', $fields, $action === 'role_granted');
                    }
                }
            },
        ];
        foreach ($cases as $name => $act) {
            $site = new Site();
            $recorder = $site->recorder(['user.change']);
            $act($recorder);
            $recorder->record('user.change', array_diff_key(sample('user.change', 7777), ['type' => 1]));
            $admin = ['role' => 'administrator'] + array_diff_key(sample('user.change', 9999), ['type' => 1]);
            $recorder->record('user.change', $admin, true);
            $recorder->write();
            $site->flush();
            $told = $site->gateway->signals();
            same(1, count(array_filter($told, static fn ($s): bool => ($s['user_hash'] ?? '') === $admin['user_hash'])), $name);
            $isFull = $name === '510 users';
            $other = str_pad(dechex(7777), 32, '0', STR_PAD_LEFT);
            same($isFull ? 0 : 1, count(array_filter($told, static fn ($s): bool => ($s['user_hash'] ?? '') === $other)), "$name: another");
            same(true, count($told) <= 504, $name);
        }
    },

    'a process that runs for long is not silent for ever' => static function (): void {
        $site = new Site();
        $recorder = $site->recorder(['cron.run'], true);
        for ($minute = 0; $minute < 3; $minute++) {
            for ($i = 0; $i < 600; $i++) {
                $recorder->record('cron.run', ['job' => "j$minute-$i", 'outcome' => 'ok']);
            }
            $recorder->write();
            $site->clock->now += 61000;
        }
        $site->flush();
        same(['signals' => 1500, 'cron.run|overflow' => 300], tally($site->gateway));
    },

    'each type of the catalogue has its share, and all of them leave most of the room to whoever needs it' => static function (): void {
        $reserved = 0;
        foreach (\Logystera\Catalogue::types() as $type) {
            $reserved += $type === 'integration.dropped' ? 0 : Shares::units($type);
        }
        same(true, Shares::units('user.change') > Shares::units('http.request'));
        same(Shares::RESERVED_UNITS, $reserved + Shares::units(Shares::PRIVILEGED));
        same(true, Shares::RESERVED_UNITS * 2 < Shares::UNITS);
    },
];
