<?php

/**
 * Sends what waits, from the system's cron and without WP-CLI:
 *
 *   * * * * * php /path/to/wp-content/plugins/logystera/cron.php
 *
 * Run it as the user that the web server runs PHP as. Options: --wp=FOLDER (where wp-load.php is, if the plugin is
 * linked from elsewhere), --url=URL (a site of a network). Exit codes: 0 done, 1 nothing got through, 2 wrong use, 3
 * not set up.
 */

declare(strict_types=1);

namespace Logystera\WordPress;

use Logystera\Flushed;
use Logystera\Limits;

if (PHP_SAPI !== 'cli') {
    http_response_code(404);
    exit;
}
$logysteraSay = static function (string $text): void {
    file_put_contents('php://stderr', "logystera: $text\n");
};
$logysteraOptions = getopt('', ['wp:', 'url:']);
$logysteraFolder = $logysteraOptions['wp'] ?? dirname(__DIR__, 3);
if (!is_string($logysteraFolder) || !is_file("$logysteraFolder/wp-load.php")) {
    $logysteraSay("no wp-load.php in $logysteraFolder: give its folder with --wp=FOLDER");
    exit(2);
}
if (isset($logysteraOptions['url'])) {
    $logysteraUrl = (array) parse_url((string) $logysteraOptions['url']);
    $_SERVER['HTTP_HOST'] = ($logysteraUrl['host'] ?? '') . (isset($logysteraUrl['port']) ? ":{$logysteraUrl['port']}" : '');
    $_SERVER['REQUEST_URI'] = $logysteraUrl['path'] ?? '/';
}
// Where WordPress cannot come up it shows a page, and says to nobody that it failed.
$logysteraIsUp = false;
ob_start();
register_shutdown_function(static function () use (&$logysteraIsUp, $logysteraSay): void {
    if (!$logysteraIsUp) {
        while (ob_get_level() > 0) {
            ob_end_clean();
        }
        $logysteraSay("WordPress did not come up: is it in maintenance, or its database away?");
        exit(1);
    }
});
require "$logysteraFolder/wp-load.php";
$logysteraIsUp = true;
while (ob_get_level() > 0) {
    ob_end_clean();
}

exit((static function () use ($logysteraSay): int {
    $folder = SpoolFolder::known();
    $owner = $folder === null ? false : fileowner($folder);
    if (function_exists('posix_geteuid') && $owner !== false && $owner !== posix_geteuid()) {
        $logysteraSay("the signals belong to user $owner: run this as that user, or the site cannot read them");
        return 2;
    }
    if (Plugin::site() === null) {
        $logysteraSay("not set up here: agree on the settings page first");
        return 3;
    }
    $flushed = Plugin::background(Limits::CRON_BUDGET_MS, true);
    echo 'logystera: ' . esc_html($flushed->outcome . ', ' . $flushed->batches . ' batches') . "\n";
    if ($flushed->outcome === Flushed::UNWRITABLE) {
        $logysteraSay("the folder for signals cannot be written, and signals are lost: check its rights and the disk");
    }
    return $flushed->isFailure() ? 1 : 0;
})());
