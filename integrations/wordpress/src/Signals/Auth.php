<?php

declare(strict_types=1);

namespace Logystera\WordPress\Signals;

use Logystera\Limits;
use Logystera\WordPress\Emitter;
use Logystera\WordPress\Guard;

/**
 * Sign-ins: by the form, XML-RPC, REST, an application password, a cookie that was forged. One signal for each
 * attempt.
 */
final class Auth implements Source
{
    private const REASONS = [
        'invalid_username' => 'unknown_user', 'invalid_email' => 'unknown_user', 'invalidcombo' => 'unknown_user',
        'incorrect_password' => 'bad_password', 'expired_key' => 'expired', 'expired_session' => 'expired',
    ];

    /** @var Emitter */
    private $emitter;
    /** @var bool whether an application password was good: then XML-RPC's own success is the same one */
    private $isAppPassword = false;
    /** @var bool whether WordPress looked at a password in this request */
    private $isAuthenticating = false;
    /** @var int account that this request came from; 0 for nobody's */
    private $came = 0;
    /** @var array<int, true> accounts that got a cookie in this request */
    private $given = [];
    /** @var bool whether a cookie was told of in this request: WordPress looks at it several times */
    private $isCookieTold = false;

    public function __construct(Emitter $emitter)
    {
        $this->emitter = $emitter;
    }

    public function register(): void
    {
        Guard::watch('authenticate', [$this, 'begin'], -PHP_INT_MAX);
        Guard::watch('authenticate', [$this, 'end'], PHP_INT_MAX);
        Guard::watch('wp_login_failed', [$this, 'failed'], 10, 2);
        Guard::watch('wp_login', [$this, 'succeeded'], 10, 2);
        Guard::watch('init', [$this, 'come'], -PHP_INT_MAX);
        Guard::watch('set_logged_in_cookie', [$this, 'cookieGiven'], 10, 4);
        Guard::watch('application_password_failed_authentication', [$this, 'appPasswordFailed']);
        Guard::watch('application_password_did_authenticate', [$this, 'appPasswordSucceeded']);
        Guard::watch('auth_cookie_bad_hash', [$this, 'cookieFailed']);
        Guard::watch('auth_cookie_bad_username', [$this, 'cookieFailed']);
        Guard::watch('lostpassword_post', [$this, 'resetRequested'], 10, 2);
    }

    /** Who got a cookie and did not pass by WordPress's own sign-in has been asked elsewhere. */
    public function finish(): void
    {
        foreach (array_keys($this->given) as $id) {
            $user = get_userdata($id);
            if ($user instanceof \WP_User) {
                $this->tell('success', 'sso', null, (string) $user->user_login, $user);
            }
        }
        $this->given = [];
    }

    /** Who this request came from, before anything changes that. */
    public function come(): void
    {
        $this->came = get_current_user_id();
    }

    /**
     * A cookie is made, and told of when the request ends unless `wp_login` tells of it. Who came with one gets another
     * when they change their password: that is no sign-in.
     *
     * @param mixed $cookie
     * @param mixed $expire
     * @param mixed $expiration
     * @param mixed $id
     */
    public function cookieGiven($cookie, $expire, $expiration, $id): void
    {
        if ((int) $id > 0 && (int) $id !== $this->came) {
            $this->given[(int) $id] = true;
        }
    }

    /** @param mixed $user */
    public function begin($user)
    {
        $this->isAuthenticating = true;
        return $user;
    }

    /**
     * XML-RPC tells of no success itself.
     *
     * @param mixed $user
     */
    public function end($user)
    {
        if ($user instanceof \WP_User && self::method() === 'xmlrpc' && !$this->isAppPassword) {
            $this->tell('success', 'xmlrpc', null, (string) $user->user_login, $user);
        }
        return $user;
    }

    /**
     * @param mixed $name
     * @param mixed $error
     */
    public function failed($name, $error = null): void
    {
        $code = is_wp_error($error) ? (string) $error->get_error_code() : '';
        $isLockout = preg_match('/lock|too_many|blocked/i', $code) === 1;
        $reason = $isLockout ? 'blocked' : (self::REASONS[$code] ?? 'other');
        $this->tell($isLockout ? 'lockout' : 'failure', self::method(), $reason, (string) $name, self::account((string) $name));
    }

    /**
     * @param mixed $login
     * @param mixed $user
     */
    public function succeeded($login, $user = null): void
    {
        // Who signs somebody in without WordPress looking at a password has looked elsewhere.
        $method = $this->isAuthenticating ? self::method() : 'sso';
        $this->given = [];
        $this->tell('success', $method, null, (string) $login, $user instanceof \WP_User ? $user : null);
    }

    /** @param mixed $error */
    public function appPasswordFailed($error): void
    {
        // XML-RPC tries the password as an application password too, and tells of the failure itself.
        if (doing_filter('authenticate')) {
            return;
        }
        $code = is_wp_error($error) ? (string) $error->get_error_code() : '';
        // phpcs:ignore WordPress.Security.NonceVerification, WordPress.Security.ValidatedSanitizedInput -- hashed
        $name = isset($_SERVER['PHP_AUTH_USER']) ? (string) wp_unslash($_SERVER['PHP_AUTH_USER']) : '';
        $this->tell('failure', 'app_password', self::REASONS[$code] ?? 'other', $name, self::account($name));
    }

    /** @param mixed $user */
    public function appPasswordSucceeded($user): void
    {
        if ($user instanceof \WP_User) {
            $this->isAppPassword = true;
            $this->tell('success', 'app_password', null, (string) $user->user_login, $user);
        }
    }

    /**
     * A cookie that WordPress did not sign. Told only where it asks for the admin area and is sent on to the form: on
     * other pages a browser goes on sending a cookie that the site's new keys made worthless, and is nobody's attack.
     *
     * @param mixed $cookie
     */
    public function cookieFailed($cookie): void
    {
        if ($this->isCookieTold || !is_admin() || wp_doing_ajax()) {
            return;
        }
        $this->isCookieTold = true;
        $name = is_array($cookie) && is_string($cookie['username'] ?? null) ? $cookie['username'] : '';
        $reason = current_filter() === 'auth_cookie_bad_username' ? 'unknown_user' : 'other';
        $this->tell('failure', 'cookie', $reason, $name, self::account($name));
    }

    /**
     * Somebody asks for a link that sets a new password, for an account or for one that is not there. WordPress before 5.4 does not say
     * whose.
     *
     * @param mixed $errors
     * @param mixed $user
     */
    public function resetRequested($errors, $user = null): void
    {
        // phpcs:ignore WordPress.Security.NonceVerification, WordPress.Security.ValidatedSanitizedInput -- hashed
        $typed = isset($_POST['user_login']) && is_string($_POST['user_login']) ? trim(wp_unslash($_POST['user_login'])) : '';
        $account = $user instanceof \WP_User ? $user : self::account($typed);
        $name = $typed === '' && $account !== null ? (string) $account->user_login : $typed;
        $this->tell('reset_requested', self::method(), $account === null ? 'unknown_user' : null, $name, $account);
    }

    private function tell(string $outcome, string $method, ?string $reason, string $name, ?\WP_User $account): void
    {
        $login = $account !== null ? (string) $account->user_login : $name;
        $isPrivileged = $account === null ? null : user_can($account, 'manage_options');
        $this->emitter->emit([
            'outcome' => $outcome, 'method' => $method, 'reason' => $reason,
            'user_hash' => $login === '' ? null : $this->emitter->user($login),
            'user_length' => $login === '' ? null : $this->emitter->userLength($name),
            'source' => $this->emitter->source(),
            'privileged' => $isPrivileged, 'network' => $this->emitter->network(),
        ], $outcome === 'success' && $isPrivileged === true);
    }

    private static function account(string $name): ?\WP_User
    {
        $isName = $name !== '' && strlen($name) <= Limits::LOGIN_BYTES_MAX;
        $user = $isName ? get_user_by('login', $name) : false;
        if ($user === false && $isName && is_email($name)) {
            $user = get_user_by('email', $name);
        }
        return $user instanceof \WP_User ? $user : null;
    }

    private static function method(): string
    {
        if (defined('XMLRPC_REQUEST') && XMLRPC_REQUEST) {
            return 'xmlrpc';
        }
        if (defined('REST_REQUEST') && REST_REQUEST) {
            return 'rest';
        }
        return PHP_SAPI === 'cli' ? 'cli' : 'form';
    }
}
