<?php

declare(strict_types=1);

namespace Logystera\WordPress\Admin;

use Logystera\Address;
use Logystera\Agreement;
use Logystera\Dsn;
use Logystera\DsnError;
use Logystera\Limits;
use Logystera\WordPress\Guard;
use Logystera\WordPress\Ledger;
use Logystera\WordPress\Plugin;
use Logystera\WordPress\Settings;
use Logystera\WordPress\Site;
use Logystera\WordPress\SpoolFolder;
use Logystera\WordPress\Vetting;

use const Logystera\WordPress\FILE;

/** The settings page: what it does. What it shows is View. Each action wants the right and a nonce of its own. */
final class Page
{
    public const SLUG = 'logystera';
    public const RIGHT = 'manage_options';
    public const ACTIONS = ['save', 'test', 'withdraw'];
    /** Note for the page after an action, kept for a minute. */
    private const NOTE = 'logystera_note_';

    public static function register(): void
    {
        // WordPress before 6.7 looks for texts in its own folders only.
        Guard::watch('init', static function (): void {
            load_plugin_textdomain('logystera', false, dirname(plugin_basename(FILE)) . '/languages');
        });
        Guard::watch('admin_menu', [self::class, 'menu']);
        Guard::watch('admin_init', [self::class, 'privacy']);
        foreach (self::ACTIONS as $action) {
            add_action("admin_post_logystera_$action", [self::class, $action]);
        }
    }

    public static function menu(): void
    {
        add_options_page('Logystera', 'Logystera', self::RIGHT, self::SLUG, [View::class, 'show']);
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

    /** Saves the DSN, the toggles and the agreement. */
    public static function save(): void
    {
        self::demandRight('save');
        // phpcs:disable -- the nonce was checked; each value is parsed or compared below
        $text = isset($_POST['dsn']) ? trim((string) wp_unslash($_POST['dsn'])) : '';
        $types = isset($_POST['types']) && is_array($_POST['types']) ? array_map('strval', $_POST['types']) : [];
        $everyS = isset($_POST['flush_every_s']) ? (int) $_POST['flush_every_s'] : Limits::FLUSH_EVERY_S_DEFAULT;
        $proxies = isset($_POST['proxies']) ? (string) wp_unslash($_POST['proxies']) : null;
        $header = isset($_POST['proxy_header']) ? (string) wp_unslash($_POST['proxy_header']) : '';
        $agrees = isset($_POST['agree']);
        // phpcs:enable
        $before = Settings::agreedHost();
        $fault = '';
        if ($text !== '' && !Settings::isDsnFixed()) {
            try {
                if (!Vetting::isAllowed((string) parse_url(Dsn::parse($text)->url, PHP_URL_HOST))) {
                    throw new DsnError(Vetting::REFUSAL);
                }
                update_option(Settings::OPTION_DSN, $text);
            } catch (DsnError $error) {
                $fault = __('The DSN was not saved:', 'logystera') . ' ' . $error->getMessage();
            }
        }
        $values = Settings::all();
        foreach (array_keys(Plugin::SOURCES) as $type) {
            $values['types'][$type] = in_array($type, $types, true);
        }
        $values['flush_every_s'] = max(Limits::FLUSH_EVERY_S_MIN, min(Limits::FLUSH_EVERY_S_MAX, $everyS));
        if ($proxies !== null) {
            $lines = preg_split('/[\s,]+/', $proxies, -1, PREG_SPLIT_NO_EMPTY) ?: [];
            $values['proxies'] = array_values(array_filter(array_map([Address::class, 'network'], $lines)));
            $values['proxy_header'] = $header;
            if (count($values['proxies']) < count($lines)) {
                $fault = $fault === '' ? __('A trusted proxy is no address and no network, and was not saved.', 'logystera') : $fault;
            }
        }
        update_option(Settings::OPTION, $values);
        // A tick beside a DSN that is no good agrees to nothing.
        $means = Agreement::after($before, self::host(), $agrees && $fault === '');
        if ($fault !== '') {
            self::back($fault . ' ' . __('The rest was saved.', 'logystera'));
        }
        if ($means === Agreement::IN_QUESTION) {
            self::back('', ['logystera_ask' => 'withdraw']);
        }
        self::back(self::settled($means));
    }

    private static function host(): string
    {
        $dsn = Settings::dsn();
        return $dsn === null ? '' : $dsn->host();
    }

    /** Does what a saved page means, and says what holds now. */
    private static function settled(string $means): string
    {
        $dsn = Settings::dsn();
        if ($means === Agreement::OVER) {
            Settings::withdraw();
        }
        if ($dsn === null) {
            return __('Saved. Nothing is sent without a DSN.', 'logystera');
        }
        if ($means === Agreement::OVER) {
            /* translators: %s: a host */
            $text = __('Saved. This is another gateway: nothing is recorded or sent until you agree to %s.', 'logystera');
            return sprintf($text, $dsn->host());
        }
        if ($means === Agreement::MADE) {
            Settings::agree($dsn);
        }
        if (!Settings::isAgreed($dsn)) {
            return __('Saved. Nothing is recorded or sent until you agree to it.', 'logystera');
        }
        $site = Site::open();
        if ($site === null || !$site->outbox->isWritable()) {
            return __('Saved, but there is no folder for signals that can be written.', 'logystera');
        }
        return __('Saved. Signals are recorded from the next request on.', 'logystera');
    }

    /** Sends what waits, or an empty batch, and tells what the gateway said. */
    public static function test(): void
    {
        self::demandRight('test');
        $site = Plugin::site();
        if ($site === null) {
            self::back(__('Nothing was sent: agree first.', 'logystera'));
        }
        $flushed = $site->flush(Limits::CRON_BUDGET_MS, true);
        self::back(Status::outcome($flushed, $site->state()->values['last_answer']));
    }

    /** Stops, and removes what was recorded; who did not say yes to that is asked. */
    public static function withdraw(): void
    {
        self::demandRight('withdraw');
        if (!isset($_POST['sure'])) {
            self::back('', ['logystera_ask' => 'withdraw']);
        }
        Plugin::silence();
        Settings::withdraw();
        SpoolFolder::remove();
        Ledger::remove();
        self::back(__('Nothing is recorded or sent any more. What waited here was deleted.', 'logystera'));
    }

    /** The note of the action before, once. */
    public static function note(): string
    {
        $name = self::NOTE . get_current_user_id();
        $note = (string) get_transient($name);
        delete_transient($name);
        return $note;
    }

    private static function demandRight(string $action): void
    {
        if (!current_user_can(self::RIGHT)) {
            wp_die(esc_html__('You may not change these settings.', 'logystera'), '', ['response' => 403]);
        }
        check_admin_referer("logystera_$action");
    }

    /**
     * @param array<string, string> $more what the page is asked to show
     * @return never
     */
    private static function back(string $note, array $more = []): void
    {
        if ($note !== '') {
            set_transient(self::NOTE . get_current_user_id(), $note, 60);
        }
        wp_safe_redirect(add_query_arg($more, self::url()));
        exit;
    }
}
