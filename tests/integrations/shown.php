<?php

/** Whether each test that README.md names is there: php tests/integrations/shown.php [--planted], which demands that a wrong name is found. */

declare(strict_types=1);

const ROOT = __DIR__ . '/../..';
const FOLDERS = [
    'tests/integrations', 'tests/integrations/drupal', 'integrations/php-core/tests', 'integrations/php/tests', 'processor/tests/timelines',
];

/** @return string[] what is wrong */
function findings(string $page): array
{
    preg_match_all('/`([\w.-]+\.(?:php|py|rs)): ([^`]+)`/', $page, $named, PREG_SET_ORDER);
    $found = count($named) < 50 ? ['README.md names hardly a test'] : [];
    foreach ($named as [$whole, $file, $name]) {
        $sought = [
            'php' => "'" . addcslashes($name, "'") . "' => ", 'py' => 'def test_' . strtr($name, ' ', '_') . '(', 'rs' => "fn $name(",
        ][pathinfo($file, PATHINFO_EXTENSION)];
        $paths = array_filter(array_map(static fn (string $folder): string => ROOT . "/$folder/$file", FOLDERS), 'is_file');
        $isThere = array_filter($paths, static fn (string $path): bool => strpos((string) file_get_contents($path), $sought) !== false) !== [];
        $found = $isThere ? $found : array_merge($found, ["README.md: there is no $whole"]);
    }
    return $found;
}

$page = (string) file_get_contents(__DIR__ . '/README.md');
$isPlanted = in_array('--planted', $argv, true);
$found = findings($isPlanted ? str_replace('outage.py: what overflows', 'outage.py: what overflowed', $page) : $page);
echo implode("\n", $found), $found === [] ? '' : "\n";
exit(($found === []) === $isPlanted ? 1 : 0);
