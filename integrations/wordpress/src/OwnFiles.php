<?php

declare(strict_types=1);

namespace Logystera\WordPress;

use Logystera\Integrity;
use Logystera\Quiet;
use Logystera\Script;
use Logystera\Watched;

/**
 * Files that run without anybody's activation: WordPress itself, its drop-ins, must-use plugins, and scripts among the uploads. WordPress
 * keeps no checksums of itself, and asks its makers for them; we ask nobody, and compare with what was there when we looked first, or
 * after the last update.
 */
final class OwnFiles
{
    /** What goes with WordPress's version, and what plugins may write when they are updated. */
    private const OF_CORE = ['wp-admin', 'wp-includes', 'root'];
    private const OF_PLUGINS = ['mu-plugins', 'content', 'root'];
    private const PHP = '/\.(?:php\d?|phtml|phar)$/i';
    private const PHP_AND_JS = '/\.(?:php\d?|phtml|phar|js)$/i';
    /** What WordPress loads from its content folder by its name. */
    private const DROP_INS = [
        'advanced-cache.php', 'blog-deleted.php', 'blog-inactive.php', 'blog-suspended.php', 'db-error.php', 'db.php',
        'fatal-error-handler.php', 'install.php', 'maintenance.php', 'object-cache.php', 'php-error.php', 'sunrise.php',
    ];
    private const CONFIG = 'wp-config.php';
    private const VERSION = '/\$wp_version\s*=\s*[\'"]([^\'"]+)[\'"]/';

    /** @var Site */
    private $site;
    /** @var Integrity */
    private $integrity;

    public function __construct(Site $site)
    {
        $this->site = $site;
        $this->integrity = $site->integrity();
    }

    /** Looks at the next slice, and tells what changed. */
    public function look(): void
    {
        $emitter = new Emitter('file.edit', $this->site);
        foreach ($this->integrity->look($this->watched()) as $changed) {
            $name = $changed->where->name;
            $found = $changed->heuristics + [
                'php_in_uploads' => $name === 'uploads',
                'core_file' => $this->isCore($name, $changed->name),
            ];
            $emitter->emit([
                'path' => $changed->path(Emitter::relative($changed->where->folder . '/')), 'size_delta' => $changed->sizeDelta,
                'heuristics' => array_keys(array_filter($found)),
            ]);
        }
    }

    private function isCore(string $where, string $file): bool
    {
        if ($where === 'content') {
            return in_array($file, self::DROP_INS, true);
        }
        // The configuration is its owner's, who changes it now and then.
        return $where !== 'uploads' && $file !== self::CONFIG;
    }

    /** WordPress has just changed its own files, or a plugin's or theme's. */
    public function renew(bool $isCore): void
    {
        $this->integrity->renew($isCore ? self::OF_CORE : self::OF_PLUGINS);
    }

    /** A hook told of a file. */
    public function told(string $path): void
    {
        $this->integrity->told([$path]);
    }

    /** @return Watched[] */
    private function watched(): array
    {
        $uploads = (string) wp_upload_dir(null, false)['basedir'];
        $isMain = is_main_site();
        $watched = [new Watched('uploads', $uploads, true, Script::NAME, '', true, $this->left($uploads, $isMain && is_multisite()))];
        if (!$isMain) {
            // The rest belongs to the network, which is its main site.
            return $watched;
        }
        $version = self::version();
        // A plugin that is switched on or off may write a drop-in, and WP_CACHE into the configuration.
        $plugins = md5(serialize([get_option(Plugin::ACTIVE), get_site_option(Plugin::ACTIVE_IN_NETWORK)]));
        return array_merge([
            new Watched('mu-plugins', WPMU_PLUGIN_DIR, true, self::PHP, $plugins),
            new Watched('content', WP_CONTENT_DIR, false, self::PHP, $plugins),
            new Watched('root', ABSPATH, false, self::PHP, "$version $plugins"),
        ], $watched, [
            new Watched('wp-admin', ABSPATH . 'wp-admin', true, self::PHP_AND_JS, $version),
            new Watched('wp-includes', ABSPATH . 'wp-includes', true, self::PHP_AND_JS, $version),
        ]);
    }

    /**
     * Folders of the uploads that are ours, or other sites' of the network.
     *
     * @return string[]
     */
    private function left(string $uploads, bool $isOfNetwork): array
    {
        $left = $isOfNetwork ? ['sites'] : [];
        foreach (array_merge([(string) SpoolFolder::known()], SpoolFolder::left()) as $folder) {
            if (strpos($folder, "$uploads/") === 0) {
                $left[] = substr($folder, strlen($uploads) + 1);
            }
        }
        return $left;
    }

    /** As the file says: a process that runs while WordPress updates itself was loaded before. */
    private static function version(): string
    {
        $text = (string) Quiet::call('file_get_contents', ABSPATH . WPINC . '/version.php', false, null, 0, Script::READ_BYTES_MAX);
        return preg_match(self::VERSION, $text, $m) === 1 ? $m[1] : '';
    }
}
