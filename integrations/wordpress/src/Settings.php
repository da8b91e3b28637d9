<?php

declare(strict_types=1);

namespace Logystera\WordPress;

use Logystera\Address;
use Logystera\Dsn;
use Logystera\DsnError;
use Logystera\Limits;

/** What an administrator decided. The plugin's options all begin with `logystera_`; uninstalling removes each. */
final class Settings
{
    /** What was agreed to, which types are on, how often to speak. */
    public const OPTION = 'logystera_settings';
    /** The DSN, unless the constant or the environment has it. */
    public const OPTION_DSN = 'logystera_dsn';
    /** The key of hashes, in hex. It never leaves the site. */
    public const OPTION_KEY = 'logystera_key';
    /** Where the spool lies: see SpoolFolder. */
    public const OPTION_SPOOL = 'logystera_spool';
    /** What Watch found when it looked last. */
    public const OPTION_WATCH = 'logystera_watch';

    public const OPTIONS = [self::OPTION, self::OPTION_DSN, self::OPTION_KEY, self::OPTION_SPOOL, self::OPTION_WATCH];

    /** Event of WP-Cron. */
    public const EVENT = 'logystera_flush';

    /** Name of the constant and of the variable of the environment that may hold the DSN. */
    public const DSN_NAME = 'LOGYSTERA_DSN';

    /** @var array<int, array> what the option held when it was asked for last, and what that means: a page asks some ten times */
    private static $last = [];

    /** @return array{consent: array, types: array<string, bool>, flush_every_s: int, proxies: string[], proxy_header: string} */
    public static function all(): array
    {
        $values = get_option(self::OPTION, []);
        $values = is_array($values) ? $values : [];
        if ((self::$last[0] ?? null) !== $values) {
            self::$last = [$values, self::checked($values)];
        }
        return self::$last[1];
    }

    private static function checked(array $values): array
    {
        return [
            'consent' => is_array($values['consent'] ?? null) ? $values['consent'] : [],
            'types' => is_array($values['types'] ?? null) ? $values['types'] : [],
            // Whose word on the client's address is taken, and where it stands: see Address.
            'proxies' => array_values(array_filter(is_array($values['proxies'] ?? null) ? $values['proxies'] : [], 'is_string')),
            'proxy_header' => in_array($values['proxy_header'] ?? null, Address::HEADERS, true)
                ? $values['proxy_header'] : Address::HEADERS[0],
            'flush_every_s' => max(
                Limits::FLUSH_EVERY_S_MIN,
                min(Limits::FLUSH_EVERY_S_MAX, (int) ($values['flush_every_s'] ?? Limits::FLUSH_EVERY_S_DEFAULT))
            ),
        ];
    }

    /** Whether the DSN comes from the configuration, where no field can change it. */
    public static function isDsnFixed(): bool
    {
        return self::fixedDsn() !== '';
    }

    private static function fixedDsn(): string
    {
        if (defined(self::DSN_NAME)) {
            return (string) constant(self::DSN_NAME);
        }
        return (string) getenv(self::DSN_NAME);
    }

    /** The DSN; null if there is none, or one that cannot be used. */
    public static function dsn(): ?Dsn
    {
        $text = self::fixedDsn();
        if ($text === '') {
            $text = (string) get_option(self::OPTION_DSN, '');
        }
        if ($text === '') {
            return null;
        }
        try {
            return Dsn::parse($text);
        } catch (DsnError $error) {
            return null;
        }
    }

    /** Whether an administrator agreed to send to this gateway. Another gateway needs another agreement. */
    public static function isAgreed(?Dsn $dsn): bool
    {
        return $dsn !== null && (self::all()['consent']['gateway'] ?? null) === $dsn->host();
    }

    /** Host of the gateway that is agreed to; empty for none. */
    public static function agreedHost(): string
    {
        $dsn = self::dsn();
        return $dsn !== null && self::isAgreed($dsn) ? $dsn->host() : '';
    }

    public static function agree(Dsn $dsn): void
    {
        $values = self::all();
        $values['consent'] = ['gateway' => $dsn->host(), 'at' => time(), 'by' => get_current_user_id()];
        update_option(self::OPTION, $values);
    }

    public static function withdraw(): void
    {
        // While it may still be sent.
        Guard::run([Plugin::class, 'farewell']);
        $values = self::all();
        $values['consent'] = [];
        update_option(self::OPTION, $values);
        wp_clear_scheduled_hook(self::EVENT);
    }

    public static function isOn(string $type): bool
    {
        return (bool) (self::all()['types'][$type] ?? true);
    }

    /** 32 random bytes, drawn when they are first needed. */
    public static function hashKey(): string
    {
        $hex = (string) get_option(self::OPTION_KEY, '');
        if (preg_match('/^[0-9a-f]{64}$/D', $hex) !== 1) {
            $hex = bin2hex(random_bytes(32));
            update_option(self::OPTION_KEY, $hex);
        }
        return (string) hex2bin($hex);
    }
}
