<?php

declare(strict_types=1);

namespace Logystera\WordPress\Admin;

use Logystera\Limits;
use Logystera\WordPress\Site;

/**
 * Says what hashes of alerts stand for, many at once. By the form, or by a link: `options-general.php?page=logystera&hash=…,…`, which
 * alerts and the console may have. A link needs no nonce, for it changes nothing, and what it shows is shown to who has the right only:
 * whoever else makes somebody follow one sees nothing of the answer. The form is posted, so that an alert that is pasted whole, with
 * whatever stands in it, gets into no server's log.
 */
final class Lookup
{
    private const ACTION = 'logystera_lookup';

    /** What is asked for; null if nothing is. */
    public static function asked(): ?string
    {
        if (isset($_POST['hashes'], $_POST['logystera_nonce'])) {
            $nonce = sanitize_text_field(wp_unslash((string) $_POST['logystera_nonce']));
            $text = is_string($_POST['hashes']) ? sanitize_textarea_field(wp_unslash($_POST['hashes'])) : '';
            return wp_verify_nonce($nonce, self::ACTION) === false ? null : $text;
        }
        // phpcs:ignore WordPress.Security.NonceVerification -- a link: it reads, and View asked for the right
        return isset($_GET['hash']) && is_string($_GET['hash']) ? sanitize_text_field(wp_unslash($_GET['hash'])) : null;
    }

    public static function show(?Site $site, ?string $asked): void
    {
        echo '<section id="logystera-lookup"><h2>' . esc_html__('Who and what is meant in an alert', 'logystera') . '</h2>';
        if ($site === null) {
            echo '<p>' . esc_html__('Logystera is not set up here: no code is known.', 'logystera') . '</p></section>';
            return;
        }
        $hashes = \Logystera\Lookup::hashesIn((string) $asked);
        if ($asked !== null) {
            self::answers($site, $hashes);
        }
        echo '<form method="post" action="' . esc_url(Page::url() . '#logystera-lookup') . '">';
        wp_nonce_field(self::ACTION, 'logystera_nonce', false);
        echo '<p><label for="logystera-hashes">' . esc_html__('Codes (hashes) of an alert', 'logystera') . '</label><br>';
        echo '<textarea class="large-text code" rows="3" id="logystera-hashes" name="hashes" aria-describedby="logystera-hashes-text">'
            . esc_textarea(implode("\n", $hashes)) . '</textarea></p><p class="description" id="logystera-hashes-text">' . esc_html__(
                'Alerts name people, addresses and files by codes of 32 letters and digits. Paste one, many, or the whole alert: this site '
                . 'alone knows what they stand for, and keeps it for 90 days.',
                'logystera'
            ) . '</p><p>';
        submit_button(__('Look up', 'logystera'), 'secondary', 'submit', false, ['id' => 'logystera-look-up']);
        echo '</p></form></section>';
    }

    /** @param string[] $hashes */
    private static function answers(Site $site, array $hashes): void
    {
        if ($hashes === []) {
            echo '<p role="status" class="logystera-says logystera-bad">' . esc_html__(
                'There is no code in this. A code has 32 digits and letters from a to f.',
                'logystera'
            ) . '</p>';
            return;
        }
        $heads = [__('Code', 'logystera'), __('Stands for', 'logystera'), __('What it is', 'logystera'), __('Last seen', 'logystera')];
        View::table($heads);
        foreach ($site->lookup->findAll($hashes) as $i => $found) {
            $cells = [
                $found === null ? __('not known here, or not any more', 'logystera') : $found['meaning'],
                $found === null ? '—' : Words::kind($found['kind']),
                $found === null ? '—' : Words::time(1000 * $found['seen']),
            ];
            echo '<tr><th scope="row"><code>' . esc_html($hashes[$i]) . '</code></th>';
            foreach ($cells as $j => $cell) {
                echo '<td data-logystera-head="' . esc_attr($heads[$j + 1]) . '">' . esc_html($cell) . '</td>';
            }
            echo '</tr>';
        }
        echo '</tbody></table>';
        if (count($hashes) === Limits::LOOKUP_ASKED_MAX) {
            /* translators: %d: a number */
            echo '<p>' . esc_html(sprintf(__('The first %d codes are shown.', 'logystera'), Limits::LOOKUP_ASKED_MAX)) . '</p>';
        }
    }
}
