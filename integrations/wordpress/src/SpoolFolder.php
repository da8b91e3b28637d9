<?php

declare(strict_types=1);

namespace Logystera\WordPress;

use Logystera\Folder;
use Logystera\Place;

/**
 * Where the spool lies: outside the web root where that can be written, else in a folder of the uploads that nobody
 * can guess and whose files say nothing to a browser. The name has a hash of WordPress's own folder, so that a
 * staging copy beside the site has a folder of its own although it has the same options.
 */
final class SpoolFolder
{
    /** Name of the constant that fixes the folder. */
    public const CONSTANT = 'LOGYSTERA_SPOOL_DIR';

    /** The folder, made if it can be; null for a command of another user, who could not write where the site goes on. */
    public static function find(): ?string
    {
        $fixed = self::fixed();
        if ($fixed !== null) {
            return Folder::usable($fixed) === null && is_dir($fixed) && Folder::isOfAnother($fixed) ? null : $fixed;
        }
        $stored = self::stored();
        $known = $stored['folder'] ?? null;
        $beside = dirname(rtrim(ABSPATH, '/'));
        if (($stored['root'] ?? null) === ABSPATH && is_string($known) && dirname($known) === $beside && Folder::own($known) !== null) {
            // It is the best place, and there: what each page finds.
            return $known;
        }
        $token = is_string($stored['token'] ?? null) ? $stored['token'] : bin2hex(random_bytes(8));
        $name = 'logystera-' . substr(hash('sha256', ABSPATH . "\0" . $token), 0, 24);
        $best = $beside . '/.' . $name;
        // From a command line the web root is not known: what only a web server can tell is left to it.
        // phpcs:ignore WordPress.Security.ValidatedSanitizedInput -- only asked whether it is there
        $isKnown = !empty($_SERVER['DOCUMENT_ROOT']) || is_dir($best);
        [$folder, $new] = Place::find(
            ['token' => $token] + $stored,
            ABSPATH,
            $isKnown && self::isOutsideWebRoot($best) ? $best : '',
            [wp_upload_dir(null, false)['basedir'] . '/' . $name],
            time()
        );
        if (isset($new['folder']) && $new !== $stored) {
            update_option(Settings::OPTION_SPOOL, $new);
        }
        return $folder;
    }

    /** @return string[] other folders that have signals in them, from a time at which this one could not be made */
    public static function left(): array
    {
        return Place::left(self::stored());
    }

    /** Nothing waits there any more. */
    public static function forget(string $left): void
    {
        $stored = self::stored();
        $stored['left'] = array_values(array_diff(Place::left($stored), [$left]));
        update_option(Settings::OPTION_SPOOL, $stored);
    }

    private static function stored(): array
    {
        $stored = get_option(Settings::OPTION_SPOOL, []);
        return is_array($stored) ? $stored : [];
    }

    /** The folder that was found last, if it is there; nothing is made. */
    public static function known(): ?string
    {
        $fixed = self::fixed();
        if ($fixed !== null) {
            return is_dir($fixed) ? $fixed : null;
        }
        $stored = self::stored();
        $folder = ($stored['root'] ?? null) === ABSPATH && is_string($stored['folder'] ?? null) ? $stored['folder'] : '';
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
        // phpcs:ignore WordPress.Security.ValidatedSanitizedInput -- only compared with paths, never shown or stored
        $roots[] = isset($_SERVER['DOCUMENT_ROOT']) ? (string) $_SERVER['DOCUMENT_ROOT'] : '';
        return Folder::isOutside($folder, $roots);
    }

    /** Removes what the plugin made. */
    public static function remove(): void
    {
        $folder = self::known();
        if ($folder !== null) {
            Folder::remove($folder, self::fixed() === null);
        }
        foreach (self::left() as $left) {
            Folder::remove($left, true);
        }
    }
}
