<?php

declare(strict_types=1);

namespace Logystera\WordPress\Signals;

use Logystera\Quiet;
use Logystera\Redact;
use Logystera\Script;
use Logystera\WordPress\Emitter;
use Logystera\WordPress\Guard;
use Logystera\WordPress\OwnFiles;
use Logystera\WordPress\Plugin;

/**
 * Files that are written through the site: by the plugin and the theme editor, and scripts among the uploads.
 * WordPress has no hook for after a save, and takes a save back that breaks the site: so the file is compared when
 * the request ends.
 */
final class FileEdit implements Source
{
    /** @var Emitter */
    private $emitter;
    /** @var array<string, array{size: int, mode: int, digest: string}> files that may be saved in this request */
    private $watched = [];

    public function __construct(Emitter $emitter)
    {
        $this->emitter = $emitter;
    }

    public function register(): void
    {
        Guard::watch('wp_ajax_edit-theme-plugin-file', [$this, 'saving'], -PHP_INT_MAX);
        // Without JavaScript the editors post to their own pages.
        Guard::watch('load-plugin-editor.php', [$this, 'saving']);
        Guard::watch('load-theme-editor.php', [$this, 'saving']);
        Guard::watch('wp_handle_upload', [$this, 'uploaded'], PHP_INT_MAX);
        // In cron the same process looks at the files later.
        Guard::watch('upgrader_process_complete', [$this, 'upgraded'], 10, 2);
        Guard::watch('_core_updated_successfully', [$this, 'coreUpdated']);
    }

    public function finish(): void
    {
        foreach ($this->watched as $path => $before) {
            $after = self::look($path);
            if ($after !== $before) {
                $this->tell($path, $before, $after);
            }
        }
        $this->watched = [];
    }

    public function saving(): void
    {
        // phpcs:disable WordPress.Security.NonceVerification, WordPress.Security.ValidatedSanitizedInput -- only looked at: WordPress itself checks the nonce and the right before it writes
        $file = isset($_POST['file']) ? (string) wp_unslash($_POST['file']) : '';
        $theme = isset($_POST['theme']) ? (string) wp_unslash($_POST['theme']) : '';
        // phpcs:enable
        if ($file === '' || validate_file($file) !== 0 || ($theme !== '' && validate_file($theme) !== 0)) {
            return;
        }
        $path = $theme === '' ? WP_PLUGIN_DIR . "/$file" : get_theme_root($theme) . "/$theme/$file";
        if (is_file($path)) {
            $this->watched[$path] = self::look($path);
        }
    }

    /** @param mixed $upload */
    public function uploaded($upload)
    {
        $path = is_array($upload) && is_string($upload['file'] ?? null) ? $upload['file'] : '';
        if (Script::isNamedSo($path)) {
            $this->tell($path, ['size' => 0, 'mode' => 0], self::state($path));
            $site = Plugin::site();
            $site === null || (new OwnFiles($site))->told($path);
        }
        return $upload;
    }

    /**
     * @param mixed $upgrader
     * @param mixed $what
     */
    public function upgraded($upgrader, $what = null): void
    {
        $kind = is_array($what) ? ($what['type'] ?? '') : '';
        $site = Plugin::site();
        if ($site !== null && in_array($kind, ['core', 'plugin', 'theme'], true)) {
            (new OwnFiles($site))->renew($kind === 'core');
        }
    }

    public function coreUpdated(): void
    {
        $site = Plugin::site();
        $site === null || (new OwnFiles($site))->renew(true);
    }

    /** @return array{size: int, mode: int, digest: string} */
    private static function look(string $path): array
    {
        return self::state($path) + ['digest' => (string) Quiet::call('hash_file', 'sha256', $path)];
    }

    /** @return array{size: int, mode: int} */
    private static function state(string $path): array
    {
        clearstatcache(true, $path);
        $stat = Quiet::call('stat', $path);
        return ['size' => $stat === false ? 0 : $stat['size'], 'mode' => $stat === false ? 0 : $stat['mode'] & 07777];
    }

    private function tell(string $path, array $before, array $after): void
    {
        $below = Emitter::relative($path);
        $text = (string) Quiet::call('file_get_contents', $path, false, null, 0, Script::READ_BYTES_MAX);
        $uploads = wp_normalize_path(wp_upload_dir(null, false)['basedir']) . '/';
        $found = Script::heuristics($text) + [
            'php_in_uploads' => strpos(wp_normalize_path($path), $uploads) === 0 && Script::isNamedSo($path),
            'permission_change' => $before['mode'] !== 0 && $before['mode'] !== $after['mode'],
            'core_file' => preg_match('~^/(wp-admin|wp-includes)/|^/[^/]+\.php$~', $below) === 1,
        ];
        $this->emitter->emit([
            'path' => Redact::path($below), 'size_delta' => $after['size'] - $before['size'],
            'heuristics' => array_keys(array_filter($found)), 'actor_hash' => $this->emitter->actor(),
        ]);
    }
}
