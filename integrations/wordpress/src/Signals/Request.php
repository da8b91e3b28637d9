<?php

declare(strict_types=1);

namespace Logystera\WordPress\Signals;

use Logystera\Redact;
use Logystera\WordPress\Emitter;
use Logystera\WordPress\Kick;

/** Each request that WordPress answers: without its query string, and without what in its path is a person's. */
final class Request implements Source
{
    private const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

    /** @var Emitter */
    private $emitter;

    public function __construct(Emitter $emitter)
    {
        $this->emitter = $emitter;
    }

    public function register(): void
    {
        // What there is to tell is known when the request ends.
    }

    public function finish(): void
    {
        if (PHP_SAPI === 'cli' || Kick::isOurs()) {
            return;
        }
        // phpcs:disable -- each goes through the redaction or a list, and none is shown
        $method = strtoupper((string) ($_SERVER['REQUEST_METHOD'] ?? 'GET'));
        $path = Redact::path((string) ($_SERVER['REQUEST_URI'] ?? '/'));
        $agent = Redact::userAgent((string) ($_SERVER['HTTP_USER_AGENT'] ?? ''));
        $start = (float) ($_SERVER['REQUEST_TIME_FLOAT'] ?? microtime(true));
        // phpcs:enable
        $status = http_response_code();
        $this->emitter->emit([
            'method' => in_array($method, self::METHODS, true) ? $method : 'OTHER', 'path' => $path,
            'status' => is_int($status) ? $status : 200, 'route_group' => self::group(), 'user_agent' => $agent,
            'duration_ms' => (int) round((microtime(true) - $start) * 1000), 'source' => $this->emitter->source(),
        ]);
    }

    /** The part of the site that answered. */
    private static function group(): string
    {
        if (defined('XMLRPC_REQUEST') && XMLRPC_REQUEST) {
            return 'xmlrpc';
        }
        if (defined('REST_REQUEST') && REST_REQUEST) {
            return 'rest';
        }
        if (wp_doing_cron()) {
            return 'cron';
        }
        if (wp_doing_ajax()) {
            return 'ajax';
        }
        if (is_admin()) {
            return 'admin';
        }
        return did_action('login_init') ? 'login' : 'page';
    }
}
