<?php

/** Several processes on one spool. */

declare(strict_types=1);

namespace Logystera\Tests;

use Logystera\FileStorage;
use Logystera\Hasher;
use Logystera\Lookup;
use Logystera\Spool;
use Logystera\SystemClock;

/** Runs this file's other half with the arguments, and gives the process. */
function worker(string ...$arguments)
{
    $command = array_merge([PHP_BINARY, __DIR__ . '/worker.php'], $arguments);
    return proc_open($command, [], $pipes);
}

return [
    'four append while a fifth rotates: 100,000 lines, none lost, none torn' => static function (): void {
        $folder = Site::scratch();
        $perWorker = 25000;
        $workers = [];
        for ($i = 0; $i < 4; $i++) {
            $workers[] = worker('append', $folder, "w$i", (string) $perWorker);
        }
        $storage = new FileStorage($folder);
        $spool = new Spool($storage, new SystemClock(), PHP_INT_MAX);
        [$seen, $last, $rotations] = [[], 0, 0];
        do {
            $running = array_filter($workers, static fn ($w): bool => proc_get_status($w)['running']);
            $rotated = $spool->rotate();
            if ($rotated['hasSegment']) {
                $rotations++;
                $head = $spool->head('segment');
                $text = (string) $storage->read('segment', $head['begin']);
                foreach (explode("\n", rtrim($text, "\n")) as $line) {
                    same(1, preg_match('/^(\d+) \{"type":"cron.run","at":\1,"job":"(w\d-\d+)","outcome":"ok"\}$/D', $line, $m), $line);
                    same(true, (int) $m[1] >= $last, 'order');
                    $last = (int) $m[1];
                    $seen[$m[2]] = ($seen[$m[2]] ?? 0) + 1;
                }
                same(true, $last <= $rotated['through'], 'through');
                $last = $rotated['through'] + 1;
                $storage->delete('segment');
            }
        } while ($running !== [] || $rotated['hasSegment']);
        same(4 * $perWorker, count($seen), 'lost');
        same([1], array_values(array_unique($seen)), 'twice');
        same(true, $rotations > 20, "only $rotations rotations");
    },

    'four write what hashes stand for while a fifth merges it: none is lost' => static function (): void {
        $folder = Site::scratch();
        $workers = array_map(static fn (int $i) => worker('mean', $folder, "w$i", '1000'), range(0, 3));
        $lookup = new Lookup(new FileStorage($folder), new SystemClock(), $hasher = new Hasher(str_repeat('k', 32)));
        for ($merges = 0; array_filter($workers, static fn ($w): bool => proc_get_status($w)['running']) !== []; $merges++) {
            $lookup->merge(1);
        }
        $found = [];
        for ($i = 0; $i < 4000; $i++) {
            $found[] = $hasher->hash(Hasher::USER, 'w' . $i % 4 . '-' . intdiv($i, 4));
        }
        same(4000, count(array_filter($lookup->findAll($found))), "lost, after $merges merges");
        same(true, $merges > 5, "only $merges merges");
    },

    'of flushers at the same time one sends' => static function (): void {
        $site = new Site();
        $site->record(1);
        $lock = $site->storage->lock('flush', false);
        same('busy', $site->flush()->outcome);
        $site->storage->unlock($lock);
        same('sent', $site->flush()->outcome);
    },

    'who waited for a lock whose file was replaced waits for the new one' => static function (): void {
        $folder = Site::scratch();
        $storage = new FileStorage($folder);
        $old = $storage->lock('lock', true);
        $waiting = worker('lock', $folder, 'got', '1');
        usleep(300000);
        unlink("$folder/lock.php");
        $new = $storage->lock('lock', false);
        $storage->unlock($old);
        usleep(300000);
        same(null, $storage->read('got'), 'two have the lock');
        $storage->unlock($new);
        same(0, proc_close($waiting));
        same('got', $storage->read('got'));
    },
    'what a command makes as root belongs to whom the folder belongs to' => static function (): void {
        $folder = Site::scratch();
        if (!function_exists('posix_geteuid') || posix_geteuid() !== 0) {
            return;
        }
        chown($folder, 65534);
        $storage = new FileStorage($folder);
        $spool = new Spool($storage, new SystemClock());
        $spool->append([[1, ['type' => 'cron.run']]]);
        $storage->append('meanings', 'x');
        $spool->rotate();
        $owners = array_map('fileowner', (array) glob("$folder/*.php"));
        same(array_fill(0, 4, 65534), $owners);
    },
];
