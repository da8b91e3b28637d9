<?php

declare(strict_types=1);

namespace Logystera\WordPress\Admin;

use Logystera\Standing;
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
        $heads = [__('Site', 'logystera'), __('State', 'logystera'), __('Service', 'logystera'), __('Last heard from', 'logystera')];
        echo '<div class="wrap logystera"><h1>Logystera</h1><p>' . esc_html__(
            'Each site has a connection key and an agreement of its own. Open a site to set it up, or to see what is wrong.',
            'logystera'
        ) . '</p>';
        View::table($heads);
        $sites = get_sites(['fields' => 'ids', 'number' => self::SITES_MAX]);
        foreach ($sites as $id) {
            Plugin::at((int) $id, [self::class, 'row']);
        }
        echo '</tbody></table>';
        if (count($sites) === self::SITES_MAX) {
            /* translators: %d: a number of sites */
            echo '<p>' . esc_html(sprintf(__('The first %d sites are shown.', 'logystera'), self::SITES_MAX)) . '</p>';
        }
        echo '</div>';
    }

    /** @internal the row of the site that WordPress is at */
    public static function row(): void
    {
        $site = Plugin::isActiveHere() ? Site::open() : null;
        $standing = $site === null ? null : Status::standing($site);
        $state = $standing === null ? Standing::WAITS : $standing->state;
        $text = $standing === null || $site === null
            ? __('Not set up: nothing is recorded or sent.', 'logystera')
            : implode(' ', array_merge([Status::title($state, $standing->reasons[0] ?? '')], Status::problems($site)));
        $heads = [__('Service', 'logystera'), __('Last heard from', 'logystera')];
        $cells = [Settings::agreedHost() ?: '—', Words::time($site === null ? 0 : $site->state()->values['succeeded_at'])];
        echo '<tr><th scope="row"><a href="' . esc_url(Page::url()) . '">' . esc_html((string) get_option(self::HOME)) . '</a></th>';
        echo '<td data-logystera-head="' . esc_attr__('State', 'logystera') . '" class="logystera-' . esc_attr($state) . '">';
        Headline::mark($state);
        echo ' ' . esc_html($text) . '</td>';
        foreach ($cells as $i => $cell) {
            echo '<td data-logystera-head="' . esc_attr($heads[$i]) . '">' . esc_html($cell) . '</td>';
        }
        echo '</tr>';
    }
}
