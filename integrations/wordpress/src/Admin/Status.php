<?php

declare(strict_types=1);

namespace Logystera\WordPress\Admin;

use Logystera\Address;
use Logystera\Flushed;
use Logystera\Standing;
use Logystera\WordPress\Ledger;
use Logystera\WordPress\Settings;
use Logystera\WordPress\Site;

/** Whether it works, in words for who owns the site: what is, and what to do. */
final class Status
{
    /** Cron is overdue by then, in seconds: three of WordPress's own periods of a minute, and some more. */
    private const CRON_LATE_S = 600;
    private const DAY_S = 86400;
    /** Before so many signals a site with one visitor is a new one. */
    private const ACCEPTED_MIN = 500;

    public static function standing(Site $site): Standing
    {
        $hints = self::isCronLate() ? [Standing::JOBS] : [];
        if (self::onlySource($site) !== '') {
            $hints[] = Standing::PROXY;
        }
        $values = $site->state()->values;
        return Standing::of($values, self::isDiskFailing($site), $hints, Settings::all()['flush_every_s'], 1000 * time());
    }

    /** @return string[] why it does not work, or what should be looked at, a sentence or two each */
    public static function problems(Site $site): array
    {
        return array_map(static function (string $reason) use ($site): string {
            return self::say($reason, $site);
        }, self::standing($site)->reasons);
    }

    /** Whether it works, in some words. $reason: the first one why not, if there is one */
    public static function title(string $state, string $reason = ''): string
    {
        if ($state === Standing::LOOK && Standing::isPassing($reason)) {
            return __('It did not get through just now.', 'logystera');
        }
        $titles = [
            Standing::WAITS => __('Set up. Nothing was sent yet.', 'logystera'),
            Standing::WORKS => __('It works.', 'logystera'),
            Standing::LOOK => __('It works, but look at this:', 'logystera'),
            Standing::FAILS => __('It does not work.', 'logystera'),
        ];
        return $titles[$state];
    }

    /** Whether the folder takes nothing, or took nothing and the gateway has not heard of it. */
    public static function isDiskFailing(Site $site): bool
    {
        return !$site->outbox->isWritable() || (new Ledger())->counts() !== [] || $site->outbox->isDiskLossUntold();
    }

    /** The one address that all visitors of the last day had, where that is a proxy's by all appearance; else empty. */
    private static function onlySource(Site $site): string
    {
        $sources = $site->state()->values['accepted'] < self::ACCEPTED_MIN ? [] : $site->lookup->sources(self::DAY_S);
        $isOne = count($sources) === 1 && (Address::isPrivate($sources[0]) || self::proxyHeaders() !== []);
        return $isOne ? $sources[0] : '';
    }

    /** @return string[] headers of this request by which a proxy that is not trusted says who asks */
    public static function proxyHeaders(): array
    {
        // phpcs:ignore WordPress.Security.ValidatedSanitizedInput -- only compared
        $remote = isset($_SERVER['REMOTE_ADDR']) ? (string) $_SERVER['REMOTE_ADDR'] : '';
        $isTrusted = Address::isIn($remote, Settings::all()['proxies']);
        return array_values(array_filter($isTrusted ? [] : Address::HEADERS, static function (string $header): bool {
            // phpcs:ignore WordPress.Security.ValidatedSanitizedInput -- only asked whether it is there
            return isset($_SERVER['HTTP_' . strtoupper(str_replace('-', '_', $header))]);
        }));
    }

    public static function isCronLate(): bool
    {
        $next = wp_next_scheduled(Settings::EVENT);
        return $next !== false && time() - $next > self::CRON_LATE_S;
    }

    /**
     * What a flush came to, for who asked for it.
     *
     * @return array{kind: string, text: string}
     */
    public static function outcome(Flushed $flushed, Site $site): array
    {
        $answer = $site->state()->values['last_answer'];
        if ($flushed->outcome === Flushed::BUSY) {
            $text = __('Something is being sent at this moment. Try again in some seconds.', 'logystera');
            return ['kind' => 'info', 'text' => $text];
        }
        if ($flushed->outcome === Flushed::UNWRITABLE) {
            return ['kind' => 'error', 'text' => self::say(Standing::DISK, $site)];
        }
        if ($flushed->outcome !== Flushed::CLOSED && Standing::isThrough($answer)) {
            return ['kind' => 'success', 'text' => self::title(Standing::WORKS) . ' ' . self::say(Standing::TOOK, $site)];
        }
        $reason = $flushed->outcome === Flushed::CLOSED ? Standing::CLOSED : Standing::answer($answer);
        $state = Standing::isPassing($reason) ? Standing::LOOK : Standing::FAILS;
        return ['kind' => 'error', 'text' => self::title($state, $reason) . ' ' . self::say($reason, $site)];
    }

    /** A constant of Standing in words: what is, and what to do. */
    public static function say(string $reason, Site $site): string
    {
        $host = Settings::agreedHost();
        switch ($reason) {
            case Standing::PROXY:
                /* translators: %s: an address */
                $text = __(
                    'All visitors of the last day seem to have one address, %s, which is a proxy\'s. An attack could not be told from your '
                    . 'visitors then. Name the proxy on the settings page of Logystera, under "More".',
                    'logystera'
                );
                return sprintf($text, self::onlySource($site));
            case Standing::DISK:
                return __(
                    'The folder in which events wait cannot be written, so that events are lost. Ask your host to look at the disk space '
                    . 'and at the rights of the folder that the settings page of Logystera names under "Details".',
                    'logystera'
                );
            case Standing::UNREACHED:
            case Standing::STRANGER:
                return sprintf(self::sentences()[$reason], $host);
            default:
                return self::sentences()[$reason] ?? self::sentences()[Standing::BUSY];
        }
    }

    /** @return array<string, string> */
    private static function sentences(): array
    {
        return [
            Standing::NONE => __('Nothing was sent yet.', 'logystera'),
            Standing::TOOK => __('The service that watches for you has heard from this site.', 'logystera'),
            Standing::AGAIN => __('The service that watches for you has heard from this site.', 'logystera'),
            Standing::UNREAD => __('The service does not understand what this plugin sends. Update the plugin.', 'logystera'),
            Standing::KEY => __(
                'The service does not accept your connection key: it may have been replaced. Ask whoever runs the service for a new one, '
                . 'and paste it on the settings page of Logystera.',
                'logystera'
            ),
            Standing::ADDRESS => __(
                'The service is not at the address that your connection key names. Paste the key again, or ask whoever runs the service '
                . 'for a new one.',
                'logystera'
            ),
            Standing::COPY => __('A copy of this site had sent under its name. All is sent again; there is nothing to do.', 'logystera'),
            Standing::CLOSED => __(
                'The service has closed the account of this site. Ask whoever runs it for a new connection key, and paste it on the '
                . 'settings page of Logystera.',
                'logystera'
            ),
            Standing::LARGE => __('It was much at once, and goes out in two parts. There is nothing to do.', 'logystera'),
            Standing::QUOTA => __(
                'More happens here than the service takes from this site. The rest waits on the site. If you read this often, ask whoever '
                . 'runs the service for more room.',
                'logystera'
            ),
            Standing::CLOCK => __(
                'The clock of this site\'s server is wrong by more than five minutes. Ask your host to set it.',
                'logystera'
            ),
            Standing::BUSY => __(
                'The service cannot take anything at the moment. What happens here waits, and is sent later. If it lasts, tell whoever '
                . 'runs the service.',
                'logystera'
            ),
            /* translators: %s: a host */
            Standing::STRANGER => __(
                'Something else answers in place of the service, such as a firewall. Ask your host to let this site reach %s.',
                'logystera'
            ),
            /* translators: %s: a host */
            Standing::UNREACHED => __(
                'The service at %s cannot be reached. What happens here waits, and is sent later. If it lasts, ask your host to let this '
                . 'site reach that address.',
                'logystera'
            ),
            Standing::SILENT => __('Nothing was sent for a long while. Ask your host to call wp-cron.php every minute.', 'logystera'),
            Standing::JOBS => __('The scheduled jobs of this site are late. Ask your host to call wp-cron.php every minute.', 'logystera'),
        ];
    }
}
