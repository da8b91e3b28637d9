<?php

/**
 * The tests of the core: php integrations/php-core/tests/run.php [WORD...] runs those whose name has one of the words.
 */

declare(strict_types=1);

namespace Logystera\Tests;

require __DIR__ . '/harness.php';
require __DIR__ . '/site.php';

$tests = array_merge(
    require __DIR__ . '/pure.php',
    require __DIR__ . '/redaction.php',
    require __DIR__ . '/planted.php',
    require __DIR__ . '/sending.php',
    require __DIR__ . '/spooling.php',
    require __DIR__ . '/lookups.php',
    require __DIR__ . '/standing.php',
    require __DIR__ . '/failing.php',
    require __DIR__ . '/shares.php',
    require __DIR__ . '/merging.php',
    require __DIR__ . '/page.php',
    require __DIR__ . '/handlers.php',
    require __DIR__ . '/addresses.php',
    require __DIR__ . '/fields.php',
    require __DIR__ . '/integrity.php',
    require __DIR__ . '/bounds.php',
    require __DIR__ . '/processes.php'
);
run($tests, array_slice($argv, 1));
