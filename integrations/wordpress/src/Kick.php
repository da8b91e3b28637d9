<?php

declare(strict_types=1);

namespace Logystera\WordPress;

use Logystera\Limits;
use Logystera\Loopback;

/**
 * Has the site send by a request to itself, whose answer nobody waits for. That is how it is done where PHP cannot
 * end an answer and go on: a page then pays for one connection to its own machine, at most once in ten seconds.
 */
final class Kick
{
    public const ACTION = 'logystera_kick';

    public static function register(): void
    {
        add_action('wp_ajax_' . self::ACTION, [self::class, 'serve']);
        add_action('wp_ajax_nopriv_' . self::ACTION, [self::class, 'serve']);
    }

    /** Whether this request is one. */
    public static function isOurs(): bool
    {
        // phpcs:ignore WordPress.Security.NonceVerification, WordPress.Security.ValidatedSanitizedInput -- only compared
        return wp_doing_ajax() && isset($_POST['action']) && $_POST['action'] === self::ACTION;
    }

    /** Sends the request and does not wait. Where that fails, cron sends. */
    public static function send(): void
    {
        $url = admin_url('admin-ajax.php');
        // phpcs:ignore WordPress.Security.ValidatedSanitizedInput -- an address, and used only as one
        [$address, $port] = [(string) ($_SERVER['SERVER_ADDR'] ?? ''), (int) ($_SERVER['SERVER_PORT'] ?? 0)];
        $body = 'action=' . self::ACTION . '&token=' . Loopback::token(Settings::hashKey());
        Loopback::post($url, Loopback::ownAddress($url, $address, $port), $body);
    }

    /** Answers such a request: flushes. Who knows no token gets nothing, and learns nothing. */
    public static function serve(): void
    {
        // No nonce, for nobody is signed in: the token is a keyed hash of the time.
        // phpcs:ignore WordPress.Security.NonceVerification, WordPress.Security.ValidatedSanitizedInput -- only compared
        $token = isset($_POST['token']) ? (string) wp_unslash($_POST['token']) : '';
        if (!Loopback::isToken(Settings::hashKey(), $token)) {
            wp_die('', '', ['response' => 403]);
        }
        ignore_user_abort(true);
        Plugin::background(Limits::WEB_BUDGET_MS);
        wp_die('', '', ['response' => 204]);
    }
}
