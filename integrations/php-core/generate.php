<?php

/**
 * Writes src/CatalogueData.php from the schemas of the signals.
 *
 *   php integrations/php-core/generate.php           writes it
 *   php integrations/php-core/generate.php --check   exits with 1 where it is not what the schemas say
 */

declare(strict_types=1);

const SCHEMAS = __DIR__ . '/../../schemas/avsc/signals';
const TARGET = __DIR__ . '/src/CatalogueData.php';

/** What a field may hold, as the lists of `CatalogueData::TYPES` have it. */
function kind(string $where, $type): array
{
    if ($type === 'boolean') {
        return ['bool'];
    }
    if ($type === 'logystera.Hash') {
        return ['hash'];
    }
    switch (is_array($type) ? ($type['type'] ?? null) : null) {
        case 'enum':
            return ['enum', $type['symbols']];
        case 'array':
            return ['list', $type['items']['symbols']];
        case 'long':
            return ['int', $type['minimum'], $type['maximum']];
        case 'string':
            return ['ident', $type['class'], $type['max_length']];
    }
    throw new RuntimeException("$where: its type is none that the integrations know");
}

function catalogue(): array
{
    $types = [];
    $files = glob(SCHEMAS . '/*.avsc');
    sort($files);
    foreach ($files as $file) {
        $schema = json_decode((string) file_get_contents($file), true, 64, JSON_THROW_ON_ERROR);
        // What only the engine makes is refused from a sender.
        if (isset($schema['made_by'])) {
            continue;
        }
        foreach ($schema['fields'] as $field) {
            if ($field['name'] === 'at') {
                continue;
            }
            // An optional field is a union whose first branch is null.
            $type = $field['type'];
            $isOptional = is_array($type) && ($type[0] ?? null) === 'null';
            $kind = kind("$file: {$field['name']}", $isOptional ? $type[1] : $type);
            $types[$schema['signal']][$field['name']] = array_merge([$isOptional], $kind);
        }
    }
    return $types;
}

function literal($value): string
{
    if (is_array($value)) {
        return '[' . implode(', ', array_map('literal', $value)) . ']';
    }
    return is_bool($value) ? ($value ? 'true' : 'false') : var_export($value, true);
}

function source(array $types): string
{
    $lines = [];
    foreach ($types as $type => $fields) {
        $lines[] = "        '$type' => [";
        foreach ($fields as $name => $definition) {
            $line = "            '$name' => " . literal($definition) . ',';
            if (strlen($line) > 120) {
                $symbols = implode(",\n                ", array_map('literal', $definition[2]));
                $head = literal($definition[0]) . ', ' . literal($definition[1]);
                $line = "            '$name' => [$head, [\n                $symbols,\n            ]],";
            }
            $lines[] = $line;
        }
        $lines[] = '        ],';
    }
    $body = implode("\n", $lines);
    return <<<PHP
    <?php

    /**
     * Made from schemas/avsc/signals by generate.php; a test compares. Don't edit: change the schema and run
     * `php integrations/php-core/generate.php`.
     */

    declare(strict_types=1);

    namespace Logystera;

    /** The catalogue's signal types and what each field may hold, in the catalogue's order. */
    final class CatalogueData
    {
        /**
         * Type => field => [whether a signal may lack it, kind, what bounds it]: `enum` and `list` name their
         * symbols, `int` its smallest and largest value, `ident` its class of characters and its length.
         */
        public const TYPES = [
    $body
        ];
    }

    PHP;
}

$source = source(catalogue());
if (in_array('--check', $argv, true)) {
    if ((string) @file_get_contents(TARGET) !== $source) {
        fwrite(STDERR, "src/CatalogueData.php is not what schemas/ says: run php integrations/php-core/generate.php\n");
        exit(1);
    }
    exit(0);
}
file_put_contents(TARGET, $source);
