<?php

/** Loads the package's classes from src/, and the core's from core/, which the build puts beside it, or from its own folder. */

declare(strict_types=1);

spl_autoload_register(static function (string $class): void {
    if (strncmp($class, 'Logystera\\Php\\', 14) === 0) {
        require __DIR__ . '/src/' . substr($class, 14) . '.php';
    }
});
require_once is_dir(__DIR__ . '/core') ? __DIR__ . '/core/autoload.php' : dirname(__DIR__) . '/php-core/autoload.php';
