<?php

declare(strict_types=1);

namespace Logystera\WordPress\Admin;

use Logystera\Limits;
use Logystera\WordPress\Guard;
use Logystera\WordPress\Ledger;
use Logystera\WordPress\Plugin;
use Logystera\WordPress\Settings;
use Logystera\WordPress\SpoolFolder;

use const Logystera\WordPress\FILE;
use const Logystera\WordPress\VERSION;

/**
 * The settings page: its place, and what its buttons do. What it shows is View. Each action wants the right and a nonce of its own. What
 * came of one is kept as a note for the page: see back().
 */
final class Page
{
    public const SLUG = 'logystera';
    public const RIGHT = 'manage_options';
    public const ACTIONS = ['save', 'test', 'drill', 'withdraw'];
    /** Note for the page after an action, kept for a minute. */
    private const NOTE = 'logystera_note_';
    private const NOTE_S = 60;

    public static function register(): void
    {
        // WordPress before 6.7 looks for texts in its own folders only.
        Guard::watch('init', static function (): void {
            load_plugin_textdomain('logystera', false, dirname(plugin_basename(FILE)) . '/languages');
        });
        Guard::watch('admin_menu', [self::class, 'menu']);
        Guard::watch('admin_init', [self::class, 'privacy']);
        Guard::watch('admin_enqueue_scripts', [self::class, 'assets']);
        foreach (self::ACTIONS as $action) {
            add_action("admin_post_logystera_$action", [self::class, $action]);
        }
        Notice::register();
    }

    public static function menu(): void
    {
        add_options_page('Logystera', 'Logystera', self::RIGHT, self::SLUG, [View::class, 'show']);
    }

    /** @param mixed $screen */
    public static function assets($screen): void
    {
        if (in_array($screen, ['settings_page_' . self::SLUG, 'settings_page_' . Network::SLUG], true)) {
            wp_enqueue_style('logystera', plugins_url('core/src/assets/page.css', FILE), [], VERSION);
            wp_enqueue_script('logystera', plugins_url('core/src/assets/page.js', FILE), [], VERSION, true);
        }
    }

    /** What the site's privacy policy may say of it. */
    public static function privacy(): void
    {
        $dsn = Settings::dsn();
        if ($dsn !== null && Settings::isAgreed($dsn)) {
            /* translators: %s: a host */
            $text = __(
                'This site sends records of sign-ins, errors and requests to %s, to be warned of attacks and faults. They hold keyed '
                . 'hashes of user names and addresses, whose key stays on this site, and no names, addresses or contents.',
                'logystera'
            );
            wp_add_privacy_policy_content('Logystera', '<p>' . esc_html(sprintf($text, $dsn->host())) . '</p>');
        }
    }

    public static function url(): string
    {
        return admin_url('options-general.php?page=' . self::SLUG);
    }

    /** Saves what stands in the form. */
    public static function save(): void
    {
        self::demandRight('save');
        self::back(Save::form());
    }

    /** Sends what waits, or an empty batch, and tells what came of it. */
    public static function test(): void
    {
        self::demandRight('test');
        $site = Plugin::site();
        if ($site === null) {
            self::back(['kind' => 'error', 'text' => __('Nothing was sent: agree first.', 'logystera')]);
        }
        self::back(Status::outcome($site->flush(Limits::CRON_BUDGET_MS, true), $site));
    }

    /** Has mails fail, so that an alert comes of it. */
    public static function drill(): void
    {
        self::demandRight('drill');
        $site = Plugin::site();
        if ($site === null) {
            self::back(['kind' => 'error', 'text' => __('Nothing was sent: agree first.', 'logystera')]);
        }
        self::back(Drill::run($site));
    }

    /** Stops, and removes what was recorded; who did not say yes to that is asked. */
    public static function withdraw(): void
    {
        self::demandRight('withdraw');
        // phpcs:ignore WordPress.Security.NonceVerification -- asked for above
        if (!isset($_POST['sure'])) {
            self::back(['ask' => 'withdraw']);
        }
        Plugin::silence();
        Settings::withdraw();
        SpoolFolder::remove();
        Ledger::remove();
        self::back(['kind' => 'info', 'text' => __('Nothing is recorded or sent any more.', 'logystera')]);
    }

    /** The note of the action before, once: see back(). */
    public static function note(): array
    {
        $name = self::NOTE . get_current_user_id();
        $note = get_transient($name);
        delete_transient($name);
        return is_array($note) ? $note : [];
    }

    private static function demandRight(string $action): void
    {
        if (!current_user_can(self::RIGHT)) {
            wp_die(esc_html__('You may not change these settings.', 'logystera'), '', ['response' => 403]);
        }
        check_admin_referer("logystera_$action");
    }

    /**
     * @param array<string, mixed> $note `kind` (success, info, warning, error) and `text`; `steps` of a drill; `ask` for a question; `dsn`
     * and `fault` of a DSN that was not saved. It holds what its own author typed, for a minute at most.
     * @return never
     */
    private static function back(array $note): void
    {
        $isQuestion = isset($note['ask']);
        unset($note['ask']);
        if ($note !== []) {
            set_transient(self::NOTE . get_current_user_id(), $note, self::NOTE_S);
        }
        wp_safe_redirect($isQuestion ? add_query_arg('logystera_ask', 'withdraw', self::url()) : self::url());
        exit;
    }
}
