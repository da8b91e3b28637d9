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

    /** Version that a plugin's file says now; null where it is not there. One head is read, and not all. */
    public static function version(string $file): ?string
    {
        $path = WP_PLUGIN_DIR . "/$file";
        if (validate_file($file) !== 0 || !is_file($path)) {
            return null;
        }
        if (!function_exists('get_plugin_data')) {
            require_once ABSPATH . 'wp-admin/includes/plugin.php';
        }
        return (string) get_plugin_data($path, false, false)['Version'];
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
}
