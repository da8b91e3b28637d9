<?php

/**
 * What the tests of the core share: checks, a run that names what failed, and doubles of everything that is injected.
 */

declare(strict_types=1);

namespace Logystera\Tests;

require_once __DIR__ . '/../autoload.php';
require_once __DIR__ . '/doubles.php';
require_once __DIR__ . '/tree.php';

/** @var array<string, callable> the tests by name */
$tests = [];

/** Fails where the two differ. */
function same($expected, $actual, string $what = ''): void
{
    if ($expected !== $actual) {
        throw new \RuntimeException(sprintf(
            "%s\n    expected %s\n    got      %s",
            $what,
            json_encode($expected, JSON_UNESCAPED_SLASHES),
            json_encode($actual, JSON_UNESCAPED_SLASHES)
        ));
    }
}

/** Runs the tests whose name contains one of the arguments, or all; exits with 1 if one fails. */
function run(array $tests, array $arguments): void
{
    $failed = 0;
    foreach ($tests as $name => $test) {
        $isWanted = static fn (string $word): bool => strpos($name, $word) !== false;
        if ($arguments !== [] && array_filter($arguments, $isWanted) === []) {
            continue;
        }
        $start = microtime(true);
        try {
            $test();
            printf("ok      %5.2f s  %s\n", microtime(true) - $start, $name);
        } catch (\Throwable $error) {
            $failed++;
            printf("FAILED  %s: %s (line %d)\n", $name, $error->getMessage(), $error->getLine());
        }
    }
    exit($failed > 0 ? 1 : 0);
}
