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
        'user.change' => Signals\UserChange::class,
    ];

    /** @var Site|null */
    private static $site = null;
    /** @var bool */
    private static $isSilenced = false;

    public static function boot(): void
    {
        if (is_admin()) {
            Admin\Page::register();
            Admin\Health::register();
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

    /** Records and sends nothing more in this request: consent was withdrawn. */
    public static function silence(): void
    {
        self::$isSilenced = true;
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

    public static function deactivate(): void
    {
        wp_clear_scheduled_hook(Settings::EVENT);
    }
}
