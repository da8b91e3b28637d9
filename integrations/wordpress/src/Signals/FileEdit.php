<?php

declare(strict_types=1);

namespace Logystera\WordPress\Signals;

use Logystera\Redact;
use Logystera\WordPress\Emitter;

/**
 * Files that are written through the site: by the plugin and the theme editor, and scripts among the uploads.
 * WordPress has no hook for after a save, and takes a save back that breaks the site: so the file is compared when
 * the request ends.
 */
final class FileEdit implements Source
{
    /** What is read of a file for the heuristics, in bytes. */
    private const READ_BYTES_MAX = 1048576;
    /** A row of Base64 or hex from this length on is a payload, in characters. */
    private const PAYLOAD = '/[A-Za-z0-9+\/=]{1000,}|(?:\\\\x[0-9a-f]{2}){100,}/i';
    private const OBFUSCATED = '/\b(?:eval|assert|create_function)\s*\(\s*(?:base64_decode|gzinflate|gzuncompress|str_rot13|strrev|\$)'
        . '|\bpreg_replace\s*\(\s*[\'"](.).*\1[a-z]*e[a-z]*[\'"]/i';
    private const SCRIPT = '/\.(php\d?|phtml|phar|phps)$/i';

    /** @var Emitter */
    private $emitter;
    /** @var array<string, array{size: int, digest: string, mode: int}> files that may be saved in this request */
    private $watched = [];

    public function __construct(Emitter $emitter)
    {
        $this->emitter = $emitter;
    }

    public function register(): void
    {
        add_action('wp_ajax_edit-theme-plugin-file', [$this, 'saving'], -PHP_INT_MAX);
        // Without JavaScript the editors post to their own pages.
        add_action('load-plugin-editor.php', [$this, 'saving']);
        add_action('load-theme-editor.php', [$this, 'saving']);
        add_filter('wp_handle_upload', [$this, 'uploaded'], PHP_INT_MAX);
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
        // phpcs:disable -- only looked at: WordPress itself checks the nonce and the right before it writes
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
        if (preg_match(self::SCRIPT, $path) === 1) {
            $none = ['size' => 0, 'digest' => '', 'mode' => 0];
            $this->tell($path, $none, self::look($path));
        }
        return $upload;
    }

    /** @return array{size: int, digest: string, mode: int} */
    private static function look(string $path): array
    {
        clearstatcache(true, $path);
        $stat = @stat($path);
        return [
            'size' => $stat === false ? 0 : $stat['size'], 'digest' => (string) @hash_file('sha256', $path),
            'mode' => $stat === false ? 0 : $stat['mode'] & 07777,
        ];
    }

    private function tell(string $path, array $before, array $after): void
    {
        $below = Emitter::relative($path);
        $text = (string) @file_get_contents($path, false, null, 0, self::READ_BYTES_MAX);
        $uploads = wp_normalize_path(wp_upload_dir(null, false)['basedir']) . '/';
        $found = [
            'php_in_uploads' => strpos(wp_normalize_path($path), $uploads) === 0 && preg_match(self::SCRIPT, $path) === 1,
            'obfuscated' => preg_match(self::OBFUSCATED, $text) === 1,
            'encoded_payload' => preg_match(self::PAYLOAD, $text) === 1,
            'permission_change' => $before['mode'] !== 0 && $before['mode'] !== $after['mode'],
            'core_file' => preg_match('~^/(wp-admin|wp-includes)/|^/[^/]+\.php$~', $below) === 1,
        ];
        $this->emitter->emit([
            'path' => Redact::path($below), 'size_delta' => $after['size'] - $before['size'],
            'heuristics' => array_keys(array_filter($found)), 'actor_hash' => $this->emitter->actor(),
        ]);
    }
}
