<?php

declare(strict_types=1);

namespace Logystera\WordPress\Admin;

use Logystera\WordPress\Guard;
use Logystera\WordPress\Plugin;
use Logystera\WordPress\Settings;
use Logystera\WordPress\Site;

/** For who runs a network: how the sending of each of its sites goes. It changes nothing. */
final class Network
{
    public const SLUG = 'logystera-network';
    private const RIGHT = 'manage_network_options';
    /** Sites that are looked at, the first ones. */
    private const SITES_MAX = 200;
    /** WordPress's own setting. */
    private const HOME = 'home';

    public static function register(): void
    {
        if (is_multisite()) {
            Guard::watch('network_admin_menu', [self::class, 'menu']);
        }
    }

    public static function menu(): void
    {
        add_submenu_page('settings.php', 'Logystera', 'Logystera', self::RIGHT, self::SLUG, [self::class, 'show']);
    }

    public static function show(): void
    {
        if (!current_user_can(self::RIGHT)) {
            return;
        }
        $heads = [__('Site', 'logystera'), __('Gateway', 'logystera'), __('Last success', 'logystera'), __('State', 'logystera')];
        echo '<div class="wrap"><h1>Logystera</h1><table class="widefat striped"><thead><tr>';
        foreach ($heads as $head) {
            echo '<th scope="col">' . esc_html($head) . '</th>';
        }
        echo '</tr></thead><tbody>';
        foreach (get_sites(['fields' => 'ids', 'number' => self::SITES_MAX]) as $id) {
            Plugin::at((int) $id, [self::class, 'row']);
        }
        echo '</tbody></table></div>';
    }

    /** @internal the row of the site that WordPress is at */
    public static function row(): void
    {
        $site = Plugin::isActiveHere() ? Site::open() : null;
        $success = $site === null ? 0 : $site->state()->values['succeeded_at'];
        $problems = $site === null ? [__('No agreement: nothing is recorded or sent.', 'logystera')] : Status::problems($site);
        $cells = [
            Settings::agreedHost(), $success > 0 ? wp_date('Y-m-d H:i:s', intdiv($success, 1000)) : __('never', 'logystera'),
            $problems === [] ? __('Signals arrive at the gateway.', 'logystera') : implode(' ', $problems),
        ];
        echo '<tr><th scope="row"><a href="' . esc_url(Page::url()) . '">' . esc_html((string) get_option(self::HOME)) . '</a></th>';
        foreach ($cells as $cell) {
            echo '<td>' . esc_html((string) $cell) . '</td>';
        }
        echo '</tr>';
    }
}
