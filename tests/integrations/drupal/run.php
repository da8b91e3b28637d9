<?php

/**
 * The tests of the Drupal module without a Drupal: its own services file in a real container of Symfony, events of Symfony's own dispatcher and
 * kernel, and doubles of what Drupal has, by contract. What real Drupal does with it is tests/integrations/drupal.py's to say.
 *
 *   php tests/integrations/drupal/run.php [WORD...]     those whose name has one of the words
 */

declare(strict_types=1);

namespace Logystera\Tests\Drupal;

use function Logystera\Tests\run;

error_reporting(E_ALL & ~E_DEPRECATED & ~E_USER_DEPRECATED);
foreach (['DependencyInjection', 'EventDispatcher', 'HttpKernel', 'Yaml'] as $component) {
    require_once "Symfony/Component/$component/autoload.php";
}
foreach (['contracts', 'libraries', 'doubles', 'services', 'managers', 'site', 'actions'] as $file) {
    require_once __DIR__ . "/$file.php";
}
$folder = sys_get_temp_dir() . '/logystera-module-' . getmypid();
mkdir($folder, 0700);
register_shutdown_function(static fn () => exec('rm -rf ' . escapeshellarg($folder)));
exec(escapeshellarg(dirname(__DIR__, 3) . '/integrations/drupal/build') . ' ' . escapeshellarg($folder), $lines, $code);
if ($code !== 0) {
    exit("the module could not be built\n");
}
define('LOGYSTERA_MODULE', "$folder/logystera");
spl_autoload_register(static function (string $class): void {
    if (str_starts_with($class, 'Drupal\\logystera\\')) {
        require LOGYSTERA_MODULE . '/src/' . str_replace('\\', '/', substr($class, 17)) . '.php';
    }
});
require LOGYSTERA_MODULE . '/logystera.module';
// The core's own run prints, names what failed, and sets the exit code.
require dirname(__DIR__, 3) . '/integrations/php-core/tests/harness.php';

$tests = [];
foreach (['behaviour', 'floods', 'leaving', 'page', 'files'] as $file) {
    $tests = array_merge($tests, require __DIR__ . "/$file.php");
}
run($tests, array_slice($argv, 1));
