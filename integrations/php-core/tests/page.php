<?php

/** What the end of a page asks of the disk: each step of it is somebody's time. */

declare(strict_types=1);

namespace Logystera\Tests;

use Logystera\Hasher;
use Logystera\Limits;
use Logystera\Lookup;
use Logystera\Outbox;
use Logystera\Recorder;
use Logystera\Spool;

/** Ends a page that told of so many, as an integration does it, and gives what that asked of the disk. @return string[] */
function endOfPage(Site $site, int $signals): array
{
    static $page = 0;
    $page++;
    $spool = new Spool($site->storage, $site->clock, $site->bytesMax);
    $recorder = new Recorder($spool, $site->clock, ['http.request', 'php.error'], false, $site->ledger);
    $lookup = new Lookup($site->storage, $site->clock, new Hasher(str_repeat('k', 32)));
    $outbox = new Outbox($site->storage, $site->clock, $spool);
    for ($i = 0; $i < $signals; $i++) {
        $type = $i === 0 ? 'http.request' : 'php.error';
        $recorder->record($type, array_diff_key(sample($type, 1000000 + 10 * $page + $i), ['type' => 1]));
        $lookup->hash(Hasher::ADDRESS, "192.0.2.$i");
    }
    $site->storage->asked = [];
    $recorder->write();
    $lookup->write();
    $outbox->isFlushDue(Limits::FLUSH_AGE_MS, 60);
    return $site->storage->asked;
}

return [
    'a page asks little of the disk, and replaces no file' => static function (): void {
        $due = ['writtenAt state'];
        $told = ['lock lock', 'ends open', 'size segment', 'append open', 'grow meanings', ...$due];
        $site = new Site();
        $site->record(1);
        $site->flush();
        endOfPage($site, 1);
        same(['read open', 'size segment', ...$due], endOfPage($site, 0), 'nothing to tell');
        same($told, endOfPage($site, 1), 'a page view');
        same($told, endOfPage($site, 5), 'five events');
        // The gateway hangs: what waits has waited for long, and no try is due.
        $site->gateway->script = [new \Logystera\Answer(0)];
        $site->clock->now += 61000;
        $site->flush();
        $site->clock->now += 11000;
        endOfPage($site, 1);
        $waits = ['lock lock', 'ends open', 'size segment', 'append open', 'grow meanings', 'read state'];
        same([$waits, $waits], [endOfPage($site, 1), endOfPage($site, 5)], 'the gateway hangs');
    },

    'so does one in a spool that is full' => static function (): void {
        $site = new Site();
        flood($site, 'php.error', 20000);
        flood($site, 'http.request', 20000);
        $site->clock->now += 1000;
        endOfPage($site, 5);
        $room = ['lock lock', 'ends open', 'size segment', 'read tally', 'read open', 'read merged'];
        $counted = ['read state', 'ends dropped', 'append dropped'];
        $all = array_merge($room, $counted, ['grow meanings', 'writtenAt state', 'read state']);
        $before = $site->spool()->dropped(0)['counts'];
        same([$all, $all], [endOfPage($site, 1), endOfPage($site, 5)]);
        $after = $site->spool()->dropped(0)['counts'];
        $count = static fn (string $key): int => $after[$key][0] - $before[$key][0];
        same([2, 4], [$count('http.request|overflow'), $count('php.error|overflow')]);
        // Of a thousand pages few replace a file, and all are counted.
        $replaced = 0;
        for ($i = 0; $i < 1000; $i++) {
            $replaced += preg_grep('/^write /', endOfPage($site, 1)) === [] ? 0 : 1;
        }
        same(true, $replaced >= 1 && $replaced <= 9, "$replaced of 1,000 pages");
        same(true, $site->storage->size('dropped') <= Limits::DROPPED_BYTES_MAX + 1000);
        same($after['http.request|overflow'][0] + 1000, $site->spool()->dropped(0)['counts']['http.request|overflow'][0]);
    },

    'counts of what found no room survive what a dying machine leaves of them' => static function (): void {
        $counts = ['cron.run|overflow' => [2, 5]];
        $line = "\n" . json_encode($counts);
        $first = '{"generation":1,"counts":{"cron.run|overflow":[3,7]}}';
        $cases = [
            'whole' => [$first . $line . $line, [7, 5]],
            'of an older version' => [$first, [3, 7]],
            'a torn line' => [$first . substr($line, 0, 20) . $line, [5, 5]],
            'the first one damaged' => [substr($first, 0, 30) . $line, [2, 5]],
            'zeros' => [$first . "\0\0\0" . $line, [2, 5]],
            'no counts' => ["$first\nnull\n{\"x\":1}\n[]$line", [5, 5]],
        ];
        foreach ($cases as $name => [$text, $known]) {
            $site = new Site();
            $site->storage->write('dropped', Spool::GUARD . $text, false);
            same($known, $site->spool()->dropped(0)['counts']['cron.run|overflow'] ?? null, $name);
            same([], $site->spool()->append([], ['mail.outcome|disk' => [1, 9]]));
            $counts = $site->spool()->dropped(0)['counts'];
            same([1, 9], $counts['mail.outcome|disk'] ?? null, "$name, and one more");
        }
        // What was told begins the file anew, whatever it has.
        same(['generation' => 2, 'counts' => []], $site->spool()->dropped(1));
        $site->storage->write('state', Spool::GUARD . '{"told":1}', false);
        $site->spool()->append([], $counts = ['cron.run|disk' => [4, 8]]);
        same(['generation' => 2, 'counts' => $counts], $site->spool()->dropped(1));
    },
];
