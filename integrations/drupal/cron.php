<?php

/**
 * @file
 * Sends what waits, from the system's cron and without Drush.
 *
 * @code
 * * * * * * php /path/to/modules/contrib/logystera/cron.php
 * @endcode
 *
 * Run it as the user that the web server runs PHP as. Options: --root=FOLDER
 * (where Drupal's index.php is, if the module is linked from elsewhere),
 * --url=URL (a site of a multisite). Exit codes: 0 done, 1 nothing got through,
 * 2 wrong use, 3 not set up.
 */

declare(strict_types=1);

use Drupal\Core\DrupalKernel;
use Logystera\Flushed;
use Logystera\Limits;
use Symfony\Component\HttpFoundation\Request;

if (PHP_SAPI !== 'cli') {
  http_response_code(404);
  exit;
}

exit((static function (): int {
  $options = getopt('', ['root:', 'url:']);
  $root = $options['root'] ?? __DIR__;
  while (!isset($options['root']) && $root !== dirname($root) && !is_file("$root/core/lib/Drupal.php")) {
    $root = dirname($root);
  }
  if (!is_string($root) || !is_file("$root/core/lib/Drupal.php") || !is_file("$root/autoload.php")) {
    fwrite(STDERR, "logystera: no Drupal in $root: give its folder with --root=FOLDER\n");
    return 2;
  }
  chdir($root);
  $autoloader = require "$root/autoload.php";
  $url = is_string($options['url'] ?? NULL) ? $options['url'] : 'http://default';
  $script = ['SCRIPT_NAME' => '/index.php', 'SCRIPT_FILENAME' => "$root/index.php"];
  $request = Request::create($url, 'GET', [], [], [], $script);
  try {
    $kernel = DrupalKernel::createFromRequest($request, $autoloader, 'prod');
    $kernel->boot();
    $kernel->preHandle($request);
  }
  catch (\Throwable $fault) {
    // Its message could hold how the database is reached.
    fwrite(STDERR, 'logystera: Drupal did not come up: is its database away? ' . get_class($fault) . "\n");
    return 1;
  }
  $container = $kernel->getContainer();
  $runtime = $container->get('logystera.runtime');
  $folder = $container->get('logystera.spool_folder')->known();
  $owner = $folder === NULL ? FALSE : fileowner($folder);
  if (function_exists('posix_geteuid') && $owner !== FALSE && $owner !== posix_geteuid()) {
    fwrite(STDERR, "logystera: the signals belong to user $owner: run this as that user, or the site cannot read them\n");
    return 2;
  }
  if ($runtime->site() === NULL) {
    fwrite(STDERR, "logystera: not set up here: agree on the settings page first\n");
    return 3;
  }
  $flushed = $runtime->background(Limits::CRON_BUDGET_MS, TRUE);
  echo 'logystera: ' . $flushed->outcome . ', ' . $flushed->batches . " batches\n";
  if ($flushed->outcome === Flushed::UNWRITABLE) {
    fwrite(STDERR, "logystera: the folder for signals cannot be written, and signals are lost: check its rights and the disk\n");
  }
  return $flushed->isFailure() ? 1 : 0;
})());
