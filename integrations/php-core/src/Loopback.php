<?php

declare(strict_types=1);

namespace Logystera;

/** A request of a site to itself, whose answer nobody waits for: how a page has the site send where PHP cannot go on after an answer. */
final class Loopback
{
    /** Longest time that a page gives to it, in seconds. */
    private const CONNECT_S_MAX = 0.2;
    /** A token is good for so long, in seconds, and for as long again. */
    private const TOKEN_S = 60;

    /**
     * Posts a form and does not wait. Where that fails, cron sends.
     *
     * @param string $address this machine itself, where the web server says so: neither a name nor a way has to be
     * found then; empty to ask the URL's host
     */
    public static function post(string $url, string $address, string $body): void
    {
        $parts = (array) parse_url($url);
        $isTls = ($parts['scheme'] ?? 'http') === 'https';
        $host = (string) ($parts['host'] ?? '');
        $port = (int) ($parts['port'] ?? self::usualPort($isTls));
        $target = filter_var($address, FILTER_VALIDATE_IP) === false
            ? $host
            : (strpos($address, ':') === false ? $address : "[$address]");
        $context = stream_context_create(['ssl' => ['peer_name' => $host]]);
        [$code, $message] = [0, ''];
        $stream = Quiet::call(
            'stream_socket_client',
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
        stream_set_timeout($stream, 0, (int) (self::CONNECT_S_MAX * 1e6));
        Quiet::call('fwrite', $stream, 'POST ' . ($parts['path'] ?? '/') . " HTTP/1.1\r\nHost: $host"
            . ($port === self::usualPort($isTls) ? '' : ":$port")
            . "\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: " . strlen($body)
            . "\r\nConnection: close\r\n\r\n$body");
        fclose($stream);
    }

    /** The server's own address, if it listens at the URL's port; behind a proxy that is another, and the proxy is asked. */
    public static function ownAddress(string $url, string $serverAddress, int $serverPort): string
    {
        $parts = (array) parse_url($url);
        $port = (int) ($parts['port'] ?? self::usualPort(($parts['scheme'] ?? 'http') === 'https'));
        return $serverPort === $port ? $serverAddress : '';
    }

    /** By what the site knows its own request: a keyed hash of the time. */
    public static function token(string $key): string
    {
        return self::tokenOf($key, intdiv(time(), self::TOKEN_S));
    }

    public static function isToken(string $key, string $token): bool
    {
        $now = intdiv(time(), self::TOKEN_S);
        return hash_equals(self::tokenOf($key, $now), $token) || hash_equals(self::tokenOf($key, $now - 1), $token);
    }

    private static function tokenOf(string $key, int $time): string
    {
        return hash_hmac('sha256', 'kick ' . $time, $key);
    }

    private static function usualPort(bool $isTls): int
    {
        return $isTls ? 443 : 80;
    }
}
