<?php

declare(strict_types=1);

namespace Logystera;

/** Components that came, went or changed between two looks. */
final class Versions
{
    /**
     * @param array<string, string> $before version by `kind slug`
     * @param array<string, string> $after
     * @return array<int, array{0: string, 1: string, 2: string, 3: string|null, 4: string|null}> kind, slug, action,
     * versions
     */
    public static function difference(array $before, array $after): array
    {
        $found = [];
        foreach ($after as $name => $version) {
            [$kind, $slug] = explode(' ', (string) $name, 2);
            if (!isset($before[$name])) {
                $found[] = [$kind, $slug, 'installed', null, $version];
            } elseif ($before[$name] !== $version) {
                $found[] = [$kind, $slug, 'updated', $before[$name], $version];
            }
        }
        foreach (array_diff_key($before, $after) as $name => $version) {
            [$kind, $slug] = explode(' ', (string) $name, 2);
            $found[] = [$kind, $slug, 'deleted', $version, null];
        }
        return $found;
    }

    /** Whether an update went up or down; null where nobody can tell, or neither. */
    public static function direction(?string $from, ?string $to): ?string
    {
        $order = (string) $from === '' || (string) $to === '' ? 0 : version_compare($to, $from);
        return $order === 0 ? null : ($order > 0 ? 'up' : 'down');
    }

    /**
     * What `component.lifecycle` tells of the difference between two looks: components, and the system they belong to.
     *
     * @param array $seen `components` as difference() has them, and `core`, the system's version
     * @param array $now the same
     * @param string $system slug of the system
     * @return array<int, array<string, string|null>> the fields of a signal each
     */
    public static function signals(array $seen, array $now, string $system): array
    {
        $changes = self::difference((array) $seen['components'], $now['components']);
        if ($seen['core'] !== $now['core']) {
            $changes[] = ['core', $system, 'updated', $seen['core'], $now['core']];
        }
        $signals = [];
        foreach ($changes as [$kind, $slug, $action, $from, $to]) {
            $signals[] = [
                'kind' => $kind, 'slug' => Redact::slug($slug), 'action' => $action,
                'from_version' => Redact::version($from), 'to_version' => Redact::version($to),
                'direction' => $action === 'updated' ? self::direction($from, $to) : null,
            ];
        }
        return $signals;
    }
}
