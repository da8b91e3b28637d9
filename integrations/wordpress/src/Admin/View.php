<?php

declare(strict_types=1);

namespace Logystera\WordPress\Admin;

use Logystera\WordPress\Plugin;

/** What the settings page shows, in which order: whether it works, what it watches, then the rest. The secret is never among it. */
final class View
{
    public static function show(): void
    {
        if (!current_user_can(Page::RIGHT)) {
            return;
        }
        Notice::know();
        $note = Page::note();
        $site = Plugin::site();
        echo '<div class="wrap logystera"><h1>Logystera</h1>';
        self::note($note);
        // phpcs:ignore WordPress.Security.NonceVerification -- only asked whether it is there: it shows a question, whose answer has a nonce
        if ($site !== null && isset($_GET['logystera_ask'])) {
            self::question();
        }
        Headline::show($site);
        $asked = Lookup::asked();
        if ($asked !== null) {
            // Who followed a link of an alert came for this.
            Lookup::show($site, $asked);
        }
        Form::show($note, $site);
        if ($site !== null) {
            if ($asked === null) {
                Lookup::show($site, null);
            }
            Details::losses($site);
            Details::show($site);
            self::withdrawal();
        }
        echo '</div>';
    }

    /** Begins the form of an action, with its nonce. */
    public static function form(string $action): void
    {
        echo '<form method="post" action="' . esc_url(admin_url('admin-post.php')) . '">';
        echo '<input type="hidden" name="action" value="' . esc_attr("logystera_$action") . '">';
        wp_nonce_field("logystera_$action");
    }

    /**
     * Begins a table, up to its first row.
     *
     * @param string[] $heads of the columns
     */
    public static function table(array $heads): void
    {
        echo '<table class="widefat striped logystera-table"><thead><tr>';
        foreach ($heads as $head) {
            echo '<th scope="col">' . esc_html($head) . '</th>';
        }
        echo '</tr></thead><tbody>';
    }

    /** What came of the action before. */
    private static function note(array $note): void
    {
        $text = is_string($note['text'] ?? null) ? $note['text'] : '';
        if ($text === '') {
            return;
        }
        $kind = is_string($note['kind'] ?? null) ? $note['kind'] : 'info';
        $role = $kind === 'error' ? 'alert' : 'status';
        echo '<div class="notice notice-' . esc_attr($kind) . '" role="' . esc_attr($role) . '"><p>' . esc_html($text) . '</p>';
        if (isset($note['steps'])) {
            echo '<ol class="logystera-steps">';
            foreach ($note['steps'] as $step) {
                echo '<li class="logystera-' . esc_attr($step['state']) . '">';
                Headline::mark($step['state']);
                echo '<span>' . esc_html($step['text']) . '</span></li>';
            }
            echo '</ol>';
        }
        echo '</div>';
    }

    /** Before what cannot be undone. Until it is answered, all goes on. */
    private static function question(): void
    {
        echo '<div class="notice notice-warning" role="alert"><p>' . esc_html__(
            'Stop watching this site, and take the agreement back? What waits here is sent, with word that it was the last; then nothing '
            . 'is recorded or sent any more, and nobody is told if something happens. What the codes of earlier alerts stand for is '
            . 'forgotten for good. Until you answer, all goes on as before.',
            'logystera'
        ) . '</p>';
        self::form('withdraw');
        echo '<input type="hidden" name="sure" value="1"><p class="logystera-choice">';
        submit_button(__('Yes, stop', 'logystera'), 'delete', 'submit', false);
        echo ' <a class="button" href="' . esc_url(Page::url()) . '">' . esc_html__('No, keep watching', 'logystera');
        echo '</a></p></form></div>';
    }

    private static function withdrawal(): void
    {
        echo '<h2>' . esc_html__('Stop', 'logystera') . '</h2><p>' . esc_html__(
            'Nothing is watched any more then, and nobody is told if something happens. You are asked once more. Deleting the plugin '
            . 'from the list of plugins removes its settings too; WordPress asks before.',
            'logystera'
        ) . '</p>';
        self::form('withdraw');
        submit_button(__('Withdraw the agreement', 'logystera'), 'delete', 'submit', false);
        echo '</form>';
    }
}
