<?php

/** What the module does when it goes, or is no longer agreed to. */

declare(strict_types=1);

namespace Logystera\Tests\Drupal;

use Symfony\Component\HttpFoundation\Request;

use function Logystera\Tests\same;

return [
    'whoever uninstalls or withdraws is told of by the last batch' => static function (): void {
        require_once MODULE . '/logystera.install';
        $acts = [
            'uninstalling' => static fn (Site $site) => \logystera_uninstall(),
            'withdrawing' => static function (Site $site): void {
                $form = \Drupal\logystera\Form\SettingsForm::create($site->container);
                $built = $form->buildForm([], new FormState([]));
                $form->withdraw($built, new FormState(['sure' => 1]));
            },
        ];
        foreach ($acts as $what => $act) {
            $site = new Site(MODULE);
            \logystera_user_insert(new Account(1, 'boss'));
            $site->container->get('logystera.runtime')->write();
            $act($site);
            $site->request(Request::create('/x'));
            $site->end();
            $bodies = array_map(static fn (array $sent): array => json_decode(unpacked($sent['body']), true), $site->http->requests);
            same(['user.change'], array_column($bodies[0]['signals'], 'type'), "$what: what was done before goes first");
            same(2, count($bodies), "$what: and nothing after the last word");
            same([component('module', 'logystera', 'deactivated', ['from_version' => '0.1.0'])], array_map(
                static fn (array $signal): array => array_diff_key($signal, ['at' => 0]),
                $bodies[1]['signals']
            ), $what);
            same([true, ['integration.dropped']], [
                in_array('user.change', $bodies[0]['integration']['enabled'], true), $bodies[1]['integration']['enabled'],
            ], "$what: the head");
            $site->remove();
        }
    },
    'uninstalling leaves no state and no file' => static function (): void {
        require_once MODULE . '/logystera.install';
        $site = new Site(MODULE);
        $site->request(Request::create('/x'));
        $site->container->get('logystera.runtime')->background(1000, true);
        \logystera_uninstall();
        $site->end();
        same(['system.cron_last'], array_keys($site->state->values), 'state');
        same([], array_keys($site->bytes()), 'files');
        $site->remove();
    },
];
