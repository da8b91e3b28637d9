<?php

declare(strict_types=1);

namespace Logystera\WordPress;

use Logystera\Address;
use Logystera\Hasher;
use Logystera\Limits;
use Logystera\Redact;

/**
 * Gives signals of one type to the spool, and turns users, addresses, files and messages into hashes that the site can
 * look up.
 */
final class Emitter
{
    /** What is about the site that WordPress is at; all others are about the one that was asked. */
    private const FOLLOWS = ['component.lifecycle', 'config.change', 'mail.outcome', 'shop.order', 'user.change'];
    /** Longest user name that a length is told of, in characters: the catalogue's bound. */
    private const USER_LENGTH_MAX = 1024;

    /** @var string */
    private $type;
    /** @var Site */
    private $site;
    /** @var bool whether it is about the site that WordPress is at */
    private $follows;

    public function __construct(string $type, Site $site)
    {
        $this->type = $type;
        $this->site = $site;
        $this->follows = is_multisite() && in_array($type, self::FOLLOWS, true);
    }

    /**
     * @param array<string, mixed> $fields as the catalogue has them; null for one that is not told
     * @param bool $isVital it is told however much else there is: somebody runs the site now
     */
    public function emit(array $fields, bool $isVital = false): void
    {
        $site = $this->site();
        if ($site !== null) {
            $site->recorder->record($this->type, $fields, $isVital);
        }
    }

    /** Whether one more signal of the type is taken in this request. One that is not is counted, and the work for it is spared. */
    public function takesOne(): bool
    {
        $site = $this->site();
        // Where nobody agreed, nothing is told, and nothing is missing.
        return $site !== null && $site->recorder->takesOne($this->type);
    }

    /** Whether no more signals of the type are taken in this request. */
    public function isFull(): bool
    {
        $site = $this->site();
        return $site !== null && $site->recorder->isFull($this->type);
    }

    /** Counts signals that were not made. */
    public function drop(int $count = 1): void
    {
        $site = $this->site();
        if ($site !== null) {
            $site->recorder->drop($this->type, 'overflow', $count);
        }
    }

    public function hash(string $kind, string $value, ?string $meaning = null): string
    {
        $site = $this->site();
        // Where nobody agreed, nothing is kept of it, and nothing told.
        return $site === null ? '' : $site->lookup->hash($kind, $value, $meaning);
    }

    private function site(): ?Site
    {
        return $this->follows ? Plugin::siteHere($this->site) : $this->site;
    }

    /** Hash of an account's login, or of the name that was typed where there is no such account. */
    public function user(string $login): string
    {
        $name = Hasher::normalUser($login);
        return $this->hash(Hasher::USER, $name);
    }

    public function userLength(string $login): int
    {
        $looked = substr($login, 0, Limits::LOGIN_BYTES_MAX);
        return min(function_exists('mb_strlen') ? mb_strlen($looked, 'UTF-8') : strlen($looked), self::USER_LENGTH_MAX);
    }

    /** Hash of who is signed in; null if nobody is. */
    public function actor(): ?string
    {
        if (!function_exists('wp_get_current_user') || !did_action('set_current_user')) {
            return null;
        }
        $login = (string) wp_get_current_user()->user_login;
        return $login === '' ? null : $this->user($login);
    }

    /** Hash of the client's address. Behind a proxy the settings, or a filter, have to say which that is. */
    public function source(): string
    {
        return $this->hash(Hasher::ADDRESS, self::address());
    }

    /** Hash of the network that the client's address is in; null where nobody knows it. */
    public function network(): ?string
    {
        $network = Address::networkOf(self::address());
        return $network === null ? null : $this->hash(Hasher::NETWORK, $network);
    }

    /** Hash of the address of whoever this request came from; null of work that nobody asked for. */
    public function visitor(): ?string
    {
        return PHP_SAPI === 'cli' || wp_doing_cron() ? null : $this->source();
    }

    private static function address(): string
    {
        $settings = Settings::all();
        $remote = self::input('REMOTE_ADDR');
        $address = $remote;
        if (Address::isIn($remote, $settings['proxies'])) {
            $header = 'HTTP_' . strtoupper(str_replace('-', '_', $settings['proxy_header']));
            $address = Address::client(self::input($header), $settings['proxies']) ?? $remote;
        }
        /**
         * The client's address.
         *
         * @param string $address what the web server says, or a proxy that is trusted
         */
        $said = apply_filters('logystera_client_address', $address);
        return Address::client(is_string($said) ? $said : '', $settings['proxies'])
            ?? Address::canonical($remote) ?? (PHP_SAPI === 'cli' ? 'command line' : 'unknown');
    }

    private static function input(string $name): string
    {
        // phpcs:ignore WordPress.Security.ValidatedSanitizedInput -- hashed, and kept as an address only if it is one
        return isset($_SERVER[$name]) && is_string($_SERVER[$name]) ? $_SERVER[$name] : '';
    }

    /** Hash of a file's path below the site's root. */
    public function file(string $path): string
    {
        return $this->hash(Hasher::FILE, self::relative($path));
    }

    /**
     * Hash of a setting's value; only what it was a value of can be looked up. Null where this request changed more than is hashed.
     *
     * @param mixed $value
     */
    public function value(string $name, $value): ?string
    {
        $site = $this->site();
        $write = static fn (): string => (string) maybe_serialize($value);
        return $site === null ? null : $site->lookup->value($write, self::meaning($name));
    }

    /** Hash of a secret of the site's own: they are few, short, and always known. */
    public function secret(string $name, string $value): string
    {
        return $this->hash(Hasher::VALUE, $value, self::meaning($name));
    }

    private static function meaning(string $name): string
    {
        return 'a value of ' . Redact::name($name);
    }

    /** A file's path below the site's root, beginning with a slash; of one that lies elsewhere the name only. */
    public static function relative(string $path): string
    {
        $path = wp_normalize_path($path);
        $roots = ['' => wp_normalize_path(ABSPATH), '/wp-content' => wp_normalize_path(WP_CONTENT_DIR . '/')];
        foreach ($roots as $prefix => $root) {
            if (strpos($path, $root) === 0) {
                return $prefix . '/' . substr($path, strlen($root));
            }
        }
        return '/' . basename($path);
    }

    /** Slug of the plugin or theme that a file belongs to; `core` or `other`. */
    public static function component(string $path): string
    {
        $path = wp_normalize_path($path);
        $homes = [WP_PLUGIN_DIR, WPMU_PLUGIN_DIR, function_exists('get_theme_root') ? get_theme_root() : ''];
        foreach ($homes as $home) {
            $home = wp_normalize_path((string) $home) . '/';
            if (strlen($home) > 1 && strpos($path, $home) === 0) {
                $name = strtok(substr($path, strlen($home)), '/');
                return Redact::slug(preg_replace('/\.php$/', '', (string) $name) ?? '');
            }
        }
        foreach (['wp-includes/', 'wp-admin/'] as $folder) {
            if (strpos($path, wp_normalize_path(ABSPATH) . $folder) === 0) {
                return 'core';
            }
        }
        return dirname($path) . '/' === wp_normalize_path(ABSPATH) ? 'core' : 'other';
    }
}
