<?php

declare(strict_types=1);

namespace Logystera\WordPress\Admin;

use Logystera\WordPress\Guard;
use Logystera\WordPress\Plugin;

/** The test of Site Health. */
final class Health
{
    public static function register(): void
    {
        Guard::filter('site_status_tests', [self::class, 'tests']);
    }

    /** @param mixed $tests */
    public static function tests($tests): array
    {
        $tests = is_array($tests) ? $tests : [];
        $tests['direct']['logystera'] = [
            'label' => __('Logystera sends its signals', 'logystera'), 'test' => [self::class, 'test'],
        ];
        return $tests;
    }

    public static function test(): array
    {
        $site = Plugin::site();
        $problems = $site === null
            ? [__('Logystera is not set up: nothing is recorded and nothing is sent.', 'logystera')]
            : (Status::problems($site) ?: Status::hints($site));
        $isGood = $problems === [];
        $isLosing = $site !== null && Status::isDiskFailing($site);
        $text = $isGood ? [__('Signals arrive at the gateway.', 'logystera')] : $problems;
        return [
            'label' => $isGood
                ? __('Logystera sends its signals', 'logystera')
                : __('Logystera does not send its signals', 'logystera'),
            'status' => $isGood ? 'good' : ($isLosing ? 'critical' : 'recommended'),
            'badge' => ['label' => 'Logystera', 'color' => $isGood ? 'blue' : ($isLosing ? 'red' : 'orange')],
            'description' => '<p>' . implode('</p><p>', array_map('esc_html', $text)) . '</p>',
            'actions' => sprintf(
                '<p><a href="%s">%s</a></p>',
                esc_url(Page::url()),
                esc_html__('Settings of Logystera', 'logystera')
            ),
            'test' => 'logystera',
        ];
    }
}
