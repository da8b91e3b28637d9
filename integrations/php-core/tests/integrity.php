<?php

/** Files that change on disk: what is told, what is not, and how much a slice may cost. */

declare(strict_types=1);

namespace Logystera\Tests;

use Logystera\FileStorage;
use Logystera\Integrity;
use Logystera\Limits;
use Logystera\Script;
use Logystera\Watched;

return [
    'the first pass only learns; then each change is told once' => static function (): void {
        $tree = new Tree();
        same([], $tree->pass(), 'learnt');
        same([], $tree->pass(), 'nothing happened');
        $tree->put('mu/evil.php', "<?php evil();\n");
        $tree->put('core/lib/b.php', "<?php one(); eval(base64_decode(\$x));\n");
        $tree->put('core/lib/c.js', "<?php two();\n");
        $tree->put('core/lib/new.php', '');
        chmod("$tree->root/core/a.php", 0777);
        $tree->put('uploads/2026/shell.PHP', '<?php x();');
        same([
            ['/mu/evil.php', 14, []], ['/core/a.php', 0, ['permission_change']], ['/core/lib/b.php', 25, ['obfuscated']],
            ['/core/lib/c.js', 0, []], ['/core/lib/new.php', 0, []], ['/uploads/2026/shell.PHP', 10, []],
        ], $tree->pass(), 'told');
        same([], $tree->pass(), 'once');
        unlink("$tree->root/core/lib/c.js");
        unlink("$tree->root/uploads/2026/shell.PHP");
        exec('rm -r ' . escapeshellarg("$tree->root/mu/evil.php"));
        same([['/mu/evil.php', -14, []], ['/core/lib/c.js', -13, []]], $tree->pass(), 'gone; of uploads nobody is told');
        $tree->put('uploads/2026/shell.PHP', '<?php x();');
        same([['/uploads/2026/shell.PHP', 10, []]], $tree->pass(), 'and there again');
    },
    'what was only touched, or says nothing, is no change' => static function (): void {
        $tree = new Tree();
        $tree->pass();
        touch("$tree->root/core/a.php", 1000000000);
        rename("$tree->root/core/lib/b.php", "$tree->root/x");
        copy("$tree->root/x", "$tree->root/core/lib/b.php");
        $tree->put('uploads/index.php', "<?php\n// Silence is golden.\n");
        $tree->put('uploads/text.txt', '<?php');
        $tree->put('uploads/2026/ours/state.php', '<?php x();');
        same([], $tree->pass());
        $tree->put('uploads/index.php', "<?php\n// Silence. ?> <?php evil();\n");
        same([['/uploads/index.php', 7, []]], $tree->pass(), 'it was silent');
        same(12, filesize("$tree->root/core/a.php") - 1, 'same size');
        $tree->put('core/a.php', "<?php two();\n");
        touch("$tree->root/core/a.php", 1000000000);
        same([['/core/a.php', 0, []]], $tree->pass(), 'same size and time of writing');
    },
    'an update makes no noise' => static function (): void {
        $tree = new Tree();
        $tree->pass();
        foreach (['core/a.php', 'core/lib/b.php', 'core/lib/more.php'] as $name) {
            $tree->put($name, "<?php updated();\n");
        }
        unlink("$tree->root/core/lib/c.js");
        $tree->marks['core'] = '6.9';
        $tree->put('mu/evil.php', '<?php evil();');
        same([['/mu/evil.php', 13, []]], $tree->pass(), 'another folder has nothing to do with it');
        $tree->put('core/a.php', "<?php evil();\n");
        same([['/core/a.php', -3, []]], $tree->pass(), 'afterwards a change is one again');
        // The same version once more, as "Re-install" does it, and an upload of which its hook told.
        $tree->put('core/a.php', "<?php updated();\n");
        $tree->integrity()->renew(['core']);
        $tree->put('uploads/told.php', '<?php x();');
        $tree->integrity()->told(["$tree->root/uploads/told.php"]);
        same([], $tree->pass(), 'renewed');
        $tree->put('uploads/told.php', '<?php yy();');
        same([['/uploads/told.php', 1, []]], $tree->pass(), 'told of once, not for ever');
    },
    'a slice is bounded, and a pass goes through 10,000 files' => static function (): void {
        $tree = new Tree();
        for ($i = 0; $i < 10000; $i++) {
            touch("$tree->root/uploads/2026/" . ($i % 50 === 1 ? "old-$i.php" : "photo-$i.jpg"));
        }
        $tree->pass();
        [$tree->clock->stepMs, $slices, $most] = [1, 0, 0];
        $tree->put('uploads/2026/zz.php', '<?php x();');
        $told = [];
        for ($passes = $tree->integrity()->passes(); $tree->integrity()->passes() === $passes; $slices++) {
            $tree->files->looks = 0;
            $told = array_merge($told, $tree->slice());
            $most = max($most, $tree->files->looks);
        }
        same(['2026/zz.php'], array_column($told, 'name'));
        // The clock is looked at for each name: 20 ms are over after 20 of them, and the least is done all the same.
        same(true, $most <= Limits::LOOK_NAMES_MIN + 8 && $slices >= 10000 / Limits::LOOK_NAMES_MIN, "$most looks, $slices slices");
        [$tree->clock->stepMs, $tree->files->looks] = [0, 0];
        $tree->slice();
        same(true, $tree->files->looks <= 2 * Limits::LOOK_NAMES_MAX && $tree->files->looks > Limits::LOOK_NAMES_MAX / 2, 'names in all');
        // What has to be read ends a slice as soon as its time is over.
        $tree->pass();
        [$tree->clock->stepMs, $tree->files->reads] = [30, 0];
        for ($i = 1; $i < 1000; $i += 50) {
            $tree->put("uploads/2026/old-$i.php", '<?php y();');
        }
        while ($tree->files->reads === 0) {
            $tree->slice();
        }
        same(1, $tree->files->reads, 'one file is read');
    },
    'what is remembered is bounded' => static function (): void {
        $tree = new Tree();
        $tree->pass();
        for ($i = 0; $i <= Limits::WATCHED_FILES_MAX; $i++) {
            touch(sprintf("%s/core/lib/%05d.php", $tree->root, $i));
        }
        $tree->put('uploads/' . str_repeat('d', 200) . '/' . str_repeat('e', 200) . '/' . str_repeat('f', 200) . '.php', 'x');
        $left = 0;
        $integrity = $tree->integrity();
        $watched = [new Watched('core', "$tree->root/core", true, '/\.php$/', '6.8'),
            new Watched('uploads', "$tree->root/uploads", true, Script::NAME, '', true)];
        do {
            $integrity->look($watched);
            $left += $integrity->left();
        } while ($integrity->passes() < 2);
        same(4, $left, 'three of so many files, and the one whose path is too long');
        same(true, filesize($tree->spoolFile('files0')) < 1000000, 'on disk');
        $many = array_fill(0, Limits::WATCHED_FOLDERS_MAX + 3, $watched[0]);
        $tree->integrity()->look($many);
        same(false, is_file($tree->spoolFile('files' . Limits::WATCHED_FOLDERS_MAX)), 'folders');
        // Deeper than that nobody goes.
        $deep = 'uploads' . str_repeat('/d', Limits::FOLDER_DEPTH_MAX);
        $tree = new Tree();
        $tree->pass();
        $tree->put("$deep/in.php", 'x');
        $tree->put("$deep/d/out.php", 'x');
        same(['in.php'], array_map('basename', array_column($tree->pass(), 0)));
    },
    'names of any kind are told as the catalogue has paths' => static function (): void {
        $tree = new Tree();
        $tree->pass();
        $names = [
            "line\nfeed.php", "bi\xe2\x80\xaedi.php", "tab\tby.php", 'a;b?c#d.php', "\xff\xfe.php", '-rf.php', 'jane@example.org.php',
            '%2e%2e.php', '0.php', ' .php', '<script>.php', "quote'\".php",
            'd41d8cd98f00b204e9800998ecf8427e.php', str_repeat('n', 240) . '.php',
        ];
        foreach ($names as $name) {
            $tree->put("uploads/$name", 'x');
        }
        $told = $tree->pass();
        same(count($names), count($told), 'each');
        same(true, in_array('/uploads/a_b_c_d.php', array_column($told, 0), true), 'what ends a request ends no file');
        foreach ($told as [$path]) {
            $signal = \Logystera\Catalogue::signal('file.edit', ['path' => $path, 'size_delta' => 1, 'heuristics' => []]);
            same($path, $signal['path'] ?? null, 'it fits');
            same(0, preg_match('/[^!-~]|@|8427e/', $path), $path);
        }
        same([], $tree->pass(), 'once');
    },
    'a link is never followed, but is there' => static function (): void {
        $tree = new Tree();
        mkdir("$tree->root.spool/out");
        file_put_contents("$tree->root.spool/out/far.php", '<?php far();');
        $tree->pass();
        symlink("$tree->root.spool/out", "$tree->root/uploads/folder");
        symlink("$tree->root/uploads", "$tree->root/uploads/2026/round");
        symlink("$tree->root.spool/out/far.php", "$tree->root/uploads/near.php");
        $length = strlen("$tree->root.spool/out/far.php");
        $reads = $tree->files->reads;
        same([['/uploads/near.php', $length, []]], $tree->pass());
        file_put_contents("$tree->root.spool/out/far.php", '<?php other();');
        same([], $tree->pass(), 'what it leads to is not ours');
        // The watched folder itself may be a link: that is what somebody configured.
        rename("$tree->root/uploads", "$tree->root/shared");
        symlink("$tree->root/shared", "$tree->root/uploads");
        $tree->put('shared/x.php', 'x');
        same([['/uploads/x.php', 1, []]], $tree->pass());
    },
    'what cannot be read is passed over, and is not gone' => static function (): void {
        $tree = new Tree();
        $tree->put('core/lib/secret.php', '<?php x();');
        $tree->files->closed = ['secret.php'];
        $tree->pass();
        $tree->put('core/lib/secret.php', '<?php longer();');
        same([['/core/lib/secret.php', 5, []]], $tree->pass(), 'by its size');
        $tree->files->closed = ['lib'];
        same([], $tree->pass(), 'a folder that is closed');
        $tree->files->closed = [];
        same([], $tree->pass(), 'and open again');
        // A disk that is away: an empty folder, and none.
        $tree->put('uploads/a.php', 'x');
        $tree->pass();
        foreach (['uploads', 'core'] as $name) {
            rename("$tree->root/$name", "$tree->root/$name.away");
        }
        mkdir("$tree->root/uploads");
        same([], $tree->pass(), 'away');
        rmdir("$tree->root/uploads");
        foreach (['uploads', 'core'] as $name) {
            rename("$tree->root/$name.away", "$tree->root/$name");
        }
        same([], $tree->pass(), 'back');
        // A folder that was not there at first has nothing in it that is known.
        rmdir("$tree->root/mu");
        unlink($tree->spoolFile('files'));
        $tree->pass();
        $tree->put('mu/first.php', 'x');
        same([['/mu/first.php', 1, []]], $tree->pass(), 'the first of its folder');
    },
    'damage is learnt anew, and a full disk tells nothing twice' => static function (): void {
        $tree = new Tree();
        $tree->pass();
        foreach (['', '{', '{"at":7,"known":{"core":9},"passes":"x","behind":[]}', '[]', "\xff"] as $text) {
            file_put_contents($tree->spoolFile('files'), \Logystera\Spool::GUARD . $text);
            same([], $tree->pass(), $text);
        }
        foreach (['', "uploads\n", "core\na.php\tx\n"] as $i => $text) {
            file_put_contents($tree->spoolFile('files1'), \Logystera\Spool::GUARD . $text);
            same($i < 2 ? 0 : 3, count($tree->pass()), "entries $i");
            same([], $tree->pass());
        }
        $tree->put('mu/evil.php', 'x');
        $storage = new FragileStorage(dirname($tree->spoolFile('x')));
        $storage->isOutOfRoom = true;
        $full = new Integrity($storage, $tree->clock, $tree->files);
        same([], $full->look([new Watched('mu', "$tree->root/mu", true, '/\.php$/')]), 'full');
        same([['/mu/evil.php', 1, []]], $tree->pass(), 'told when it can be remembered');
        // Somebody else looks at the moment.
        $lock = (new FileStorage(dirname($tree->spoolFile('x'))))->lock('look', false);
        $tree->put('mu/evil.php', 'xx');
        same([], $tree->slice(), 'busy');
        fclose($lock);
        same([['/mu/evil.php', 1, []]], $tree->pass());
    },
];
