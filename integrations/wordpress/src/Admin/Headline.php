<?php

declare(strict_types=1);

namespace Logystera\WordPress\Admin;

use Logystera\Limits;
use Logystera\Standing;
use Logystera\WordPress\Settings;
use Logystera\WordPress\Site;

/** The first thing on the page: whether it works, by shape, word and colour together, and what to do. */
final class Headline
{
    private const MARKS = [Standing::WORKS => '✓', Standing::FAILS => '✕', Standing::LOOK => '!', Standing::WAITS => '…'];

    public static function show(?Site $site): void
    {
        $standing = $site === null ? null : Status::standing($site);
        $state = $standing === null ? Standing::WAITS : $standing->state;
        echo '<div class="logystera-state logystera-' . esc_attr($state) . '">';
        self::mark($state);
        $isKnown = Settings::dsn() !== null;
        $title = $isKnown ? __('One step is missing: agree', 'logystera') : __('Not set up yet', 'logystera');
        $title = $standing === null ? $title : Status::title($state, $standing->reasons[0] ?? '');
        echo '<div><h2>' . esc_html($title) . '</h2>';
        if ($site === null && $isKnown) {
            echo '<p>' . esc_html__(
                'The connection key is saved. Nothing is recorded or sent before you tick below that you agree, and save.',
                'logystera'
            ) . '</p>';
        } elseif ($site === null) {
            self::introduction();
        } else {
            self::reasons($site, $standing);
        }
        echo '</div></div>';
        if ($site !== null) {
            self::actions($state);
        }
    }

    /** A mark that says the state by its shape. Whoever hears the page hears the words beside it. */
    public static function mark(string $state): void
    {
        echo '<span class="logystera-mark" aria-hidden="true">' . esc_html(self::MARKS[$state] ?? '') . '</span>';
    }

    private static function introduction(): void
    {
        echo '<p>' . esc_html__(
            'Websites break quietly: mail is refused, jobs stop, somebody guesses passwords, an administrator appears. Logystera notices '
            . 'that here, and a service of your choice sends you an alert. Nothing is recorded or sent before you agree.',
            'logystera'
        ) . '</p><ol><li>' . esc_html__('Paste the connection key that whoever runs the service gave you.', 'logystera') . '</li><li>'
            . esc_html__('Tick that you agree, and save.', 'logystera') . '</li><li>'
            . esc_html__('Try an alert: the button for it appears here.', 'logystera') . '</li></ol>';
    }

    private static function reasons(Site $site, Standing $standing): void
    {
        $succeeded = $site->state()->values['succeeded_at'];
        foreach (Status::problems($site) as $problem) {
            echo '<p>' . esc_html($problem) . '</p>';
        }
        if ($standing->state === Standing::WAITS) {
            echo '<p>' . esc_html__('Press "Check now": it takes a moment, and says whether the connection works.', 'logystera') . '</p>';
        }
        if ($succeeded > 0) {
            /* translators: 1: a host, 2: a span of time with "ago" */
            $text = __('The service at %1$s has heard from this site %2$s.', 'logystera');
            echo '<p title="' . esc_attr(Words::time($succeeded)) . '">'
                . esc_html(sprintf($text, Settings::agreedHost(), Words::ago($succeeded))) . '</p>';
        }
    }

    private static function actions(string $state): void
    {
        $buttons = [
            'test' => [__('Check now', 'logystera'), []],
            'drill' => [__('Try an alert', 'logystera'), ['aria-describedby' => 'logystera-drill-text']],
        ];
        // What is to be done next comes first, and is the stronger button.
        $buttons = $state === Standing::WORKS ? array_reverse($buttons) : $buttons;
        echo '<div class="logystera-actions">';
        foreach ($buttons as $action => [$text, $more]) {
            $strength = $action === array_keys($buttons)[0] ? 'primary' : 'secondary';
            View::form($action);
            submit_button($text, $strength, 'submit', false, ['id' => "logystera-$action"] + $more);
            echo '</form>';
        }
        echo '</div><p class="description" id="logystera-drill-text">';
        /* translators: %d: a number of mails */
        $text = __(
            '"Try an alert" has %d mails fail on purpose (they go to nobody), so that you see the whole way: from this site to the service '
            . 'to you. Everybody who gets alerts for this site gets this one.',
            'logystera'
        );
        echo esc_html(sprintf($text, Limits::DRILL_MAILS)) . '</p>';
    }
}
