<?php

declare(strict_types=1);

namespace Logystera;

/**
 * Where a spool lies: beside the web root, or, where that cannot be made, in a folder that the web server may see. What is remembered
 * of it (`stored`) has the `token` that folders are named by, the `root` that the site had, the `folder`, when it was `looked_at`
 * whether it may go back, and the folders that were `left` with signals in them.
 */
final class Place
{
    /** Pause between two tries to go back beside the web root, in seconds: each makes a folder. */
    private const LOOK_S = 300;

    /**
     * The folder of the spool. It stays where it is as long as that is there, also where it cannot be written for a while: what waits
     * in it is not left behind. What had to go elsewhere comes back as soon as it can.
     *
     * @param array<string, mixed> $stored as the call before gave it
     * @param string $root the site's own folder
     * @param string $best the folder beside the web root; empty where the web root is not known, or that folder lies in it
     * @param string[] $inside other folders, the better ones first
     * @param int $nowS the clock, in seconds
     * @return array{0: string|null, 1: array<string, mixed>} the folder, and what to store. It may not be writable: then each
     * signal is counted as lost. Null for a command that another user runs, which must not make what the site cannot write
     */
    public static function find(array $stored, string $root, string $best, array $inside, int $nowS): array
    {
        $folder = ($stored['root'] ?? null) === $root && is_string($stored['folder'] ?? null) ? $stored['folder'] : '';
        if ($folder !== '' && Folder::own($folder) !== null) {
            return self::back($stored, $folder, $best, $inside, $nowS);
        }
        if ($folder !== '' && is_dir($folder)) {
            return [Folder::isOfAnother($folder) ? null : $folder, $stored];
        }
        foreach (array_merge($best === '' ? [] : [$best], $inside) as $candidate) {
            if (Folder::own($candidate) !== null) {
                if ($candidate !== $best) {
                    Folder::protect($candidate);
                }
                return [$candidate, self::adopted($stored, $root, $candidate)];
            }
        }
        if ($folder !== '') {
            return [$folder, $stored];
        }
        return [$best === '' ? null : $best, $stored];
    }

    /** A site that was moved on its machine takes its signals along; a copy leaves the original's where they are. */
    private static function adopted(array $stored, string $root, string $folder): array
    {
        $old = is_string($stored['folder'] ?? null) ? $stored['folder'] : '';
        $before = is_string($stored['root'] ?? null) ? $stored['root'] : '';
        if ($old !== '' && $old !== $folder && !is_dir($before)) {
            Folder::move($old, $folder);
        }
        return array_merge($stored, ['root' => $root, 'folder' => $folder]);
    }

    private static function back(array $stored, string $folder, string $best, array $inside, int $nowS): array
    {
        $since = $nowS - (int) ($stored['looked_at'] ?? 0);
        if ($best === '' || !in_array($folder, $inside, true) || ($since >= 0 && $since < self::LOOK_S)) {
            return [$folder, $stored];
        }
        $stored['looked_at'] = $nowS;
        if (Folder::own($best) === null) {
            return [$folder, $stored];
        }
        Folder::move($folder, $best);
        clearstatcache();
        if (is_dir($best)) {
            unset($stored['looked_at']);
            $stored['folder'] = $best;
            if (is_dir($folder)) {
                $stored['left'] = array_values(array_unique(array_merge(self::left($stored), [$folder])));
            }
        }
        return [$stored['folder'], $stored];
    }

    /** @return string[] folders that were left with signals in them: what is there is sent from there, and then they go */
    public static function left(array $stored): array
    {
        return array_values(array_filter(is_array($stored['left'] ?? null) ? $stored['left'] : [], 'is_string'));
    }
}
