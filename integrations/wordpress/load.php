<?php

/**
 * Loads the plugin's classes from src/ and the core's from core/, which the build puts beside it. Those that each page needs are in
 * page.php besides, which the build makes of the others.
 */

declare(strict_types=1);

defined('ABSPATH') || exit;

spl_autoload_register(static function (string $class): void {
    if (strncmp($class, 'Logystera\\WordPress\\', 20) === 0) {
        require __DIR__ . '/src/' . str_replace('\\', '/', substr($class, 20)) . '.php';
    }
});
require_once __DIR__ . '/core/autoload.php';
require_once __DIR__ . '/page.php';
