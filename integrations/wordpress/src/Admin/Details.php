<?php

declare(strict_types=1);

namespace Logystera\WordPress\Admin;

use Logystera\WordPress\Ledger;
use Logystera\WordPress\Site;
use Logystera\WordPress\SpoolFolder;

/** What was lost, and what somebody who helps may ask for. */
final class Details
{
    /** What was lost, when and why. Where nothing was, that is said too. */
    public static function losses(Site $site): void
    {
        $losses = $site->outbox->losses((new Ledger())->counts());
        echo '<h2>' . esc_html__('What was not kept', 'logystera') . '</h2>';
        if ($losses === []) {
            echo '<p>' . esc_html__('Nothing was lost: all that happened was told, or waits to be.', 'logystera') . '</p>';
            return;
        }
        $heads = [__('From', 'logystera'), __('What', 'logystera'), __('How many', 'logystera'), __('Why', 'logystera')];
        echo '<p>' . esc_html__('These events happened and were not told in detail. How many they were is told.', 'logystera') . '</p>';
        View::table($heads);
        foreach ($losses as $loss) {
            $cells = [Words::type($loss['type']), number_format_i18n($loss['count']), Words::reason($loss['reason'])];
            echo '<tr><th scope="row">' . esc_html(Words::time($loss['since'])) . '</th>';
            foreach ($cells as $i => $cell) {
                echo '<td data-logystera-head="' . esc_attr($heads[$i + 1]) . '">' . esc_html($cell) . '</td>';
            }
            echo '</tr>';
        }
        echo '</tbody></table>';
    }

    public static function show(Site $site): void
    {
        echo '<h2>' . esc_html__('Details', 'logystera') . '</h2><details><summary>'
            . esc_html__('For whoever helps you', 'logystera') . '</summary><table class="widefat striped logystera-table"><tbody>';
        foreach (self::rows($site) as $name => $value) {
            echo '<tr><th scope="row">' . esc_html((string) $name) . '</th><td>' . esc_html($value) . '</td></tr>';
        }
        echo '</tbody></table></details>';
        $body = $site->outbox->lastBatch();
        if ($body !== '') {
            echo '<details><summary>' . esc_html__('What was sent last, exactly as it was sent', 'logystera') . '</summary>';
            echo '<textarea readonly rows="12" class="large-text code" aria-label="'
                . esc_attr__('What was sent last, exactly as it was sent', 'logystera') . '">' . esc_textarea($body)
                . '</textarea></details>';
        }
    }

    /** @return array<string, string> */
    private static function rows(Site $site): array
    {
        $values = $site->state()->values;
        $waiting = $site->outbox->waiting();
        $folder = (string) SpoolFolder::known();
        /* translators: 1: a number of events, 2: a number of bytes */
        $waits = sprintf(__('%1$d events, %2$d bytes', 'logystera'), $waiting['signals'], $waiting['bytes']);
        return [
            __('Waits to be sent', 'logystera') => $waits,
            __('Last success', 'logystera') => Words::time($values['succeeded_at']),
            __('Last answer', 'logystera') => self::answer($values['last_answer']),
            __('Next try', 'logystera') => $values['next_try_at'] > 0
                ? Words::time($values['next_try_at']) : __('when something is to be sent', 'logystera'),
            __('Tries', 'logystera') => $site->state()->health->isCircuitOpen()
                ? __('once an hour, after many failures', 'logystera') : __('as usual', 'logystera'),
            __('Sent anew because of a copy or a backup', 'logystera') => $values['renewed_at'] > 0
                /* translators: %s: a time */
                ? sprintf(__('%s: what was refused went out anew, nothing was lost', 'logystera'), Words::time($values['renewed_at']))
                : Words::time(0),
            __('Scheduled jobs', 'logystera') => Status::isCronLate()
                ? __('late: have the system call wp-cron.php every minute', 'logystera') : __('in time', 'logystera'),
            __('Folder', 'logystera') => $folder . ' — ' . (SpoolFolder::isOutsideWebRoot($folder)
                ? __('outside the web root', 'logystera') : __('below the web root, unreadable by URL', 'logystera')),
        ];
    }

    /** As the service and the HTTP client gave it. */
    private static function answer(array $answer): string
    {
        if ($answer === []) {
            return __('none yet', 'logystera');
        }
        return trim(($answer['status'] ?? 0) . ' ' . ($answer['code'] ?? '') . ' ' . ($answer['failure'] ?? ''));
    }
}
