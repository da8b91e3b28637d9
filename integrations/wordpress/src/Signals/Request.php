<?php

declare(strict_types=1);

namespace Logystera\WordPress\Signals;

use Logystera\Probe;
use Logystera\Redact;
use Logystera\WordPress\Emitter;
use Logystera\WordPress\Kick;

/** Each request that WordPress answers: without its query string, and without what in its path is a person's. */
final class Request implements Source
{
    /** Bytes of a body that is no form's that are looked at. */
    private const BODY_BYTES_MAX = 16384;
    /** Who may write pages may write anything into them. */
    private const WRITES = 'edit_posts';
    /** What WordPress's own sign-in page does, and where plugins hook their own in. */
    private const LOGIN_ACTIONS = [
        'confirm_admin_email', 'postpass', 'logout', 'lostpassword', 'retrievepassword', 'resetpass', 'rp', 'register', 'checkemail',
        'confirmaction', 'login',
    ];
    private const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

    /** @var Emitter */
    private $emitter;
    /** @var mixed what was posted, as far as it is looked at */
    private $body = [];

    public function __construct(Emitter $emitter)
    {
        $this->emitter = $emitter;
    }

    public function register(): void
    {
        // What there is to tell is known when the request ends.
    }

    /** What was posted cannot be read any more once the answer has ended. */
    public function read(): void
    {
        $this->body = self::isTrusted() ? [] : self::body();
    }

    public function finish(): void
    {
        if (PHP_SAPI === 'cli' || Kick::isOurs()) {
            return;
        }
        // phpcs:disable WordPress.Security.NonceVerification, WordPress.Security.ValidatedSanitizedInput -- each goes through the redaction or a list, and none is shown
        $method = strtoupper((string) ($_SERVER['REQUEST_METHOD'] ?? 'GET'));
        $path = Redact::path((string) ($_SERVER['REQUEST_URI'] ?? '/'));
        $agent = Redact::userAgent((string) ($_SERVER['HTTP_USER_AGENT'] ?? ''));
        $start = (float) ($_SERVER['REQUEST_TIME_FLOAT'] ?? microtime(true));
        $flags = Probe::flags((string) ($_SERVER['QUERY_STRING'] ?? ''), $this->body, self::host());
        // phpcs:enable
        /**
         * Whether a client that names itself a search engine is one: `verified` or `unverified`, from a plugin that knows. To find out
         * takes a look into the DNS, which no page waits for.
         *
         * @param string|null $bot
         */
        $bot = apply_filters('logystera_bot', null);
        $status = http_response_code();
        $this->emitter->emit([
            'method' => in_array($method, self::METHODS, true) ? $method : 'OTHER', 'path' => $path,
            'status' => is_int($status) ? $status : 200, 'route_group' => self::group(), 'user_agent' => $agent,
            'duration_ms' => (int) round((microtime(true) - $start) * 1000), 'source' => $this->emitter->source(),
            'action' => self::action(), 'flags' => $flags === [] ? null : $flags, 'bot' => $bot, 'network' => $this->emitter->network(),
        ]);
    }

    /**
     * What was posted, as far as it is looked at.
     *
     * @return mixed
     */
    private static function body()
    {
        // phpcs:disable WordPress.Security.NonceVerification -- looked at, not kept
        if ($_POST !== []) {
            return $_POST;
        }
        // phpcs:enable
        $text = (string) file_get_contents('php://input', false, null, 0, self::BODY_BYTES_MAX);
        return json_decode($text, true) ?? $text;
    }

    private static function isTrusted(): bool
    {
        return function_exists('current_user_can') && did_action('set_current_user') && current_user_can(self::WRITES);
    }

    private static function host(): string
    {
        return (string) wp_parse_url(site_url(), PHP_URL_HOST);
    }

    /** What was asked for, by a name that some code has registered. */
    private static function action(): ?string
    {
        // phpcs:disable WordPress.Security.NonceVerification, WordPress.Security.ValidatedSanitizedInput -- only compared with what is registered
        $asked = static fn (array $from, string $name): string => isset($from[$name]) && is_string($from[$name]) ? $from[$name] : '';
        $action = $asked($_REQUEST, 'action');
        $shop = $asked($_GET, 'wc-ajax');
        // phpcs:enable
        $isRegistered = false;
        if (wp_doing_ajax()) {
            $isRegistered = has_action("wp_ajax_$action") || has_action("wp_ajax_nopriv_$action");
        } elseif (did_action('login_init')) {
            $isRegistered = in_array($action, self::LOGIN_ACTIONS, true) || has_action("login_form_$action");
        } elseif (self::isScript('admin-post.php')) {
            $isRegistered = has_action("admin_post_$action") || has_action("admin_post_nopriv_$action");
        } elseif ($shop !== '' && has_action("wc_ajax_$shop")) {
            [$action, $isRegistered] = ["wc-ajax:$shop", true];
        }
        return $isRegistered ? Redact::action($action) : null;
    }

    private static function isScript(string $name): bool
    {
        return ($GLOBALS['pagenow'] ?? '') === $name;
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
