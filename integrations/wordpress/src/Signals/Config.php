<?php

declare(strict_types=1);

namespace Logystera\WordPress\Signals;

use Logystera\Redact;
use Logystera\WordPress\Emitter;
use Logystera\WordPress\Guard;
use Logystera\WordPress\Plugin;

/**
 * Options that were added, updated or deleted: which, by whom, and whether a value is one that was seen before. Never
 * a value.
 */
final class Config implements Source
{
    /** What WordPress and plugins keep among the options although nobody sets it. */
    private const STATE = '/^(_transient_|_site_transient_|logystera_|action_scheduler|recovery_|wp_force_deactivated)'
        . '|^(cron|doing_cron|rewrite_rules|recently_edited|recently_activated|auto_core_update_notified|fresh_site'
        . '|can_compress_scripts|blog_count|https_detection_errors|db_upgraded|user_count|finished_updating_comment_type)$'
        . '|\.lock$|_lock$|_cache$|_children$/D';

    /** Who may do one of these has the site, or everybody's pages, in hand. */
    private const POWERS = ['manage_options', 'promote_users', 'edit_others_posts'];

    /** Before the name of a setting of the whole network. */
    private const NETWORK = 'network.';

    /** @var Emitter */
    private $emitter;
    /** @var array<string, mixed> values of what is about to be deleted */
    private $before = [];

    public function __construct(Emitter $emitter)
    {
        $this->emitter = $emitter;
    }

    public function register(): void
    {
        Guard::watch('added_option', [$this, 'added'], 10, 2);
        Guard::watch('updated_option', [$this, 'updated'], 10, 3);
        Guard::watch('delete_option', [$this, 'deleting']);
        Guard::watch('deleted_option', [$this, 'deleted']);
        if (is_multisite()) {
            Guard::watch('add_site_option', [$this, 'networkAdded'], 10, 2);
            Guard::watch('update_site_option', [$this, 'networkUpdated'], 10, 3);
            Guard::watch('delete_site_option', [$this, 'networkDeleted']);
        }
    }

    public function finish(): void
    {
    }

    /**
     * @param mixed $name
     * @param mixed $value
     */
    public function added($name, $value): void
    {
        if ($this->wants($name)) {
            $this->tell($name, 'added', null, $this->emitter->value($name, $value), self::opened($name, null, $value));
        }
    }

    /**
     * @param mixed $name
     * @param mixed $before
     * @param mixed $after
     */
    public function updated($name, $before, $after): void
    {
        if ($this->wants($name)) {
            $hashes = [$this->emitter->value($name, $before), $this->emitter->value($name, $after)];
            $this->tell($name, 'updated', $hashes[0], $hashes[1], self::opened($name, $before, $after));
        }
    }

    /** @param mixed $name */
    public function deleting($name): void
    {
        if (self::isSetting($name) && !$this->emitter->isFull()) {
            $this->before[$name] = get_option($name);
        }
    }

    /** @param mixed $name */
    public function deleted($name): void
    {
        if ($this->wants($name)) {
            $hasBefore = array_key_exists($name, $this->before);
            $this->tell($name, 'deleted', $hasBefore ? $this->emitter->value($name, $this->before[$name]) : null, null);
            unset($this->before[$name]);
        }
    }

    /**
     * The network's own settings are its main site's.
     *
     * @param mixed $name
     * @param mixed $value
     */
    public function networkAdded($name, $value): void
    {
        Plugin::at(get_main_site_id(), fn () => is_string($name) ? $this->added(self::NETWORK . $name, $value) : null);
    }

    /**
     * @param mixed $name
     * @param mixed $after
     * @param mixed $before
     */
    public function networkUpdated($name, $after, $before): void
    {
        Plugin::at(get_main_site_id(), fn () => is_string($name) ? $this->updated(self::NETWORK . $name, $before, $after) : null);
    }

    /** @param mixed $name */
    public function networkDeleted($name): void
    {
        Plugin::at(get_main_site_id(), fn () => is_string($name) ? $this->deleted(self::NETWORK . $name) : null);
    }

    /** Whether it is told of. Where a request changes more than is told, the work for each more is spared. @param mixed $name */
    private function wants($name): bool
    {
        return self::isSetting($name) && $this->emitter->takesOne();
    }

    /** @param mixed $name */
    public static function isSetting($name): bool
    {
        if (!is_string($name) || $name === '') {
            return false;
        }
        $own = strncmp($name, self::NETWORK, strlen(self::NETWORK)) === 0 ? substr($name, strlen(self::NETWORK)) : $name;
        return preg_match(self::STATE, $own) !== 1;
    }

    /**
     * What a new value opens: a hash of `administrator` tells a rule nothing.
     *
     * @param mixed $before
     * @param mixed $after
     * @return string[]
     */
    private static function opened(string $name, $before, $after): array
    {
        $isOpen = static fn ($value): bool => in_array($value, ['user', 'all'], true);
        $isTrue = static fn ($value): bool => (bool) $value;
        $isPowerful = static function ($role): bool {
            $found = is_string($role) ? wp_roles()->get_role($role) : null;
            return $found !== null && array_filter(self::POWERS, [$found, 'has_cap']) !== [];
        };
        $opens = [
            'users_can_register' => ['registration_opened', $isTrue], self::NETWORK . 'registration' => ['registration_opened', $isOpen],
            'default_role' => ['powerful_default_role', $isPowerful],
        ];
        [$flag, $holds] = $opens[$name] ?? [null, $isTrue];
        return $flag !== null && $holds($after) && !$holds($before) ? [$flag] : [];
    }

    /** @param string[] $flags */
    private function tell(string $name, string $action, ?string $before, ?string $after, array $flags = []): void
    {
        $this->emitter->emit([
            'key' => Redact::name($name), 'action' => $action, 'before_hash' => $before, 'after_hash' => $after,
            'actor_hash' => $this->emitter->actor(), 'flags' => $flags === [] ? null : $flags,
        ]);
    }
}
