<?php

/** A disk that is full or damaged, and a folder that cannot be written: nothing of it may look like success. */

declare(strict_types=1);

namespace Logystera\Tests;

use Logystera\FileStorage;
use Logystera\Flushed;
use Logystera\Folder;
use Logystera\Hasher;
use Logystera\Lookup;
use Logystera\Place;
use Logystera\Spool;

return [
    'a disk that takes nothing is a failure at each step, and what it did not take is counted and told later' => static function (): void {
        $site = new Site();
        $site->record(1);
        $site->flush();
        $recorder = $site->recorder();
        $job = ['job' => 'a', 'outcome' => 'ok'];
        $recorder->record('cron.run', $job);
        $recorder->write();
        $site->clock->now += 61000;
        $site->storage->isOutOfRoom = true;
        for ($i = 0; $i < 25; $i++) {
            $recorder->record('cron.run', $job);
            same(false, $recorder->write(), 'an append that failed');
        }
        same(['cron.run|disk' => [25, $site->clock->now]], $site->ledger->kept);
        same(false, $site->outbox()->isWritable(), 'the status');
        $asked = $site->flush(true);
        same([Flushed::UNWRITABLE, true], [$asked->outcome, $asked->isFailure()], 'a claim that failed');
        same(Flushed::UNWRITABLE, $site->flush()->outcome, 'and from cron');
        same(false, $recorder->recover(), 'nothing to recover to');
        same(25, $site->ledger->kept['cron.run|disk'][0]);
        $site->storage->isOutOfRoom = false;
        same([true, []], [$recorder->recover(), $site->ledger->kept]);
        same([true, Flushed::SENT], [$site->outbox()->isWritable(), $site->flush(true)->outcome]);
        same(['signals' => 2, 'cron.run|disk' => 25], tally($site->gateway));
    },

    'each file that cannot be written makes a flush fail, and none makes it lie' => static function (): void {
        foreach (['state', 'next', 'batch'] as $file) {
            $site = new Site();
            $site->record(2);
            $site->storage->failsToWrite = $file;
            same([Flushed::UNWRITABLE, []], [$site->flush()->outcome, $site->gateway->tries], $file);
            $site->storage->failsToWrite = '';
            $site->clock->now += 61000;
            same([Flushed::SENT, ['j0', 'j1']], [$site->flush()->outcome, $site->told()], $file);
        }
    },

    'what nothing came of is a failure' => static function (): void {
        $failures = [Flushed::FAILED, Flushed::UNWRITABLE, Flushed::CLOSED, Flushed::WAITING];
        foreach ([Flushed::BUSY, Flushed::IDLE, Flushed::SENT, ...$failures] as $outcome) {
            same(in_array($outcome, $failures, true), (new Flushed($outcome))->isFailure(), $outcome);
        }
    },

    'a folder that is not there takes no signal, and each is counted' => static function (): void {
        $site = new Site('/nowhere/logystera');
        $recorder = $site->recorder(['cron.run', 'mail.outcome'], true);
        $recorder->record('cron.run', ['job' => 'a', 'outcome' => 'ok']);
        $recorder->record('cron.run', ['job' => 'b', 'outcome' => 'perhaps']);
        $recorder->record('mail.outcome', ['outcome' => 'sent']);
        $recorder->write();
        same(['cron.run|disk', 'mail.outcome|disk', 'cron.run|refused'], array_values(array_intersect(
            ['cron.run|disk', 'mail.outcome|disk', 'cron.run|refused'],
            array_keys($site->ledger->kept)
        )));
        same(Flushed::UNWRITABLE, $site->flush()->outcome);
    },

    'files are for their owner only, whatever the umask, and each name is a script\'s' => static function (): void {
        $umask = umask(0);
        try {
            $folder = Site::scratch();
            chmod($folder, 0755);
            same([$folder, 0755], [Folder::usable($folder), fileperms($folder) & 0777], 'a folder of the configuration stays as it is');
            same($folder, Folder::own($folder));
            clearstatcache();
            same(0700, fileperms($folder) & 0777, 'the folder');
            $site = new Site($folder);
            $site->bytesMax = 900;
            $site->record(20);
            $site->flush();
            $site->record(1);
            $site->outbox()->mayKick(1);
            $lookup = new Lookup($site->storage, $site->clock, new Hasher(str_repeat('k', 32)));
            $lookup->hash(Hasher::USER, 'alice');
            $lookup->write();
            $lookup->merge(1);
            $lookup->hash(Hasher::USER, 'bob');
            $lookup->write();
        } finally {
            umask($umask);
        }
        $files = glob("$folder/*") ?: [];
        same(true, count($files) >= 9, 'files');
        foreach ($files as $file) {
            same(0600, fileperms($file) & 0777, $file);
        }
        // What is being written must not be handed out as text: where a folder has its name, it cannot be written.
        mkdir("$folder/state.new.php");
        same(false, (new FileStorage($folder))->write('state', 'x', false));
        rmdir("$folder/state.new.php");
        touch("$folder/lookup.php.new");
        chmod("$folder/open.php", 0644);
        Folder::tidy($folder);
        clearstatcache();
        same([false, 0600], [is_file("$folder/lookup.php.new"), fileperms("$folder/open.php") & 0777], 'what older versions left');
    },

    'a file whose guard did not get onto the disk is begun anew' => static function (): void {
        foreach (['', "\0\0\0\0", 'alice', substr(Spool::GUARD, 0, 20)] as $left) {
            $site = new Site();
            $folder = folderOf($site);
            file_put_contents("$folder/meanings.php", $left);
            $lookup = new Lookup($site->storage, $site->clock, new Hasher(str_repeat('k', 32)));
            $hash = $lookup->hash(Hasher::USER, '<?php echo 1;');
            $lookup->write();
            same(0, strpos((string) $site->storage->read('meanings'), Spool::GUARD), json_encode($left));
            same('<?php echo 1;', $lookup->find($hash)['meaning']);
            same('', (string) shell_exec(escapeshellarg(PHP_BINARY) . ' -n ' . escapeshellarg("$folder/meanings.php")));
            file_put_contents("$folder/open.php", $left);
            $site->record(1);
            same(0, strpos((string) $site->storage->read('open'), Spool::GUARD), json_encode($left));
        }
    },

    'a state of wrong types heals, and no signal is lost for it' => static function (): void {
        $wrong = ['x', '', null, true, 1.5, -7, [], ['a' => 'b'], [[[]]]];
        $fresh = new Site();
        $fresh->record(1);
        $fresh->flush();
        $batch = ['seq', 'encoding', 'digest', 'count', 'number', 'from', 'to', 'counts', 'told', 'oldest', 'through_before', 'tried'];
        $keys = array_merge(array_keys($fresh->state()->values), array_map(static fn (string $k): string => "batch.$k", $batch));
        foreach ($keys as $key) {
            foreach ($wrong as $value) {
                $site = new Site();
                $site->record(2);
                $site->gateway->script = [new \Logystera\Answer(0)];
                $site->flush();
                $values = $site->state()->values;
                [$first, $second] = array_pad(explode('.', $key), 2, null);
                $second === null ? $values[$first] = $value : $values[$first][$second] = $value;
                $site->storage->write('state', Spool::GUARD . json_encode($values), false);
                $site->record(1);
                $site->clock->now += 4000000;
                // A closed site and a pause are what they are.
                $site->flush(true);
                $site->clock->now += 4000000;
                $site->flush(true);
                $what = "$key = " . json_encode($value);
                if ($what !== 'closed = true') {
                    same(['j0', 'j1', 'j2'], array_values(array_unique(preg_grep('/^j/', $site->told()) ?: [])), $what);
                }
            }
        }
    },

    'a damaged file of the spool heals, and what cannot be read is counted' => static function (): void {
        foreach (['dropped' => 3, 'open' => 3, 'segment' => 0, 'batch' => 3, 'state' => 3] as $name => $kept) {
            $json = '{"generation":"x","counts":{"a":1,"b|disk":[1]}}';
            $damages = ['', "\0\0\0", Spool::GUARD, Spool::GUARD . '"x"', Spool::GUARD . $json];
            foreach ($damages as $damage) {
                $site = new Site();
                $site->record(3);
                $site->gateway->script = [new \Logystera\Answer(0)];
                $name === 'open' || $name === 'dropped' ? null : $site->flush();
                $whole = (string) $site->storage->read($name);
                // The head is gone, and where lines can be told from it, they are there.
                $hasLines = in_array($name, ['open', 'segment'], true);
                $head = (int) strpos($whole, "\n", $hasLines ? strlen(Spool::GUARD) : 0);
                $text = $hasLines ? str_pad(substr($damage, 0, $head), $head, "\0") . substr($whole, $head) : $damage;
                $site->storage->write($name, $text, false);
                $name === 'segment' ? $site->storage->delete('batch') : null;
                $site->record(1);
                $site->clock->now += 61000;
                $site->flush(true);
                $site->clock->now += 61000;
                $site->flush(true);
                $tally = tally($site->gateway);
                $what = "$name: " . json_encode($damage) . json_encode($tally);
                same(4, $tally['signals'] + ($tally['cron.run|disk'] ?? 0), $what);
                checkWatermarks($site->gateway);
            }
        }
    },

    'the place of the spool: what is there stays, what had to go elsewhere comes back' => static function (): void {
        $base = Site::scratch();
        [$best, $inside, $root] = ["$base/.logystera-x", "$base/uploads/logystera-x", "$base/www"];
        mkdir($root);
        $find = static function (array $stored, int $now, bool $knowsRoot = true) use ($best, $inside, $root): array {
            return Place::find($stored, $root, $knowsRoot ? $best : '', [$inside], $now);
        };
        try {
            [$folder, $stored] = $find(['token' => 't'], 1000);
            same([$best, ['token' => 't', 'root' => $root, 'folder' => $best]], [$folder, $stored], 'beside the web root');
            same([$best, $stored], $find($stored, 2000, false), 'also where the web root is not known');
            file_put_contents("$best/open.php", 'x');
            // It is gone and cannot be made: for as long as that lasts, it is elsewhere.
            rename($best, "$base/away");
            touch($best);
            [$folder, $stored] = $find($stored, 3000);
            same([$inside, true], [$folder, is_file("$inside/.htaccess")], 'elsewhere');
            file_put_contents("$inside/open.php", 'y');
            unlink($best);
            same($inside, $find($stored, 5000, false)[0], 'a command does not know');
            [$folder, $stored] = $find($stored, 5000);
            same([$best, 'y', false], [$folder, file_get_contents("$best/open.php"), is_dir($inside)], 'back, with what waited');
            // What lies in both goes out from both.
            rename($best, $inside);
            rename("$base/away", $best);
            $stored['folder'] = $inside;
            unset($stored['looked_at']);
            [$folder, $stored] = $find($stored, 9000);
            same([$best, [$inside]], [$folder, $stored['left'] ?? null], 'both');
            same([$best, $stored], $find($stored, 9100), 'and that is all');
            // Neither can be made: it is said where it should be, so that each signal is counted as lost.
            foreach ([$best, $inside] as $one) {
                Folder::remove($one, true);
                touch($one);
            }
            same([$best, ['token' => 't']], $find(['token' => 't'], 1), 'nowhere');
        } finally {
            shell_exec('rm -rf ' . escapeshellarg($base));
        }
    },
];
