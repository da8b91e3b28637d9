<?php

declare(strict_types=1);

namespace Logystera\WordPress\Signals;

use Logystera\Redact;
use Logystera\WordPress\Emitter;
use Logystera\WordPress\Guard;

/**
 * Accounts and their roles. Roles are watched where they are kept, in the account's meta: that is the same place for
 * who uses WordPress's functions and for who writes the meta by hand.
 */
final class UserChange implements Source
{
    /** The role that is told of an account that has none. */
    private const NO_ROLE = 'none';
    /** The role that is told of who runs a network. */
    private const SUPER = 'super_admin';

    /** Where plugins keep whether an account has a second factor: Two-Factor, WP 2FA, Google Authenticator. */
    private const FACTORS = ['_two_factor_enabled_providers', 'wp_2fa_enabled_methods', 'googleauthenticator_enabled'];
    /** What makes an account another's. */
    private const TAKES_OVER = [
        'created', 'role_granted', 'password_changed', 'email_changed', 'second_factor_off', 'app_password_created',
    ];

    /** @var Emitter */
    private $emitter;
    /** @var array<int, mixed> the second factor before a change, by account */
    private $hadFactor = [];
    /** @var array<int, string[]> roles before a change, by account */
    private $before = [];
    /** @var bool whether an account is being made: its first roles are part of that */
    private $isCreating = false;
    /** @var array<int, array{0: string, 1: string, 2: int}> login, role and site of accounts that are being deleted */
    private $deleting = [];

    public function __construct(Emitter $emitter)
    {
        $this->emitter = $emitter;
    }

    public function register(): void
    {
        Guard::watch('wp_pre_insert_user_data', [$this, 'inserting'], PHP_INT_MAX, 2);
        Guard::watch('user_register', [$this, 'created']);
        Guard::watch('delete_user', [$this, 'deleting']);
        Guard::watch('deleted_user', [$this, 'deleted']);
        Guard::watch('wpmu_delete_user', [$this, 'deleting']);
        foreach (['update_user_meta', 'delete_user_meta'] as $hook) {
            Guard::watch($hook, [$this, 'changing'], 10, 3);
        }
        foreach (['added_user_meta', 'updated_user_meta', 'deleted_user_meta'] as $hook) {
            Guard::watch($hook, [$this, 'changed'], 10, 3);
        }
        Guard::watch('profile_update', [$this, 'updated'], 10, 2);
        Guard::watch('after_password_reset', [$this, 'passwordReset']);
        Guard::watch('wp_create_application_password', [$this, 'appPasswordCreated']);
        Guard::watch('logystera_second_factor_off', [$this, 'secondFactorOff']);
        Guard::watch('granted_super_admin', [$this, 'superGranted']);
        Guard::watch('revoked_super_admin', [$this, 'superRevoked']);
    }

    public function finish(): void
    {
    }

    /**
     * @param mixed $data
     * @param mixed $isUpdate
     */
    public function inserting($data, $isUpdate)
    {
        $this->isCreating = !$isUpdate;
        return $data;
    }

    /** @param mixed $id */
    public function created($id): void
    {
        $this->isCreating = false;
        $roles = self::roles((int) $id);
        $this->tell('created', array_shift($roles) ?? self::NO_ROLE, self::login((int) $id));
        foreach ($roles as $role) {
            $this->tell('role_granted', $role, self::login((int) $id));
        }
    }

    /** @param mixed $id */
    public function deleting($id): void
    {
        // A network's deletion is followed by the site's own word, too.
        $this->deleting[(int) $id] = [self::login((int) $id), self::roles((int) $id)[0] ?? self::NO_ROLE, get_current_blog_id()];
    }

    /** @param mixed $id */
    public function deleted($id): void
    {
        [$login, $role] = $this->deleting[(int) $id] ?? ['', self::NO_ROLE];
        unset($this->deleting[(int) $id]);
        if ($login !== '') {
            $this->tell('deleted', $role, $login);
        }
    }

    /**
     * @param mixed $metaIds
     * @param mixed $id
     * @param mixed $key
     */
    public function changing($metaIds, $id, $key): void
    {
        if (self::isRoles($key)) {
            $this->before[(int) $id] = self::roles((int) $id);
        } elseif (in_array($key, self::FACTORS, true)) {
            $this->hadFactor[(int) $id] = get_user_meta((int) $id, $key, true);
        }
    }

    /**
     * @param mixed $metaIds
     * @param mixed $id
     * @param mixed $key
     */
    public function changed($metaIds, $id, $key): void
    {
        $id = (int) $id;
        if (in_array($key, self::FACTORS, true)) {
            $hasFactor = !empty(get_user_meta($id, $key, true));
            if (!empty($this->hadFactor[$id]) && !$hasFactor && !isset($this->deleting[$id])) {
                $this->tellOf('second_factor_off', $id);
            }
            unset($this->hadFactor[$id]);
            return;
        }
        if (!self::isRoles($key) || $this->isCreating) {
            return;
        }
        [$before, $after] = [$this->before[$id] ?? [], self::roles($id)];
        unset($this->before[$id]);
        if (isset($this->deleting[$id])) {
            // Each site of a network that the account had roles at hears of it.
            [$login, , $blog] = $this->deleting[$id];
            if ($blog !== get_current_blog_id() && $before !== [] && $after === []) {
                $this->tell('deleted', $before[0], $login);
            }
            return;
        }
        foreach (array_diff($before, $after) as $role) {
            $this->tell('role_revoked', $role, self::login($id));
        }
        foreach (array_diff($after, $before) as $role) {
            $this->tell('role_granted', $role, self::login($id));
        }
    }

    /**
     * A profile was saved. What WordPress itself does to a password, to hash it better, does not come by here.
     *
     * @param mixed $id
     * @param mixed $before
     */
    public function updated($id, $before = null): void
    {
        $now = get_userdata((int) $id);
        if ($now === false || !is_object($before)) {
            return;
        }
        foreach (['user_pass' => 'password_changed', 'user_email' => 'email_changed'] as $field => $action) {
            if (isset($before->$field) && (string) $before->$field !== (string) $now->$field) {
                $this->tellOf($action, (int) $id);
            }
        }
    }

    /** @param mixed $user */
    public function passwordReset($user): void
    {
        if ($user instanceof \WP_User) {
            $this->tellOf('password_changed', (int) $user->ID);
        }
    }

    /** @param mixed $id */
    public function appPasswordCreated($id): void
    {
        $this->tellOf('app_password_created', (int) $id);
    }

    /**
     * For plugins that keep a second factor elsewhere than in the metas of FACTORS: they may say so.
     *
     * @param mixed $id
     */
    public function secondFactorOff($id): void
    {
        $this->tellOf('second_factor_off', (int) $id);
    }

    /** Tells of something about an account whose roles stay. */
    private function tellOf(string $action, int $id): void
    {
        $roles = self::roles($id);
        $running = array_values(array_filter($roles, [self::class, 'runsSite']));
        $this->tell($action, $running[0] ?? $roles[0] ?? self::NO_ROLE, self::login($id));
    }

    /** @param mixed $id */
    public function superGranted($id): void
    {
        $this->tell('role_granted', self::SUPER, self::login((int) $id));
    }

    /** @param mixed $id */
    public function superRevoked($id): void
    {
        $this->tell('role_revoked', self::SUPER, self::login((int) $id));
    }

    /** @param mixed $key */
    private static function isRoles($key): bool
    {
        global $wpdb;
        return $key === $wpdb->get_blog_prefix() . 'capabilities';
    }

    /** @return string[] roles as they stand in the account's meta; single capabilities are none */
    private static function roles(int $id): array
    {
        global $wpdb;
        $capabilities = get_user_meta($id, $wpdb->get_blog_prefix() . 'capabilities', true);
        $held = is_array($capabilities) ? array_keys(array_filter($capabilities)) : [];
        return array_values(array_filter($held, static fn ($role): bool => wp_roles()->is_role((string) $role)));
    }

    private static function login(int $id): string
    {
        $user = get_userdata($id);
        return $user === false ? '' : (string) $user->user_login;
    }

    private function tell(string $action, string $role, string $login): void
    {
        $isVital = in_array($action, self::TAKES_OVER, true) && self::runsSite($role);
        if (!$isVital && !$this->emitter->takesOne()) {
            return;
        }
        $this->emitter->emit([
            'action' => $action, 'role' => Redact::slug($role), 'user_hash' => $this->emitter->user($login),
            'user_length' => $this->emitter->userLength($login), 'actor_hash' => $this->emitter->actor(),
        ], $isVital);
    }

    /** Whether who has the role can change everything. */
    private static function runsSite(string $role): bool
    {
        $found = $role === self::SUPER ? null : wp_roles()->get_role($role);
        return $role === self::SUPER || ($found !== null && $found->has_cap('manage_options'));
    }
}
