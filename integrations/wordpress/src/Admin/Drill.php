<?php

declare(strict_types=1);

namespace Logystera\WordPress\Admin;

use Logystera\Limits;
use Logystera\WordPress\Guard;
use Logystera\WordPress\Settings;
use Logystera\WordPress\Site;

/**
 * Tries the whole way from a mail that fails to an alert. The mails are real ones for WordPress, without an address that anything could
 * be delivered to, so that nothing leaves the site but the signals.
 */
final class Drill
{
    /** What the mails are "to": no address, so that every mailer fails before it connects anywhere. */
    private const NOBODY = 'logystera';
    private const TYPE = 'mail.outcome';

    /** @return array<string, mixed> a note: see Page */
    public static function run(Site $site): array
    {
        if (!Settings::isOn(self::TYPE)) {
            return ['kind' => 'error', 'text' => __('Mail is not watched. Tick "Mail" below, save, and try again.', 'logystera')];
        }
        $failed = self::fail();
        $site->recorder->write();
        $steps = [self::step(
            $failed > 0,
            /* translators: %d: a number of mails */
            sprintf(__('%d mails failed on this site, as they were meant to.', 'logystera'), $failed),
            __('No mail failed that WordPress knows of: another plugin seems to send the mail, and says nothing of it.', 'logystera')
        )];
        if ($failed > 0) {
            $outcome = Status::outcome($site->flush(Limits::CRON_BUDGET_MS, true), $site);
            $isSent = $outcome['kind'] === 'success';
            $steps[] = self::step($isSent, __('The service that watches for you has been told.', 'logystera'), $outcome['text']);
            if ($isSent) {
                $steps[] = ['state' => 'waits', 'text' => __(
                    'Now look at your mail or chat: within some minutes "Mail delivery is failing" comes, and later that it is over. Who '
                    . 'tried within the last hour may get none. If nothing comes, ask whoever runs the service '
                    . 'where alerts for this site go.',
                    'logystera'
                )];
            }
        }
        $isWell = end($steps)['state'] === 'waits';
        return [
            'kind' => $isWell ? 'success' : 'error', 'steps' => $steps,
            'text' => $isWell ? __('The alert is on its way.', 'logystera') : __('The alert did not get on its way.', 'logystera'),
        ];
    }

    /** @return int mails of which WordPress said that they failed */
    private static function fail(): int
    {
        $failed = 0;
        Guard::watch('wp_mail_failed', static function () use (&$failed): void {
            $failed++;
        });
        for ($i = 0; $i < Limits::DRILL_MAILS; $i++) {
            wp_mail(
                self::NOBODY,
                __('Logystera tries whether a failing mail is noticed: this one was meant to fail', 'logystera'),
                __('Nobody gets this mail.', 'logystera')
            );
        }
        return $failed;
    }

    private static function step(bool $isDone, string $done, string $failed): array
    {
        return ['state' => $isDone ? 'works' : 'fails', 'text' => $isDone ? $done : $failed];
    }
}
