<?php

declare(strict_types=1);

namespace Logystera\WordPress\Admin;

use Logystera\Address;
use Logystera\Flushed;
use Logystera\WordPress\Ledger;
use Logystera\WordPress\Settings;
use Logystera\WordPress\Site;

/** What the operator is told of the sending, in words. */
final class Status
{
    /** Cron is overdue by then, in seconds: three of WordPress's own periods of a minute, and some more. */
    private const CRON_LATE_S = 600;
    /** Nothing got through for so long, in seconds. */
    private const SILENT_S = 1800;
    private const DAY_S = 86400;
    /** Before so many signals a site with one visitor is a new one. */
    private const ACCEPTED_MIN = 500;

    /** @return string[] what is wrong, a sentence each */
    public static function problems(Site $site): array
    {
        $values = $site->state()->values;
        $problems = [];
        if ($values['closed']) {
            $problems[] = __('The gateway closed this site. Ask who runs it, and paste the DSN that they give you.', 'logystera');
        } elseif ($site->state()->health->isCircuitOpen()) {
            $problems[] = __('The gateway cannot be reached or refuses us; it is tried once an hour.', 'logystera') . ' '
                . self::answer($values['last_answer']);
        } elseif ($values['tried_at'] > 0 && time() - intdiv($values['succeeded_at'], 1000) > self::SILENT_S) {
            $problems[] = __('Nothing got through for over half an hour.', 'logystera') . ' ' . self::answer($values['last_answer']);
        }
        if (self::isDiskFailing($site)) {
            $problems[] = self::unwritable();
        }
        if (self::isCronLate()) {
            $problems[] = __('WordPress\'s scheduled jobs are overdue. Have the system call wp-cron.php every minute.', 'logystera');
        }
        return $problems;
    }

    /** Whether the folder takes nothing, or took nothing and the gateway has not heard of it. */
    public static function isDiskFailing(Site $site): bool
    {
        return !$site->outbox->isWritable() || (new Ledger())->counts() !== [] || $site->outbox->isDiskLossUntold();
    }

    private static function unwritable(): string
    {
        return __('The folder for signals cannot be written, and signals are lost. Check its rights and the disk.', 'logystera');
    }

    /** @return string[] what may be wrong, although all is sent */
    public static function hints(Site $site): array
    {
        $sources = $site->state()->values['accepted'] < self::ACCEPTED_MIN ? [] : $site->lookup->sources(self::DAY_S);
        if (count($sources) !== 1 || (!Address::isPrivate($sources[0]) && self::proxyHeaders() === [])) {
            return [];
        }
        /* translators: %s: an address */
        $text = __('All visitors of the last day had one address, %s: a proxy\'s? Then a guesser of passwords is all of them. Name it '
            . 'among the trusted proxies.', 'logystera');
        return [sprintf($text, $sources[0])];
    }

    /** @return string[] headers of this request by which a proxy that is not trusted says who asks */
    public static function proxyHeaders(): array
    {
        // phpcs:ignore -- only compared
        $remote = isset($_SERVER['REMOTE_ADDR']) ? (string) $_SERVER['REMOTE_ADDR'] : '';
        $isTrusted = Address::isIn($remote, Settings::all()['proxies']);
        return array_values(array_filter($isTrusted ? [] : Address::HEADERS, static function (string $header): bool {
            // phpcs:ignore -- only asked whether it is there
            return isset($_SERVER['HTTP_' . strtoupper(str_replace('-', '_', $header))]);
        }));
    }

    public static function isCronLate(): bool
    {
        $next = wp_next_scheduled(Settings::EVENT);
        return $next !== false && time() - $next > self::CRON_LATE_S;
    }

    /** What a flush came to, for who asked for it. */
    public static function outcome(Flushed $flushed, array $lastAnswer): string
    {
        switch ($flushed->outcome) {
            case Flushed::BUSY:
                return __('Another process is sending at this moment. Try again in some seconds.', 'logystera');
            case Flushed::UNWRITABLE:
                return self::unwritable();
            default:
                return self::answer($lastAnswer);
        }
    }

    /** What an answer of the gateway means, and what to do. */
    public static function answer(array $answer): string
    {
        $status = (int) ($answer['status'] ?? 0);
        $code = (string) ($answer['code'] ?? '');
        if ($answer === []) {
            return __('Nothing was sent yet.', 'logystera');
        }
        if ($status === 0) {
            /* translators: %s: an error message of the HTTP client */
            return sprintf(__('The gateway did not answer: %s', 'logystera'), (string) ($answer['failure'] ?? ''));
        }
        if (!($answer['is_gateway'] ?? false)) {
            /* translators: %d: a status of HTTP */
            return sprintf(__('Something answered with status %d, but it is no gateway: a proxy or a firewall?', 'logystera'), $status);
        }
        $texts = [
            200 => __('The gateway has the batch from an earlier try.', 'logystera'),
            202 => __('The gateway took the batch and has it on disk.', 'logystera'),
            400 => __('The gateway could not read the batch. Update this plugin.', 'logystera'),
            401 => __('The gateway does not accept the key. Was it revoked? Paste a new DSN.', 'logystera'),
            404 => __('The gateway does not take batches at this address. Check the DSN.', 'logystera'),
            409 => __('A copy of this site used the same numbers. A new spool was drawn.', 'logystera'),
            410 => __('The gateway closed this site.', 'logystera'),
            413 => __('The batch was too large; it goes out in two.', 'logystera'),
            422 => __('The gateway accepted none of the signals. Update this plugin.', 'logystera'),
            429 => __('The site sends more than it may. The gateway says when to go on.', 'logystera'),
        ];
        $text = $code === 'clock_skew'
            ? __('This machine\'s clock is wrong by more than five minutes.', 'logystera')
            : ($texts[$status] ?? __('The gateway cannot take batches at the moment; they wait here.', 'logystera'));
        return $text . ' (' . $status . ($code === '' ? '' : ' ' . $code) . ')';
    }
}
