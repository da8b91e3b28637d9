<?php

declare(strict_types=1);

namespace Logystera\WordPress\Admin;

use Logystera\Address;
use Logystera\WordPress\Plugin;
use Logystera\WordPress\Settings;
use Logystera\WordPress\Site;
use Logystera\WordPress\SpoolFolder;

/** What the settings page shows. The secret is never among it. */
final class View
{
    public static function show(): void
    {
        if (!current_user_can(Page::RIGHT)) {
            return;
        }
        echo '<div class="wrap"><h1>Logystera</h1>';
        $note = Page::note();
        if ($note !== '') {
            echo '<div class="notice notice-info"><p>' . esc_html($note) . '</p></div>';
        }
        $site = Plugin::site();
        // phpcs:ignore -- only asked whether it is there: it shows a question, whose answer has a nonce
        if ($site !== null && isset($_GET['logystera_ask'])) {
            self::question();
        }
        self::settings();
        if ($site !== null) {
            foreach (Status::hints($site) as $hint) {
                echo '<div class="notice notice-warning inline"><p>' . esc_html($hint) . '</p></div>';
            }
            self::state($site);
            self::lookup($site);
            self::lastBatch($site);
            self::withdrawal();
        }
        echo '</div>';
    }

    private static function form(string $action): void
    {
        echo '<form method="post" action="' . esc_url(admin_url('admin-post.php')) . '">';
        echo '<input type="hidden" name="action" value="' . esc_attr("logystera_$action") . '">';
        wp_nonce_field("logystera_$action");
    }

    private static function settings(): void
    {
        $dsn = Settings::dsn();
        $values = Settings::all();
        self::form('save');
        echo '<table class="form-table" role="presentation"><tr><th scope="row"><label for="logystera-dsn">DSN</label></th><td>';
        if (Settings::isDsnFixed()) {
            echo '<p>' . esc_html__('It comes from the configuration (LOGYSTERA_DSN).', 'logystera') . '</p>';
        } else {
            echo '<input type="password" autocomplete="off" class="regular-text" id="logystera-dsn" name="dsn" value="">';
            echo '<p class="description">' . esc_html__(
                'Who runs the gateway gives it to you. It holds a secret and is not shown again; leave the field empty to keep it.',
                'logystera'
            ) . '</p>';
        }
        if ($dsn !== null) {
            /* translators: 1: a site's id, 2: a key's id, 3: a host */
            $text = __('Site %1$s, key %2$s, gateway %3$s.', 'logystera');
            echo '<p>' . esc_html(sprintf($text, $dsn->site, $dsn->key, $dsn->host())) . '</p>';
        }
        echo '</td></tr><tr><th scope="row">' . esc_html__('Signals', 'logystera') . '</th><td><fieldset>';
        foreach (self::types() as $type => $description) {
            echo '<label><input type="checkbox" name="types[]" value="' . esc_attr($type) . '" '
                . checked(Settings::isOn($type), true, false) . '> <code>' . esc_html($type) . '</code> '
                . esc_html($description) . '</label><br>';
        }
        echo '</fieldset><p class="description">' . esc_html__('A type that is off registers no hook.', 'logystera') . '</p></td></tr>';
        echo '<tr><th scope="row"><label for="logystera-every">' . esc_html__('Speak every (seconds)', 'logystera') . '</label></th>';
        echo '<td><input type="number" min="60" max="86400" id="logystera-every" name="flush_every_s" value="'
            . esc_attr((string) $values['flush_every_s']) . '"></td></tr>';
        self::proxies($values);
        echo '<tr><th scope="row">' . esc_html__('Agreement', 'logystera') . '</th><td><label><input type="checkbox" name="agree" '
            . checked(Settings::isAgreed($dsn), true, false) . '> ';
        echo esc_html__(
            'I agree that this site sends the signals above to the gateway of the DSN: what happened, when, and keyed hashes of who '
            . 'and where from. No names, addresses, passwords, texts or values of settings.',
            'logystera'
        ) . '</label>';
        if ($dsn !== null) {
            /* translators: %s: a host */
            $text = __('The agreement is with %s. Another gateway needs another one.', 'logystera');
            echo '<p class="description">' . esc_html(sprintf($text, $dsn->host())) . '</p>';
        }
        echo '</td></tr></table>';
        submit_button(__('Save', 'logystera'));
        echo '</form>';
    }

    private static function proxies(array $values): void
    {
        echo '<tr><th scope="row"><label for="logystera-proxies">' . esc_html__('Trusted proxies', 'logystera') . '</label></th><td>';
        echo '<textarea rows="3" class="regular-text code" id="logystera-proxies" name="proxies">'
            . esc_textarea(implode("\n", $values['proxies'])) . '</textarea> ';
        echo '<select name="proxy_header" aria-label="' . esc_attr__('Header', 'logystera') . '">';
        foreach (Address::HEADERS as $header) {
            echo '<option' . selected($values['proxy_header'], $header, false) . '>' . esc_html($header) . '</option>';
        }
        echo '</select><p class="description">' . esc_html__(
            'Addresses or networks of proxies and CDNs before this site, one a line. Who asks is read from this header then, and only of '
            . 'them: anybody else could write anything into it.',
            'logystera'
        ) . '</p>';
        foreach (Status::proxyHeaders() as $header) {
            /* translators: %s: a header of HTTP */
            $text = __('This page came with the header %s, as a proxy sets it. It is not believed unless you say so.', 'logystera');
            echo '<p class="description"><strong>' . esc_html(sprintf($text, $header)) . '</strong></p>';
        }
        echo '</td></tr>';
    }

    /** @return array<string, string> */
    private static function types(): array
    {
        return [
            'auth.attempt' => __('sign-ins and failed sign-ins', 'logystera'),
            'component.lifecycle' => __('plugins, themes and WordPress itself: installed, updated, deleted', 'logystera'),
            'config.change' => __('which setting was changed', 'logystera'),
            'cron.run' => __('scheduled jobs', 'logystera'),
            'db.event' => __('errors of the database', 'logystera'),
            'file.edit' => __('files edited through the site', 'logystera'),
            'http.request' => __('requests: method, path, status', 'logystera'),
            'mail.outcome' => __('whether mail went out', 'logystera'),
            'php.error' => __('errors of PHP', 'logystera'),
            'shop.order' => __('what becomes of a shop\'s orders: paid, failed, taken back', 'logystera'),
            'user.change' => __('accounts and roles', 'logystera'),
        ];
    }

    private static function state(Site $site): void
    {
        $values = $site->state()->values;
        $waiting = $site->outbox->waiting();
        $never = __('never', 'logystera');
        $time = static fn (int $ms): string => $ms > 0 ? wp_date('Y-m-d H:i:s', intdiv($ms, 1000)) : $never;
        $folder = (string) SpoolFolder::known();
        $isCircuitOpen = $site->state()->health->isCircuitOpen();
        $rows = [
            __('Buffered', 'logystera') => sprintf('%d (%d bytes)', $waiting['signals'], $waiting['bytes']),
            __('Dropped', 'logystera') => self::dropped($waiting['dropped']),
            __('Last success', 'logystera') => $time($values['succeeded_at']),
            __('Last answer', 'logystera') => Status::answer($values['last_answer']),
            __('Numbers used by a copy or before a backup', 'logystera') => $values['renewed_at'] > 0
                /* translators: %s: a time */
                ? sprintf(__('%s: what was refused went out anew, nothing was lost', 'logystera'), $time($values['renewed_at'])) : $never,
            __('Next try', 'logystera') => $values['next_try_at'] > 0 ? $time($values['next_try_at']) : __('when due', 'logystera'),
            __('Circuit', 'logystera') => $isCircuitOpen ? __('open: tried once an hour', 'logystera') : __('closed', 'logystera'),
            __('Scheduled jobs', 'logystera') => Status::isCronLate()
                ? __('overdue: have the system call wp-cron.php every minute', 'logystera') : __('in time', 'logystera'),
            __('Folder', 'logystera') => $folder . ' — ' . (SpoolFolder::isOutsideWebRoot($folder)
                ? __('outside the web root', 'logystera') : __('below the web root, unreadable by URL', 'logystera')),
        ];
        echo '<h2>' . esc_html__('State', 'logystera') . '</h2><table class="widefat striped"><tbody>';
        foreach ($rows as $name => $value) {
            echo '<tr><th scope="row">' . esc_html((string) $name) . '</th><td>' . esc_html((string) $value) . '</td></tr>';
        }
        echo '</tbody></table>';
        self::form('test');
        submit_button(__('Send a test', 'logystera'), 'secondary');
        echo '</form>';
    }

    private static function dropped(array $counts): string
    {
        $parts = [];
        foreach ($counts as $key => [$count]) {
            [$type, $reason] = explode('|', (string) $key);
            $parts[] = "$type: $count ($reason)";
        }
        return $parts === [] ? __('none', 'logystera') : implode(', ', $parts);
    }

    private static function lookup(Site $site): void
    {
        echo '<h2>' . esc_html__('What does a hash stand for?', 'logystera') . '</h2>';
        echo '<form method="get" action="' . esc_url(admin_url('options-general.php')) . '">';
        echo '<input type="hidden" name="page" value="' . esc_attr(Page::SLUG) . '">';
        wp_nonce_field('logystera_lookup', 'logystera_nonce', false);
        echo '<input type="text" class="regular-text code" name="hash" maxlength="32" aria-label="hash"> ';
        submit_button(__('Look up', 'logystera'), 'secondary', '', false);
        echo '</form>';
        $nonce = isset($_GET['logystera_nonce']) ? sanitize_text_field(wp_unslash($_GET['logystera_nonce'])) : '';
        if (isset($_GET['hash']) && wp_verify_nonce($nonce, 'logystera_lookup') !== false) {
            $hash = strtolower(sanitize_text_field(wp_unslash($_GET['hash'])));
            $found = $site->lookup->find($hash);
            $meaning = $found === null
                ? __('is not known here.', 'logystera')
                : $found['kind'] . ': ' . $found['meaning'] . ' (' . wp_date('Y-m-d H:i', $found['seen']) . ')';
            echo '<p><code>' . esc_html($hash) . '</code> ' . esc_html($meaning) . '</p>';
        }
    }

    private static function lastBatch(Site $site): void
    {
        $body = $site->outbox->lastBatch();
        if ($body !== '') {
            echo '<h2>' . esc_html__('The last batch, exactly as it was sent', 'logystera') . '</h2>';
            echo '<textarea readonly rows="12" class="large-text code">' . esc_textarea($body) . '</textarea>';
        }
    }

    /** Before what cannot be undone. Until it is answered, all goes on. */
    private static function question(): void
    {
        echo '<div class="notice notice-warning"><p>' . esc_html__(
            'Do you take the agreement back? Nothing is recorded or sent any more then, and what waits on this site is deleted. '
            . 'Until you answer, all goes on as before.',
            'logystera'
        ) . '</p>';
        self::form('withdraw');
        echo '<input type="hidden" name="sure" value="1">';
        submit_button(__('Yes, stop and delete what waits', 'logystera'), 'delete', 'submit', false);
        echo ' <a class="button" href="' . esc_url(Page::url()) . '">' . esc_html__('No, go on', 'logystera') . '</a></form></div>';
    }

    private static function withdrawal(): void
    {
        echo '<h2>' . esc_html__('Stop', 'logystera') . '</h2>';
        self::form('withdraw');
        submit_button(__('Withdraw the agreement and delete what waits', 'logystera'), 'delete');
        echo '</form>';
    }
}
