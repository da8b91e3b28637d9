<?php

declare(strict_types=1);

namespace Logystera\WordPress;

use Logystera\Folder;

/**
 * Where the spool lies: outside the web root where that can be written, else in a folder of the uploads that nobody
 * can guess and whose files say nothing to a browser. The name has a hash of WordPress's own folder, so that a
 * staging copy beside the site has a folder of its own although it has the same options.
 */
final class SpoolFolder
{
    /** Name of the constant that fixes the folder. */
    public const CONSTANT = 'LOGYSTERA_SPOOL_DIR';

    /** The folder, which exists and can be written; null where there is none. */
    public static function find(): ?string
    {
        $fixed = self::fixed();
        if ($fixed !== null) {
            return Folder::usable($fixed);
        }
        $stored = get_option(Settings::OPTION_SPOOL, []);
        $stored = is_array($stored) ? $stored : [];
        if (($stored['root'] ?? null) === ABSPATH && is_string($stored['folder'] ?? null)) {
            $folder = Folder::usable($stored['folder']);
            // A command that another user runs must not lead the site to a folder that the web server cannot write.
            if ($folder !== null || (PHP_SAPI === 'cli' && is_dir($stored['folder']))) {
                return $folder;
            }
        }
        $token = is_string($stored['token'] ?? null) ? $stored['token'] : bin2hex(random_bytes(8));
        $folder = self::choose($token);
        if ($folder === null) {
            return null;
        }
        self::adopt($stored, $folder);
        update_option(Settings::OPTION_SPOOL, ['token' => $token, 'root' => ABSPATH, 'folder' => $folder]);
        return $folder;
    }

    /** The folder that was found last, if it is there; nothing is made. */
    public static function known(): ?string
    {
        $fixed = self::fixed();
        if ($fixed !== null) {
            return is_dir($fixed) ? $fixed : null;
        }
        $stored = get_option(Settings::OPTION_SPOOL, []);
        $folder = is_array($stored) && ($stored['root'] ?? null) === ABSPATH ? (string) ($stored['folder'] ?? '') : '';
        return $folder !== '' && is_dir($folder) ? $folder : null;
    }

    /** What the configuration says: below it, each site of a network has a folder of its own. */
    private static function fixed(): ?string
    {
        if (!defined(self::CONSTANT)) {
            return null;
        }
        $folder = rtrim((string) constant(self::CONSTANT), '/');
        return is_multisite() ? $folder . '/site-' . get_current_blog_id() : $folder;
    }

    public static function isOutsideWebRoot(string $folder): bool
    {
        $roots = [ABSPATH];
        // phpcs:ignore -- only compared with paths, never shown or stored
        $roots[] = isset($_SERVER['DOCUMENT_ROOT']) ? (string) $_SERVER['DOCUMENT_ROOT'] : '';
        return Folder::isOutside($folder, $roots);
    }

    private static function choose(string $token): ?string
    {
        $name = 'logystera-' . substr(hash('sha256', ABSPATH . "\0" . $token), 0, 24);
        $outside = dirname(rtrim(ABSPATH, '/')) . '/.' . $name;
        // From a command line the web root is not known: what only a web server can tell is left to it.
        // phpcs:ignore -- only asked whether it is there
        $isWeb = !empty($_SERVER['DOCUMENT_ROOT']) || is_dir($outside);
        if ($isWeb && self::isOutsideWebRoot($outside) && Folder::usable($outside) !== null) {
            return $outside;
        }
        $uploads = wp_upload_dir(null, false);
        $inside = Folder::usable($uploads['basedir'] . '/' . $name);
        if ($inside !== null) {
            Folder::protect($inside);
        }
        return $inside;
    }

    /** A site that was moved on its machine takes its signals along; a copy leaves the original's where they are. */
    private static function adopt(array $stored, string $folder): void
    {
        $old = (string) ($stored['folder'] ?? '');
        if ($old !== '' && $old !== $folder && !is_dir((string) ($stored['root'] ?? ''))) {
            Folder::move($old, $folder);
        }
    }

    /** Removes what the plugin made. */
    public static function remove(): void
    {
        $folder = self::known();
        if ($folder !== null) {
            Folder::remove($folder, self::fixed() === null);
        }
    }
}
