<?php

declare(strict_types=1);

namespace Logystera\WordPress\Admin;

use Logystera\Standing;
use Logystera\WordPress\Guard;
use Logystera\WordPress\Plugin;
use Logystera\WordPress\Site;

use const Logystera\WordPress\FILE;

/**
 * Tells who has just activated the plugin what it is and where to go on: on the list of plugins and the dashboard, until they were on
 * the settings page or wave it away. Then never again for them, but where it does not work.
 */
final class Notice
{
    public const ACTIONS = ['hide'];
    /** Metadata of the users who know: the only thing that is kept of anybody before they agree. */
    public const SEEN = 'logystera_introduced';
    private const SCREENS = ['plugins', 'dashboard'];

    public static function register(): void
    {
        Guard::watch('admin_notices', [self::class, 'show']);
        Guard::filter('plugin_action_links_' . plugin_basename(FILE), [self::class, 'links']);
        add_action('admin_post_logystera_hide', [self::class, 'hide']);
    }

    /** @param mixed $links */
    public static function links($links): array
    {
        $links = is_array($links) ? $links : [];
        if (!current_user_can(Page::RIGHT)) {
            return $links;
        }
        $own = '<a href="' . esc_url(Page::url()) . '">' . esc_html__('Settings', 'logystera') . '</a>';
        return array_merge(['logystera' => $own], $links);
    }

    public static function show(): void
    {
        $screen = get_current_screen();
        $isHere = $screen !== null && in_array($screen->id, self::SCREENS, true);
        if (!$isHere || !current_user_can(Page::RIGHT)) {
            return;
        }
        $site = Plugin::site();
        if ($site !== null) {
            self::failure($site);
            return;
        }
        if (self::isKnown()) {
            return;
        }
        $hide = wp_nonce_url(admin_url('admin-post.php?action=logystera_hide'), 'logystera_hide');
        echo '<div class="notice notice-info"><p><strong>' . esc_html__('Logystera is ready to watch this site.', 'logystera');
        echo '</strong> ';
        echo esc_html__(
            'You hear of it when mail fails, scheduled jobs stop, passwords are guessed or an administrator appears. Setting it up takes '
            . 'some minutes, and nothing is recorded or sent before you agree.',
            'logystera'
        ) . '</p><p><a class="button button-primary" href="' . esc_url(Page::url()) . '">' . esc_html__('Set it up', 'logystera') . '</a> ';
        echo '<a class="button" href="' . esc_url($hide) . '">' . esc_html__('Not now', 'logystera') . '</a></p></div>';
    }

    /** Who does not look at the settings page hears here that it does not work, as long as it does not. */
    private static function failure(Site $site): void
    {
        $standing = Status::standing($site);
        if ($standing->state !== Standing::FAILS) {
            return;
        }
        echo '<div class="notice notice-error"><p><strong>' . esc_html__('Logystera does not work', 'logystera') . '</strong></p><p>';
        echo esc_html(Status::say($standing->reasons[0] ?? Standing::SILENT, $site)) . '</p><p>';
        echo '<a class="button" href="' . esc_url(Page::url()) . '">' . esc_html__('Settings of Logystera', 'logystera') . '</a></p></div>';
    }

    /** Waves it away. */
    public static function hide(): void
    {
        self::demandRight('hide');
        self::know();
        wp_safe_redirect(wp_get_referer() ?: admin_url('plugins.php'));
        exit;
    }

    /** Who is signed in knows now. */
    public static function know(): void
    {
        if (!self::isKnown()) {
            update_user_meta(get_current_user_id(), self::SEEN, '1');
        }
    }

    private static function isKnown(): bool
    {
        return get_user_meta(get_current_user_id(), self::SEEN, true) !== '';
    }

    private static function demandRight(string $action): void
    {
        if (!current_user_can(Page::RIGHT)) {
            wp_die(esc_html__('You may not change these settings.', 'logystera'), '', ['response' => 403]);
        }
        check_admin_referer("logystera_$action");
    }
}
