<?php

declare(strict_types=1);

namespace Logystera\WordPress;

/** Which plugins and themes are there, in which version. */
final class Components
{
    /** Slug of a plugin's file: its folder, or its name where it has none. */
    public static function slug(string $file): string
    {
        $folder = strtok($file, '/');
        return (string) preg_replace('/\.php$/', '', (string) $folder);
    }

    /** @return array<string, string> version by `kind slug`, as the files say now */
    public static function versions(): array
    {
        if (!function_exists('get_plugins')) {
            require_once ABSPATH . 'wp-admin/includes/plugin.php';
        }
        clearstatcache();
        wp_cache_delete('plugins', 'plugins');
        $versions = [];
        foreach (get_plugins() as $file => $data) {
            $versions['plugin ' . self::slug((string) $file)] = (string) $data['Version'];
        }
        search_theme_directories(true);
        foreach (wp_get_themes(['errors' => null]) as $slug => $theme) {
            $theme->cache_delete();
            $versions["theme $slug"] = (string) (new \WP_Theme($slug, $theme->get_theme_root()))->get('Version');
        }
        return $versions;
    }

    /**
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
}
