<?php

declare(strict_types=1);

namespace Logystera\WordPress\Admin;

use Logystera\Address;
use Logystera\Agreement;
use Logystera\Dsn;
use Logystera\DsnError;
use Logystera\Limits;
use Logystera\WordPress\Plugin;
use Logystera\WordPress\Settings;
use Logystera\WordPress\Site;
use Logystera\WordPress\Vetting;

/** Takes the form of the settings page. Whatever is wrong with one field, all others are saved. */
final class Save
{
    /** Text of a field that comes back to be mended, in bytes. */
    private const BACK_BYTES_MAX = 2048;

    /** @return array<string, mixed> a note: see Page. Its caller has asked for the right and the nonce */
    public static function form(): array
    {
        // phpcs:disable WordPress.Security.NonceVerification, WordPress.Security.ValidatedSanitizedInput -- the nonce was checked by the caller; each value is parsed or compared
        $text = trim(self::text('dsn'));
        $types = isset($_POST['types']) && is_array($_POST['types']) ? array_filter($_POST['types'], 'is_string') : [];
        $everyS = isset($_POST['flush_every_s']) ? (int) self::text('flush_every_s') : Limits::FLUSH_EVERY_S_DEFAULT;
        $proxies = isset($_POST['proxies']) ? self::text('proxies') : null;
        $agrees = isset($_POST['agree']);
        // phpcs:enable
        $before = Settings::agreedHost();
        $note = self::dsn($text);
        $values = Settings::all();
        foreach (array_keys(Plugin::SOURCES) as $type) {
            $values['types'][$type] = in_array($type, $types, true);
        }
        $values['flush_every_s'] = max(Limits::FLUSH_EVERY_S_MIN, min(Limits::FLUSH_EVERY_S_MAX, $everyS));
        if ($proxies !== null) {
            $lines = preg_split('/[\s,]+/', $proxies, -1, PREG_SPLIT_NO_EMPTY) ?: [];
            $values['proxies'] = array_values(array_filter(array_map([Address::class, 'network'], $lines)));
            $values['proxy_header'] = self::text('proxy_header');
            if (count($values['proxies']) < count($lines) && $note === []) {
                $note = ['text' => __('A trusted proxy is no address and no network, and was not saved.', 'logystera')];
            }
        }
        update_option(Settings::OPTION, $values);
        // A tick beside a DSN that is no good agrees to nothing.
        $means = Agreement::after($before, self::host(), $agrees && $note === []);
        if ($note !== []) {
            return ['kind' => 'error', 'text' => $note['text'] . ' ' . __('The rest was saved.', 'logystera')] + $note;
        }
        return $means === Agreement::IN_QUESTION ? ['ask' => 'withdraw'] : self::settled($means);
    }

    private static function text(string $name): string
    {
        // phpcs:ignore WordPress.Security.NonceVerification, WordPress.Security.ValidatedSanitizedInput -- its callers parse it; the nonce was checked before they were called
        return isset($_POST[$name]) && is_string($_POST[$name]) ? (string) wp_unslash($_POST[$name]) : '';
    }

    /** Saves a DSN. Of one that is none: what is wrong, and the text, to be mended. */
    private static function dsn(string $text): array
    {
        if ($text === '' || Settings::isDsnFixed()) {
            return [];
        }
        try {
            if (!Vetting::isAllowed((string) wp_parse_url(Dsn::parse($text)->url, PHP_URL_HOST))) {
                throw new DsnError(Vetting::REFUSAL, DsnError::HOST);
            }
            update_option(Settings::OPTION_DSN, $text);
            return [];
        } catch (DsnError $error) {
            return [
                'text' => __('The connection key was not saved.', 'logystera') . ' ' . Words::fault($error->fault),
                'fault' => $error->fault, 'dsn' => substr($text, 0, self::BACK_BYTES_MAX),
            ];
        }
    }

    private static function host(): string
    {
        $dsn = Settings::dsn();
        return $dsn === null ? '' : $dsn->host();
    }

    /** Does what a saved page means, and says what holds now. */
    private static function settled(string $means): array
    {
        $dsn = Settings::dsn();
        if ($means === Agreement::OVER) {
            Settings::withdraw();
        }
        if ($dsn === null) {
            return ['kind' => 'info', 'text' => __('Saved. Nothing is sent without a connection key.', 'logystera')];
        }
        if ($means === Agreement::OVER) {
            /* translators: %s: a host */
            $text = __('Saved. This is another service: nothing is recorded or sent until you agree to %s.', 'logystera');
            return ['kind' => 'warning', 'text' => sprintf($text, $dsn->host())];
        }
        if ($means === Agreement::MADE) {
            Settings::agree($dsn);
        }
        if (!Settings::isAgreed($dsn)) {
            $text = __('Saved. Nothing is recorded or sent until you agree to it: tick the box below, and save.', 'logystera');
            return ['kind' => 'warning', 'text' => $text];
        }
        $site = Site::open();
        if ($site === null || !$site->outbox->isWritable()) {
            $text = __('Saved, but there is no folder for events that can be written. Ask your host for one.', 'logystera');
            return ['kind' => 'error', 'text' => $text];
        }
        if ($means !== Agreement::MADE) {
            return ['kind' => 'success', 'text' => __('Saved. Events are recorded from the next request on.', 'logystera')];
        }
        // Who has just agreed wants to know whether it works. The first request that records is the next one.
        $outcome = Status::outcome($site->flush(Limits::WEB_BUDGET_MS, true), $site);
        $text = __('Saved. Events are recorded from the next request on.', 'logystera') . ' ' . $outcome['text'];
        if ($outcome['kind'] === 'success') {
            $text .= ' ' . __('Now press "Try an alert", to see that alerts reach you.', 'logystera');
        }
        return ['kind' => $outcome['kind'], 'text' => $text];
    }
}
