<?php

declare(strict_types=1);

namespace Logystera\WordPress;

use Logystera\Limits;

/**
 * Has the site send by a request to itself, whose answer nobody waits for. That is how it is done where PHP cannot
 * end an answer and go on: a page then pays for one connection to its own machine, at most once in ten seconds.
 */
final class Kick
{
    public const ACTION = 'logystera_kick';
    /** Longest time that a page gives to it, in seconds. */
    private const CONNECT_S_MAX = 0.2;
    /** A token is good for so long, in seconds, and for as long again. */
    private const TOKEN_S = 60;

    public static function register(): void
    {
        add_action('wp_ajax_' . self::ACTION, [self::class, 'serve']);
        add_action('wp_ajax_nopriv_' . self::ACTION, [self::class, 'serve']);
    }

    /** Whether this request is one. */
    public static function isOurs(): bool
    {
        // phpcs:ignore -- only compared
        return wp_doing_ajax() && isset($_POST['action']) && $_POST['action'] === self::ACTION;
    }

    /** Sends the request and does not wait. Where that fails, cron sends. */
    public static function send(): void
    {
        $url = wp_parse_url(admin_url('admin-ajax.php'));
        $isTls = ($url['scheme'] ?? 'http') === 'https';
        $host = (string) ($url['host'] ?? '');
        $port = (int) ($url['port'] ?? ($isTls ? 443 : 80));
        // This machine itself, where the server says its address: neither a name nor a way has to be found.
        // phpcs:disable -- an address, and used only as one; behind a proxy the port is another, and the proxy is asked
        $isOwn = isset($_SERVER['SERVER_ADDR'], $_SERVER['SERVER_PORT']) && (int) $_SERVER['SERVER_PORT'] === $port;
        $own = $isOwn ? (string) $_SERVER['SERVER_ADDR'] : '';
        // phpcs:enable
        $target = filter_var($own, FILTER_VALIDATE_IP) === false ? $host : (strpos($own, ':') === false ? $own : "[$own]");
        $context = stream_context_create(['ssl' => ['peer_name' => $host]]);
        $stream = @stream_socket_client(
            ($isTls ? 'tls' : 'tcp') . "://$target:$port",
            $code,
            $message,
            self::CONNECT_S_MAX,
            STREAM_CLIENT_CONNECT,
            $context
        );
        if ($stream === false) {
            return;
        }
        $body = 'action=' . self::ACTION . '&token=' . self::token(0);
        $isUsual = $port === ($isTls ? 443 : 80);
        stream_set_timeout($stream, 0, (int) (self::CONNECT_S_MAX * 1e6));
        @fwrite($stream, 'POST ' . ($url['path'] ?? '/') . " HTTP/1.1\r\nHost: $host" . ($isUsual ? '' : ":$port")
            . "\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: " . strlen($body)
            . "\r\nConnection: close\r\n\r\n$body");
        fclose($stream);
    }

    /** Answers such a request: flushes. Who knows no token gets nothing, and learns nothing. */
    public static function serve(): void
    {
        // No nonce, for nobody is signed in: the token is a keyed hash of the time.
        // phpcs:ignore -- only compared
        $token = isset($_POST['token']) ? (string) wp_unslash($_POST['token']) : '';
        if (!hash_equals(self::token(0), $token) && !hash_equals(self::token(1), $token)) {
            wp_die('', '', ['response' => 403]);
        }
        ignore_user_abort(true);
        Plugin::background(Limits::WEB_BUDGET_MS);
        wp_die('', '', ['response' => 204]);
    }

    private static function token(int $ago): string
    {
        return hash_hmac('sha256', 'kick ' . (intdiv(time(), self::TOKEN_S) - $ago), Settings::hashKey());
    }
}
