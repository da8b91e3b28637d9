<?php

/**
 * A process of the tests: `append FOLDER NAME COUNT` puts signals into the spool one by one, `mean` meanings into the look-up store, and
 * `lock FOLDER NAME 1` notes when it has the lock.
 */

declare(strict_types=1);

namespace Logystera\Tests;

use Logystera\FileStorage;
use Logystera\Hasher;
use Logystera\Lookup;
use Logystera\Spool;
use Logystera\SystemClock;

require __DIR__ . '/../autoload.php';

[, $what, $folder, $name, $count] = $argv;
$storage = new FileStorage($folder);
if ($what === 'lock') {
    $lock = $storage->lock('lock', true);
    $storage->write($name, $name, false);
    $storage->unlock($lock);
    exit;
}
$clock = new SystemClock();
$spool = new Spool($storage, $clock, PHP_INT_MAX);
for ($i = 0; $what === 'mean' && $i < (int) $count; $i++) {
    $lookup = new Lookup($storage, $clock, new Hasher(str_repeat('k', 32)));
    $lookup->hash(Hasher::USER, "$name-$i");
    $lookup->write();
}
for ($i = 0; $what === 'append' && $i < (int) $count; $i++) {
    $spool->append([[$clock->nowMs(), ['type' => 'cron.run', 'job' => "$name-$i", 'outcome' => 'ok']]]);
}
