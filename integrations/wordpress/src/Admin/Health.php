<?php

declare(strict_types=1);

namespace Logystera\WordPress\Admin;

use Logystera\Standing;
use Logystera\WordPress\Guard;
use Logystera\WordPress\Plugin;

/** The test of Site Health. */
final class Health
{
    private const STATUS = [
        Standing::WORKS => ['good', 'blue'], Standing::WAITS => ['recommended', 'orange'], Standing::LOOK => ['recommended', 'orange'],
        Standing::FAILS => ['critical', 'red'],
    ];

    public static function register(): void
    {
        Guard::filter('site_status_tests', [self::class, 'tests']);
    }

    /** @param mixed $tests */
    public static function tests($tests): array
    {
        $tests = is_array($tests) ? $tests : [];
        $tests['direct']['logystera'] = ['label' => 'Logystera', 'test' => [self::class, 'test']];
        return $tests;
    }

    public static function test(): array
    {
        $site = Plugin::site();
        $standing = $site === null ? null : Status::standing($site);
        [$status, $color] = self::STATUS[$standing === null ? Standing::WAITS : $standing->state];
        $labels = [
            Standing::WORKS => __('Logystera watches this site', 'logystera'),
            Standing::WAITS => __('Logystera has not sent anything yet', 'logystera'),
            Standing::LOOK => __('Logystera watches this site, but has a hint for you', 'logystera'),
            Standing::FAILS => __('Logystera does not work', 'logystera'),
        ];
        $text = $site === null
            ? [__('Nobody is told yet if something happens here: nothing is recorded and nothing is sent.', 'logystera')]
            : (Status::problems($site) ?: [Status::say($standing->state === Standing::WAITS ? Standing::NONE : Standing::TOOK, $site)]);
        return [
            'label' => $standing === null ? __('Logystera is not set up', 'logystera') : $labels[$standing->state],
            'status' => $status,
            'badge' => ['label' => 'Logystera', 'color' => $color],
            'description' => '<p>' . implode('</p><p>', array_map('esc_html', $text)) . '</p>',
            'actions' => sprintf(
                '<p><a href="%s">%s</a></p>',
                esc_url(Page::url()),
                $standing === null ? esc_html__('Set it up', 'logystera') : esc_html__('Settings of Logystera', 'logystera')
            ),
            'test' => 'logystera',
        ];
    }
}
