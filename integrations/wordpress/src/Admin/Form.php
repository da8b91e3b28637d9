<?php

declare(strict_types=1);

namespace Logystera\WordPress\Admin;

use Logystera\Address;
use Logystera\Dsn;
use Logystera\Limits;
use Logystera\Standing;
use Logystera\WordPress\Settings;
use Logystera\WordPress\Site;

/** The form of the settings. Who sets it up begins with the connection; who comes later sees first what is watched. */
final class Form
{
    /** Classes of what is said beside the field of the connection key; page.js sets them too. */
    private const SAYS = 'logystera-says';
    private const BAD = 'logystera-says logystera-bad';

    /** Why it does not work where a new connection key is what helps. */
    private const WANTS_KEY = [Standing::KEY, Standing::ADDRESS, Standing::CLOSED];

    /** @param array<string, mixed> $note what came of the action before: see Page */
    public static function show(array $note, ?Site $site): void
    {
        $isSetUp = $site !== null;
        $wantsKey = $site !== null && array_intersect(Status::standing($site)->reasons, self::WANTS_KEY) !== [];
        $fault = is_string($note['fault'] ?? null) ? $note['fault'] : '';
        $text = is_string($note['dsn'] ?? null) ? $note['dsn'] : '';
        $dsn = Settings::dsn();
        View::form('save');
        if ($fault !== '' || $wantsKey || ($dsn === null && !$isSetUp)) {
            // What is to be filled in or mended stands first.
            self::heading(__('Connection', 'logystera'));
            self::dsn($fault, $text);
            $title = $isSetUp ? __('What it watches', 'logystera') : __('What it watches: all of it, unless you choose', 'logystera');
            self::folded($title, [self::class, 'types']);
            self::agreement($dsn);
        } elseif (!$isSetUp) {
            // Who has only to agree fills in nothing.
            self::agreement($dsn);
            self::folded(__('What it watches: all of it, unless you choose', 'logystera'), [self::class, 'types']);
            self::folded(__('Another connection key', 'logystera'), static function (): void {
                self::dsn('', '');
            });
        } else {
            self::heading(__('What it watches', 'logystera'));
            self::types();
            self::heading(__('Connection', 'logystera'));
            self::dsn('', $text);
            self::agreement($dsn);
        }
        self::more();
        submit_button(__('Save', 'logystera'), 'primary', 'submit', true, ['id' => 'logystera-save']);
        echo '</form>';
    }

    private static function heading(string $title): void
    {
        echo '<h2>' . esc_html($title) . '</h2>';
    }

    private static function folded(string $title, callable $show): void
    {
        echo '<details><summary>' . esc_html($title) . '</summary>';
        $show();
        echo '</details>';
    }

    private static function label(string $for, string $text): void
    {
        echo '<p><label for="' . esc_attr($for) . '"><strong>' . esc_html($text) . '</strong></label><br>';
    }

    private static function dsn(string $fault, string $text): void
    {
        $dsn = Settings::dsn();
        if (Settings::isDsnFixed()) {
            echo '<p>' . esc_html__('The connection key comes from the configuration (LOGYSTERA_DSN).', 'logystera') . '</p>';
            if ($dsn === null) {
                echo '<p class="logystera-says logystera-bad">';
                echo esc_html__('It is no connection key, and is not used.', 'logystera') . '</p>';
            }
        } else {
            $isBad = $fault !== '';
            /* translators: %s: a host */
            $good = __('This looks right: the service is at %s.', 'logystera');
            $texts = (string) wp_json_encode(Words::faults() + ['good' => $good]);
            self::label('logystera-dsn', __('Connection key (DSN)', 'logystera'));
            echo '<input type="text" autocomplete="off" autocapitalize="none" spellcheck="false" class="large-text code"'
                . ' id="logystera-dsn" name="dsn" placeholder="https://…" aria-describedby="logystera-dsn-says logystera-dsn-text"'
                . ' data-logystera-says="logystera-dsn-says" data-logystera-texts="' . esc_attr($texts) . '"'
                . ' aria-invalid="' . esc_attr($isBad ? 'true' : 'false') . '" value="' . esc_attr($text) . '"></p>';
            echo '<p id="logystera-dsn-says" role="status" aria-live="polite" class="' . esc_attr($isBad ? self::BAD : self::SAYS) . '">'
                . esc_html($isBad ? Words::fault($fault) : '') . '</p>';
            echo '<p class="description" id="logystera-dsn-text">' . esc_html__(
                'One line that whoever watches your site, such as an agency or a host, gives you when they add it. Treat it as a '
                . 'password: there is a secret in it. If you run the service yourself, the command "logystera site add" gives it to you.',
                'logystera'
            ) . '</p>';
        }
        if ($dsn !== null) {
            /* translators: 1: a site's id, 2: a key's id, 3: a host */
            $text = __('Saved: site %1$s, key %2$s, service at %3$s.', 'logystera');
            echo '<p>' . esc_html(sprintf($text, $dsn->site, $dsn->key, $dsn->host())) . ' ';
            echo esc_html__('It is not shown again; leave the field empty to keep it.', 'logystera') . '</p>';
        }
    }

    private static function types(): void
    {
        echo '<fieldset class="logystera-types"><legend class="screen-reader-text">';
        echo esc_html__('What it watches', 'logystera') . '</legend>';
        foreach (Words::watched() as $type => [$name, $text]) {
            echo '<label><input type="checkbox" name="types[]" value="' . esc_attr($type) . '" '
                . checked(Settings::isOn($type), true, false) . '><span><strong>' . esc_html($name) . ':</strong> '
                . esc_html($text) . ' <small><code>' . esc_html($type) . '</code></small></span></label>';
        }
        echo '</fieldset><p class="description">' . esc_html__(
            'It tells what happened and when. Who did it and from where is told as codes, which only this page can read. Names, mail '
            . 'addresses, passwords, texts and values of settings are never told.',
            'logystera'
        ) . '</p>';
    }

    private static function agreement(?Dsn $dsn): void
    {
        echo '<p class="logystera-agree"><label><input type="checkbox" name="agree" '
            . checked(Settings::isAgreed($dsn), true, false) . '><span>' . esc_html__(
                'I agree that this site sends what is ticked to the service of the connection key: what happened, when, and codes for '
                . 'who and from where. No names, addresses, passwords, texts or values of settings.',
                'logystera'
            ) . '</span></label></p>';
        if ($dsn !== null) {
            /* translators: %s: a host */
            $text = __('It is sent to %s. Another service needs an agreement of its own.', 'logystera');
            echo '<p class="description">' . esc_html(sprintf($text, $dsn->host())) . '</p>';
        }
    }

    /** What few need. It is open where something in it wants to be seen. */
    private static function more(): void
    {
        $values = Settings::all();
        $headers = Status::proxyHeaders();
        if ($headers === []) {
            echo '<details>';
        } else {
            echo '<details open>';
        }
        echo '<summary>' . esc_html__('More: a proxy or CDN before the site, and how often it speaks', 'logystera') . '</summary>';
        self::label('logystera-proxies', __('Trusted proxies', 'logystera'));
        echo '<textarea rows="3" class="regular-text code" id="logystera-proxies" name="proxies" aria-describedby="logystera-proxies-text">'
            . esc_textarea(implode("\n", $values['proxies'])) . '</textarea></p>';
        self::label('logystera-header', __('Header', 'logystera'));
        echo '<select id="logystera-header" name="proxy_header">';
        foreach (Address::HEADERS as $header) {
            echo '<option' . selected($values['proxy_header'], $header, false) . '>' . esc_html($header) . '</option>';
        }
        echo '</select></p><p class="description" id="logystera-proxies-text">' . esc_html__(
            'Only where all visitors come through a proxy or a CDN: its addresses or networks, one a line. Who visits is read from this '
            . 'header then, and only of them: anybody else could write anything into it. Your host knows the addresses.',
            'logystera'
        ) . '</p>';
        foreach ($headers as $header) {
            /* translators: %s: a header of HTTP */
            $text = __('This page came with the header %s, as a proxy sets it. It is not believed unless you say so.', 'logystera');
            echo '<p><strong>' . esc_html(sprintf($text, $header)) . '</strong></p>';
        }
        self::label('logystera-every', __('Say that all is well every (seconds)', 'logystera'));
        echo '<input type="number" min="' . esc_attr((string) Limits::FLUSH_EVERY_S_MIN) . '" max="'
            . esc_attr((string) Limits::FLUSH_EVERY_S_MAX) . '" id="logystera-every" name="flush_every_s" value="'
            . esc_attr((string) $values['flush_every_s']) . '"></p></details>';
    }
}
