<?php

/**
 * Loads the classes of `Logystera\` from src/, so that nothing but PHP is needed where they run.
 */

declare(strict_types=1);

spl_autoload_register(static function (string $class): void {
    // The core's own namespace is flat: what lies deeper is the platforms' or the tests'.
    if (strncmp($class, 'Logystera\\', 10) === 0 && strpos($class, '\\', 10) === false) {
        require __DIR__ . '/src/' . substr($class, 10) . '.php';
    }
});
