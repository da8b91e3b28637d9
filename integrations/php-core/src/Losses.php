<?php

declare(strict_types=1);

namespace Logystera;

/**
 * What was lost and when, for who looks at the page: one entry for each day, type and reason, `day type|reason` => [count, since]. The
 * days are those of UTC, and an entry's time is that of the first of its losses.
 */
final class Losses
{
    private const KEY = '/^\d{1,6} [a-z._]+\|[a-z]+$/D';
    private const DAY_MS = 86400000;

    /**
     * Adds counts, `type|reason` => [count, since in ms].
     *
     * @param array<string, array{0: int, 1: int}> $losses
     * @return array<string, array{0: int, 1: int}>
     */
    public static function add(array $losses, array $counts): array
    {
        foreach ($counts as $key => [$count, $since]) {
            $losses = Spool::sum($losses, [intdiv(max(0, $since), self::DAY_MS) . " $key" => [$count, $since]]);
        }
        if (count($losses) > Limits::LOSSES_MAX) {
            uasort($losses, static fn (array $a, array $b): int => $b[1] <=> $a[1]);
            $losses = array_slice($losses, 0, Limits::LOSSES_MAX, true);
        }
        return $losses;
    }

    /** @param mixed $value what was read */
    public static function checked($value): array
    {
        return array_slice(Spool::counts($value, self::KEY), 0, Limits::LOSSES_MAX, true);
    }

    /** @return array<int, array{since: int, type: string, reason: string, count: int}> newest first */
    public static function shown(array $losses): array
    {
        $shown = [];
        foreach ($losses as $key => [$count, $since]) {
            [$type, $reason] = explode('|', substr((string) strstr((string) $key, ' '), 1));
            $shown[] = ['since' => $since, 'type' => $type, 'reason' => $reason, 'count' => $count];
        }
        usort($shown, static fn (array $a, array $b): int => [$b['since'], $a['type']] <=> [$a['since'], $b['type']]);
        return $shown;
    }
}
