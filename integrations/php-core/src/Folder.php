<?php

declare(strict_types=1);

namespace Logystera;

/** The folder that a spool lies in: made for its owner alone, made unreadable where a web server sees it, removed whole. */
final class Folder
{
    /** What a spool, the look-up store and an integration keep there. */
    private const FILES = [
        'lock', 'flush', 'open', 'next', 'segment', 'state', 'batch', 'last', 'dropped', 'lookups', 'lookup', 'meanings',
        'merge', 'merging', 'kick', 'probe', 'tally', 'merged', 'look', 'files', 'files0', 'files1', 'files2', 'files3', 'files4',
        'files5', 'files6', 'files7',
    ];
    /** For servers that know these files; all others run the spool's own, which say nothing. */
    private const GUARDS = [
        '.htaccess' => "Require all denied\n", 'index.php' => "<?php\n",
        'web.config' => '<configuration><system.webServer><authorization><deny users="*"/></authorization>'
            . "</system.webServer></configuration>\n",
    ];

    /** The folder, made if it is not there; null where it cannot be made or written. */
    public static function usable(string $folder): ?string
    {
        if (!is_dir($folder)) {
            Quiet::call('mkdir', $folder, 0700, true);
        }
        return is_dir($folder) && is_writable($folder) ? $folder : null;
    }

    /** The same for a folder that we chose and nobody else uses: it is its owner's only. One that the configuration fixes may be shared. */
    public static function own(string $folder): ?string
    {
        if (is_dir($folder) && (fileperms($folder) & 0077) !== 0) {
            Quiet::call('chmod', $folder, 0700);
        }
        return self::usable($folder);
    }

    /** Whether a command runs as another user than the one whose folder it is, and cannot write there. */
    public static function isOfAnother(string $folder): bool
    {
        $owner = Quiet::call('fileowner', $folder);
        return PHP_SAPI === 'cli' && (!function_exists('posix_geteuid') || $owner !== posix_geteuid());
    }

    /** Mends what older versions left: files that others may read, and half-written ones that a server hands out as text. */
    public static function tidy(string $folder): void
    {
        foreach (self::FILES as $name) {
            $mode = Quiet::call('fileperms', "$folder/$name.php");
            if ($mode !== false && ($mode & 0077) !== 0) {
                Quiet::call('chmod', "$folder/$name.php", 0600);
            }
            Quiet::call('unlink', "$folder/$name.php.new");
        }
    }

    /**
     * Whether the folder lies outside each of the roots.
     *
     * @param string[] $roots empty ones stand for none
     */
    public static function isOutside(string $folder, array $roots): bool
    {
        $parent = rtrim((string) realpath(dirname($folder)), '/') . '/';
        foreach ($roots as $root) {
            $root = rtrim((string) realpath($root), '/');
            if ($root !== '' && strpos($parent, $root . '/') === 0) {
                return false;
            }
        }
        return true;
    }

    /** For a folder that a web server may see. */
    public static function protect(string $folder): void
    {
        foreach (self::GUARDS as $name => $text) {
            if (!is_file("$folder/$name")) {
                Quiet::call('file_put_contents', "$folder/$name", $text);
            }
        }
    }

    /** A site that was moved on its machine takes its signals along. */
    public static function move(string $old, string $new): void
    {
        if (is_dir($old) && Quiet::call('rmdir', $new)) {
            Quiet::call('rename', $old, $new);
        }
    }

    /**
     * Removes our files, and the folder if nothing else is in it.
     *
     * @param bool $isOurs whether we chose it: one that the configuration fixes may be somebody's
     */
    public static function remove(string $folder, bool $isOurs): void
    {
        foreach (self::FILES as $name) {
            Quiet::call('unlink', "$folder/$name.php");
            Quiet::call('unlink', "$folder/$name.new.php");
            Quiet::call('unlink', "$folder/$name.php.new");
        }
        foreach ($isOurs ? array_keys(self::GUARDS) : [] as $name) {
            Quiet::call('unlink', "$folder/$name");
        }
        Quiet::call('rmdir', $folder);
    }
}
