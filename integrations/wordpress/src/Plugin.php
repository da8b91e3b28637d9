<?php

declare(strict_types=1);

namespace Logystera\WordPress;

use Logystera\Flushed;
use Logystera\Limits;
use Logystera\WordPress\Signals\Source;

/** Decides what is registered at all. Before an administrator agrees that is the settings page and nothing else. */
final class Plugin
{
    /** The classes that watch for each type of signals. */
    public const SOURCES = [
        'auth.attempt' => Signals\Auth::class,
        'component.lifecycle' => Signals\Component::class,
        'config.change' => Signals\Config::class,
        'cron.run' => Signals\Cron::class,
        'db.event' => Signals\Database::class,
        'file.edit' => Signals\FileEdit::class,
        'http.request' => Signals\Request::class,
        'mail.outcome' => Signals\Mail::class,
        'php.error' => Signals\PhpError::class,
        'shop.order' => Signals\Order::class,
        'user.change' => Signals\UserChange::class,
    ];

    private const SITE_LEAVES = 'site';
    private const NETWORK_LEAVES = 'network';

    /** WordPress's own lists of active plugins. */
    public const ACTIVE = 'active_plugins';
    public const ACTIVE_IN_NETWORK = 'active_sitewide_plugins';

    /** @var Site|null */
    private static $site = null;
    /** @var array<int, Site|null> by number */
    private static $others = [];
    /** @var bool */
    private static $isSilenced = false;
    /** @var bool */
    private static $hasSaidFarewell = false;
    /** @var string who deactivated the plugin in this request; empty for nobody */
    private static $leaves = '';

    public static function boot(): void
    {
        if (is_admin()) {
            Admin\Page::register();
            Admin\Health::register();
            Admin\Network::register();
        }
        if (defined('WP_CLI') && constant('WP_CLI')) {
            Cli::register();
        }
        self::$site = Site::open();
        if (self::$site === null) {
            return;
        }
        $sources = [];
        foreach (self::typesOn() as $type) {
            $class = self::SOURCES[$type];
            $sources[$type] = new $class(new Emitter($type, self::$site));
            $sources[$type]->register();
        }
        (new RequestEnd(self::$site, $sources))->register();
        Kick::register();
        register_deactivation_hook(FILE, [self::class, 'deactivate']);
        Guard::filter('cron_schedules', [self::class, 'schedules']);
        Guard::watch(Settings::EVENT, static function (): void {
            self::background();
        });
        Guard::watch('init', [self::class, 'schedule']);
    }

    /** The site; null before an administrator agreed. */
    public static function site(): ?Site
    {
        return self::$site;
    }

    /** The site that WordPress is at: another one after switch_to_blog(). Null where that one has not agreed, or not the plugin. */
    public static function siteHere(Site $home): ?Site
    {
        $blog = is_multisite() ? get_current_blog_id() : $home->blog;
        if ($blog === $home->blog) {
            return $home;
        }
        if (!array_key_exists($blog, self::$others)) {
            self::$others[$blog] = self::isActiveHere() ? Site::open() : null;
        }
        return self::$others[$blog];
    }

    /** @return Site[] other sites of the network that something was recorded for in this request */
    public static function others(): array
    {
        return array_filter(self::$others);
    }

    /** Does something at this request's own site, wherever somebody left WordPress. */
    public static function atHome(callable $act): void
    {
        self::at(self::$site === null ? get_current_blog_id() : self::$site->blog, $act);
    }

    /** Does something at a site of the network. */
    public static function at(int $blog, callable $act): void
    {
        $isAway = is_multisite() && get_current_blog_id() !== $blog;
        if ($isAway) {
            switch_to_blog($blog);
        }
        try {
            $act();
        } finally {
            if ($isAway) {
                restore_current_blog();
            }
        }
    }

    /** Whether the plugin is active at the site that WordPress is at. */
    public static function isActiveHere(): bool
    {
        $name = plugin_basename(FILE);
        return in_array($name, (array) get_option(self::ACTIVE, []), true)
            || isset(((array) get_site_option(self::ACTIVE_IN_NETWORK, []))[$name]);
    }

    /**
     * Says that nothing is watched from here on, once, while that may still be sent: the plugin is deactivated or removed, or the
     * agreement withdrawn.
     */
    public static function farewell(): void
    {
        [$site, $hasSaid] = [self::$site, self::$hasSaidFarewell];
        self::$hasSaidFarewell = true;
        if ($site !== null && !$hasSaid && !self::$isSilenced) {
            // That it was deactivated, WordPress told where that was.
            $tells = self::$leaves === '';
            self::at($site->blog, static fn () => $site->farewell(Limits::FAREWELL_BUDGET_MS, $tells));
        }
        if (self::$leaves === self::NETWORK_LEAVES && !$hasSaid) {
            self::farewellOfOthers();
        }
    }

    /** Says so for the other sites of a network, as long as there is time. */
    private static function farewellOfOthers(): void
    {
        $end = microtime(true) + Limits::FAREWELL_ALL_BUDGET_MS / 1000;
        foreach (get_sites(['fields' => 'ids', 'number' => Limits::FAREWELL_SITES_MAX]) as $blog) {
            if (microtime(true) > $end) {
                return;
            }
            if (self::$site === null || (int) $blog !== self::$site->blog) {
                self::at((int) $blog, static function (): void {
                    $site = Site::open();
                    $site === null ? null : $site->farewell(Limits::FAREWELL_BUDGET_MS, true);
                });
            }
        }
    }

    /** Records and sends nothing more in this request: consent was withdrawn. */
    public static function silence(): void
    {
        Guard::run([self::class, 'farewell']);
        self::$isSilenced = true;
        foreach (self::$site === null ? [] : array_merge([self::$site], self::others()) as $site) {
            $site->recorder->stop();
        }
    }

    public static function isSilenced(): bool
    {
        return self::$isSilenced;
    }

    /** @return string[] types that are switched on, in the catalogue's order */
    public static function typesOn(): array
    {
        $types = Settings::all()['types'];
        return array_values(array_filter(
            array_keys(self::SOURCES),
            static fn (string $type): bool => (bool) ($types[$type] ?? true)
        ));
    }

    /** Runs from cron: looks at what no hook tells, sends, and merges what the hashes stand for. */
    public static function background(int $budgetMs = Limits::CRON_BUDGET_MS, bool $isAsked = false): Flushed
    {
        if (self::$site === null) {
            return new Flushed(Flushed::IDLE);
        }
        (new Watch(self::$site))->look($isAsked);
        if (Settings::isOn('file.edit')) {
            Guard::run([new OwnFiles(self::$site), 'look'], 'file.edit');
        }
        $isWritten = self::$site->recorder->write() && self::$site->recorder->recover();
        self::$site->lookup->write();
        $flushed = self::$site->flush($budgetMs);
        self::$site->settle($budgetMs);
        self::$site->lookup->merge();
        return $isWritten ? $flushed : new Flushed(Flushed::UNWRITABLE, $flushed->answer, $flushed->batches);
    }

    /** @param mixed $schedules */
    public static function schedules($schedules): array
    {
        $schedules = is_array($schedules) ? $schedules : [];
        // Not translated: this filter runs before translations may be loaded.
        $schedules['logystera'] = ['interval' => Settings::all()['flush_every_s'], 'display' => 'Logystera'];
        return $schedules;
    }

    public static function schedule(): void
    {
        if (wp_next_scheduled(Settings::EVENT) === false) {
            wp_schedule_event(time(), 'logystera', Settings::EVENT);
        }
    }

    /** @param mixed $isOfNetwork whether it is deactivated for all sites */
    public static function deactivate($isOfNetwork = false): void
    {
        wp_clear_scheduled_hook(Settings::EVENT);
        self::$leaves = $isOfNetwork && is_multisite() ? self::NETWORK_LEAVES : self::SITE_LEAVES;
    }

    /** Whether the plugin was deactivated in this request, which is to end with its farewell. */
    public static function isLeaving(): bool
    {
        return self::$leaves !== '';
    }
}
