<?php

declare(strict_types=1);

namespace Logystera;

/** The allowlist: what the catalogue does not declare never gets into a spool. */
final class Catalogue
{
    private const CLASSES = [
        'name' => '~^[0-9A-Za-z_.:/\\\\-]+$~D',
        'slug' => '/^[0-9A-Za-z_.-]+$/D',
        'version' => '/^[0-9A-Za-z._+\~-]+$/D',
        'path' => '~^/[!-"$->A-\~]*$~D',
        'printable' => '/^[ -\~]+$/D',
        'action' => '/^[0-9a-z_:-]+$/D',
    ];

    /** @return string[] the names of all types */
    public static function types(): array
    {
        return array_keys(CatalogueData::TYPES);
    }

    /**
     * The signal as the catalogue has it: fields in its order, numbers within their bounds, texts cut to their
     * length. A field that may be missing is left out where its value does not fit; null where one that may not does
     * not.
     *
     * @param array<string, mixed> $fields
     * @return array<string, mixed>|null with `type` first and without `at`
     */
    public static function signal(string $type, array $fields): ?array
    {
        $definitions = CatalogueData::TYPES[$type] ?? null;
        if ($definitions === null || array_diff_key($fields, $definitions) !== []) {
            return null;
        }
        $signal = ['type' => $type];
        foreach ($definitions as $name => $definition) {
            $value = isset($fields[$name]) ? self::fit($fields[$name], $definition) : null;
            if ($value !== null) {
                $signal[$name] = $value;
            } elseif (!$definition[0]) {
                return null;
            }
        }
        return $signal;
    }

    /**
     * @param mixed $value
     * @param array<int, mixed> $definition
     * @return mixed the value as it may be sent, or null
     */
    private static function fit($value, array $definition)
    {
        switch ($definition[1]) {
            case 'enum':
                return in_array($value, $definition[2], true) ? $value : null;
            case 'list':
                $known = is_array($value) ? array_values(array_intersect($definition[2], $value)) : [];
                return is_array($value) && array_diff($value, $definition[2]) === [] ? $known : null;
            case 'int':
                return is_int($value) ? max($definition[2], min($definition[3], $value)) : null;
            case 'bool':
                return is_bool($value) ? $value : null;
            case 'hash':
                return is_string($value) && preg_match('/^[0-9a-f]{32}$/D', $value) === 1 ? $value : null;
            case 'ident':
                $text = is_string($value) ? substr($value, 0, $definition[3]) : '';
                return preg_match(self::CLASSES[$definition[2]], $text) === 1 ? $text : null;
        }
        return null;
    }
}
