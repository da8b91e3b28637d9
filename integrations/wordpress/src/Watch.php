<?php

declare(strict_types=1);

namespace Logystera\WordPress;

use Logystera\Redact;
use Logystera\Versions;

/**
 * Looks, from the background, at what no hook tells: components that came and went as files, new security keys, missed
 * jobs.
 */
final class Watch
{
    /** Pause between two looks, in seconds: each reads the heads of all plugins' files. */
    private const EVERY_S = 300;
    /** A job that is so late was missed, in seconds. */
    private const MISSED_S = 3600;
    /** Jobs that are told of as missed, in one look. */
    private const MISSED_MAX = 20;
    /** Missed jobs that are remembered, so that none is told twice; of more, the rest is not told. */
    private const REMEMBERED_MAX = 1000;
    private const KEYS = [
        'AUTH_KEY', 'SECURE_AUTH_KEY', 'LOGGED_IN_KEY', 'NONCE_KEY', 'AUTH_SALT', 'SECURE_AUTH_SALT', 'LOGGED_IN_SALT',
        'NONCE_SALT',
    ];

    /** Constants of the configuration, and what it means for a site if they are not as they should be. */
    private const SWITCHES = ['WP_DEBUG' => 'debug_on', 'DISALLOW_FILE_EDIT' => 'file_editor_on'];

    /** @var Site */
    private $site;

    public function __construct(Site $site)
    {
        $this->site = $site;
    }

    /** Looks if it is time, or asked to. The first look only remembers. */
    public function look(bool $isAsked = false): void
    {
        $seen = get_option(Settings::OPTION_WATCH, []);
        $seen = is_array($seen) ? $seen : [];
        $since = time() - (int) ($seen['at'] ?? 0);
        if (!$isAsked && $since >= 0 && $since < self::EVERY_S) {
            return;
        }
        $now = [
            'at' => time(), 'components' => Components::versions(), 'core' => (string) $GLOBALS['wp_version'],
            'keys' => $this->keys(), 'switches' => self::switches(), 'missed' => $this->missed($seen['missed'] ?? []),
        ];
        // Kept before it is told: told twice is worse than found once more by hand.
        update_option(Settings::OPTION_WATCH, $now, false);
        if (isset($seen['components'], $seen['keys'], $seen['core'])) {
            $this->tellComponents($seen, $now);
            $this->tellKeys($seen['keys'], $now['keys']);
            $this->tellSwitches((array) ($seen['switches'] ?? $now['switches']), $now['switches']);
        }
    }

    /** After a change that a hook told of. */
    public static function rememberComponents(): void
    {
        $seen = get_option(Settings::OPTION_WATCH, []);
        if (is_array($seen) && isset($seen['components'])) {
            $seen['components'] = Components::versions();
            update_option(Settings::OPTION_WATCH, $seen, false);
        }
    }

    private function tellComponents(array $seen, array $now): void
    {
        $emitter = new Emitter('component.lifecycle', $this->site);
        foreach (Versions::signals($seen, $now, 'wordpress') as $fields) {
            $emitter->emit($fields);
        }
    }

    /** @return array<string, string> keyed hash of each security key that is set */
    private function keys(): array
    {
        $emitter = new Emitter('config.change', $this->site);
        $hashes = [];
        foreach (self::KEYS as $name) {
            if (defined($name)) {
                $hashes[$name] = $emitter->secret($name, (string) constant($name));
            }
        }
        return $hashes;
    }

    private function tellKeys(array $before, array $after): void
    {
        $emitter = new Emitter('config.change', $this->site);
        foreach (self::KEYS as $name) {
            [$old, $new] = [$before[$name] ?? null, $after[$name] ?? null];
            if ($old !== $new) {
                $action = $old === null ? 'added' : ($new === null ? 'deleted' : 'updated');
                $emitter->emit(['key' => $name, 'action' => $action, 'before_hash' => $old, 'after_hash' => $new]);
            }
        }
    }

    /** @return array<string, bool> what the configuration's constants open to strangers, by the names of SWITCHES */
    private static function switches(): array
    {
        $isTrue = static fn (string $name): bool => defined($name) && (bool) constant($name);
        return [
            'WP_DEBUG' => $isTrue('WP_DEBUG') && $isTrue('WP_DEBUG_DISPLAY'),
            'DISALLOW_FILE_EDIT' => !$isTrue('DISALLOW_FILE_EDIT') && !$isTrue('DISALLOW_FILE_MODS'),
        ];
    }

    private function tellSwitches(array $before, array $after): void
    {
        foreach (self::SWITCHES as $name => $flag) {
            if (($before[$name] ?? $after[$name]) !== $after[$name]) {
                (new Emitter('config.change', $this->site))->emit([
                    'key' => $name, 'action' => 'updated', 'flags' => $after[$name] ? [$flag] : null,
                ]);
            }
        }
    }

    /**
     * Tells of jobs whose time is long over, once for each time. Not from cron, which is about to run them.
     *
     * @param mixed $told what was told: the due time and the hook of each; in older versions the due time by hook
     * @return string[]
     */
    private function missed($told): array
    {
        $known = [];
        foreach (is_array($told) ? $told : [] as $hook => $one) {
            $known[is_int($one) ? "$one $hook" : (is_string($one) ? $one : '')] = true;
        }
        if (wp_doing_cron()) {
            return array_keys($known);
        }
        $emitter = new Emitter('cron.run', $this->site);
        [$overdue, $count] = [[], 0];
        foreach ((array) _get_cron_array() as $due => $hooks) {
            if (time() - (int) $due < self::MISSED_S) {
                break;
            }
            foreach (array_keys((array) $hooks) as $hook) {
                $key = (int) $due . " $hook";
                $isKnown = isset($known[$key]);
                if (count($overdue) >= self::REMEMBERED_MAX || (!$isKnown && $count >= self::MISSED_MAX)) {
                    continue;
                }
                $overdue[] = $key;
                if (!$isKnown) {
                    $count++;
                    $emitter->emit(['job' => Redact::name((string) $hook), 'outcome' => 'missed', 'late_s' => time() - (int) $due]);
                }
            }
        }
        return $overdue;
    }
}
