<?php

/** A process of the tests: `append FOLDER NAME COUNT` puts signals into the spool one by one. */

declare(strict_types=1);

namespace Logystera\Tests;

use Logystera\FileStorage;
use Logystera\Spool;
use Logystera\SystemClock;

require __DIR__ . '/../autoload.php';

[, , $folder, $name, $count] = $argv;
$clock = new SystemClock();
$spool = new Spool(new FileStorage($folder), $clock, PHP_INT_MAX);
for ($i = 0; $i < (int) $count; $i++) {
    $spool->append([[$clock->nowMs(), ['type' => 'cron.run', 'job' => "$name-$i", 'outcome' => 'ok']]]);
}
