<?php

declare(strict_types=1);

namespace Logystera\WordPress\Admin;

use Logystera\DsnError;
use Logystera\Hasher;
use Logystera\WordPress\Plugin;

/** Names of the machine in words for who owns the site. */
final class Words
{
    /** WordPress's own settings. */
    private const DATE = 'date_format';
    private const TIME = 'time_format';

    /** @return array<string, array{0: string, 1: string}> by type: what it is, and what is told of it */
    public static function types(): array
    {
        return [
            'auth.attempt' => [__('Sign-ins', 'logystera'), __('who signs in, who fails, who is locked out', 'logystera')],
            'user.change' => [__('Accounts', 'logystera'), __('new and deleted users, changed roles and passwords', 'logystera')],
            'component.lifecycle' => [
                __('Plugins, themes and WordPress', 'logystera'), __('installed, updated, switched on or off, deleted', 'logystera'),
            ],
            'file.edit' => [
                __('Files', 'logystera'),
                __("WordPress's own files and scripts among the uploads that appear or change; edits of plugins and themes", 'logystera'),
            ],
            'config.change' => [__('Settings', 'logystera'), __('which setting was changed; never its value', 'logystera')],
            'mail.outcome' => [__('Mail', 'logystera'), __('whether mail goes out; never what is in it', 'logystera')],
            'cron.run' => [__('Scheduled jobs', 'logystera'), __('whether they run, and how long they take', 'logystera')],
            'php.error' => [__('Faults of the site', 'logystera'), __('errors of PHP, and which plugin has them', 'logystera')],
            'db.event' => [__('Database', 'logystera'), __('errors and slow queries', 'logystera')],
            'http.request' => [__('Visits', 'logystera'), __('which pages are asked for, and which fail', 'logystera')],
            'shop.order' => [__('Orders of a shop', 'logystera'), __('paid, failed, taken back; never what or whose', 'logystera')],
        ];
    }

    /** @return array<string, array{0: string, 1: string}> the types that this plugin has; one without words by its own name */
    public static function watched(): array
    {
        $own = array_keys(Plugin::SOURCES);
        $known = array_intersect_key(self::types(), array_flip($own));
        foreach (array_diff($own, array_keys($known)) as $type) {
            $known[$type] = [$type, ''];
        }
        return $known;
    }

    /** A type in words; one that is not ours as it is. */
    public static function type(string $type): string
    {
        return self::types()[$type][0] ?? $type;
    }

    /** Why something was lost. */
    public static function reason(string $reason): string
    {
        $reasons = [
            'overflow' => __('There were more than there was room for.', 'logystera'),
            'disk' => __('The disk took nothing.', 'logystera'),
            'expired' => __('They could not be sent for six days.', 'logystera'),
            'refused' => __('They were not accepted: update this plugin.', 'logystera'),
        ];
        return $reasons[$reason] ?? $reason;
    }

    /** What a hash stands for, as a kind. */
    public static function kind(string $kind): string
    {
        $kinds = [
            Hasher::USER => __('user', 'logystera'), Hasher::ADDRESS => __('address on the internet', 'logystera'),
            Hasher::FILE => __('file', 'logystera'), Hasher::MESSAGE => __('message', 'logystera'),
            Hasher::VALUE => __('setting', 'logystera'), Hasher::QUERY => __('query', 'logystera'),
        ];
        return $kinds[$kind] ?? $kind;
    }

    /** What is wrong with a DSN. */
    public static function fault(string $fault): string
    {
        return self::faults()[$fault] ?? self::faults()[DsnError::SHAPE];
    }

    /** @return array<string, string> by constant of DsnError */
    public static function faults(): array
    {
        return [
            DsnError::SHAPE => __(
                'This is no connection key. It is one line that begins with https:// and ends with ?audience= and a name. Copy it whole.',
                'logystera'
            ),
            DsnError::IDS => __('The part behind https:// is not complete. Copy the whole line again.', 'logystera'),
            DsnError::SECRET => __('The secret in the middle was cut or changed on the way. Copy the whole line again.', 'logystera'),
            DsnError::AUDIENCE => __('The end is missing: ?audience= and a name. Copy the whole line again.', 'logystera'),
            DsnError::PATH => __('The end should be /v1/batches?audience= and a name. Copy the whole line again.', 'logystera'),
            DsnError::PLAIN => __('It has to begin with https://. Ask whoever runs the service for such a key.', 'logystera'),
            DsnError::HOST => __(
                'The service has an address inside the server\'s own network, which the owner of this network of sites has not allowed.',
                'logystera'
            ),
        ];
    }

    /** A time in ms, as the site writes times. */
    public static function time(int $ms): string
    {
        if ($ms <= 0) {
            return __('never', 'logystera');
        }
        return (string) wp_date(get_option(self::DATE) . ' ' . get_option(self::TIME), intdiv($ms, 1000));
    }

    /** How long ago a time in ms is. */
    public static function ago(int $ms): string
    {
        /* translators: %s: a span of time, such as "2 mins" */
        return sprintf(__('%s ago', 'logystera'), human_time_diff(intdiv($ms, 1000)));
    }
}
