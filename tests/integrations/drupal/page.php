<?php

/** The settings page by contract: what is said first, what a bad DSN does to the rest, many hashes, links, and the try of an alert. */

declare(strict_types=1);

namespace Logystera\Tests\Drupal;

use Drupal\logystera\Form\SettingsForm;
use Drupal\logystera\Settings;
use Symfony\Component\HttpFoundation\Request;

use function Logystera\Tests\same;

/** All text of a render array. */
function shown(mixed $part): string
{
    if (!is_array($part)) {
        return is_string($part) || $part instanceof \Stringable ? "$part " : '';
    }
    return implode('', array_map(shown(...), array_values($part)));
}

/** The page as it is built. */
function page(Site $site, ?FormState $state = null, string $query = ''): array
{
    $site->container->get('request_stack')->push(Request::create("/admin/config/system/logystera$query"));
    return SettingsForm::create($site->container)->buildForm([], $state ?? new FormState([]));
}

/** Presses a button: what is said, and the state in which the page is built again. */
function press(Site $site, string $does, array $values = []): array
{
    $site->compile();
    $form = SettingsForm::create($site->container);
    $built = [];
    $state = new FormState($values + ['types' => array_combine(Settings::TYPES, Settings::TYPES), 'flush_every_s' => 60]);
    $form->$does($built, $state);
    return [implode(' ', $form->said), $state];
}

return [
    'the page says first whether it works, in words and a class' => static function (): void {
        $site = new Site(MODULE, [], false);
        $headline = static fn (): array => page($site)['headline'];
        same([['logystera-state', 'logystera-waits'], true], [$headline()['#attributes']['class'],
            str_contains(shown($headline()), 'One step is missing: agree')], 'a key without an agreement');
        $site->state->values['logystera.dsn'] = '';
        same(true, str_contains(shown($headline()), 'Not set up yet'), 'before');
        $site->state->values['logystera.dsn'] = Site::DSN;
        press($site, 'submitForm', ['agree' => 1]);
        $site->compile();
        same([['logystera-state', 'logystera-works'], true], [$headline()['#attributes']['class'],
            str_contains(shown($headline()), 'It works.')], 'agreed, and the gateway answers');
        $site->http->status = 401;
        [$said] = press($site, 'sendTest');
        same(true, str_contains($said, 'does not accept your connection key') && preg_match('/\b401\b/', $said) === 0, $said);
        $site->compile();
        same([['logystera-state', 'logystera-fails'], true], [$headline()['#attributes']['class'],
            str_contains(shown($headline()), 'It does not work.')
            && str_contains(shown($headline()), 'The service does not accept your connection key')], 'refused');
        $site->remove();
    },
    'a bad DSN loses no other edit, and stays to be mended' => static function (): void {
        $site = new Site(MODULE);
        $bad = '<script>planted</script>' . substr(Site::DSN, 0, -30);
        [$said, $state] = press($site, 'submitForm', ['dsn' => $bad, 'flush_every_s' => 77, 'types' => ['mail.outcome' => 'mail.outcome']]);
        same([true, true], [str_contains($said, 'The rest was saved'), $state->isRebuilt], $said);
        same(false, str_contains($said, 'planted') || str_contains($said, Site::SECRET), 'what is said does not repeat it');
        $settings = $site->container->get('logystera.settings');
        same([77, ['mail.outcome'], Site::DSN], [$settings->flushEveryS(), $settings->typesOn(), $site->state->values['logystera.dsn']]);
        same('gateway.example', $settings->agreedHost(), 'a tick that is missing beside it takes nothing back');
        $field = page($site, $state)['connection'];
        same('true', $field['dsn']['#attributes']['aria-invalid'], 'the field');
        same(true, str_contains(shown($field['says']['text']), 'This is no connection key'), 'beside it');
        same('polite', $field['says']['#attributes']['aria-live'], 'it is heard');
        $site->remove();
    },
    'many hashes are looked up at once, by the form and by a link, and only what is a hash is repeated' => static function (): void {
        $site = new Site(MODULE);
        \logystera_user_insert(new Account(7, 'mallory<b>'));
        \logystera_user_insert(new Account(8, 'trent'));
        $site->end();
        $hashes = [$site->hash('user', 'mallory<b>'), $site->hash('user', 'trent'), str_repeat('0', 32)];
        $site->compile();
        [, $state] = press($site, 'lookUp', ['hashes' => 'alert: ' . implode(', ', $hashes) . ' <script>alert(1)</script>']);
        foreach ([page($site, $state), page($site, null, '?hash=' . implode(',', $hashes))] as $page) {
            $rows = array_map(static fn (array $row): array => array_map(
                static fn (array $cell): string => trim(shown($cell['data'])),
                array_slice($row, 0, 3)
            ), $page['lookup']['answers']['#rows']);
            same([[$hashes[0], 'mallory<b>', 'user'], [$hashes[1], 'trent', 'user'],
                [$hashes[2], 'not known here, or not any more', '—']], $rows);
            same(['#plain_text' => 'mallory<b>'], $page['lookup']['answers']['#rows'][0][1]['data'], 'as text');
            same(implode("\n", $hashes), $page['lookup']['hashes']['#default_value'], 'nothing else comes back');
            same(true, $page['lookup']['#open'] && $page['lookup']['#weight'] < 0, 'it is seen at once');
        }
        same(false, str_contains(shown(page($site, null, '?hash=<script>alert(1)</script>')), '<script'), 'a link with none');
        same(false, page($site, null, '?hash[]=x')['lookup']['#open'], 'a link of another kind');
        same(false, isset(page(new Site(MODULE, [], false), null, "?hash=$hashes[0]")['lookup']), 'where nobody agreed');
        $site->remove();
    },
    'a try of an alert has mails fail, and shows how far it came' => static function (): void {
        $site = new Site(MODULE);
        [, $state] = press($site, 'tryAlert');
        same(['works', 'works', 'waits'], array_column($state->get('steps'), 0), shown($state->get('steps')));
        $sent = end($site->http->requests)['body'];
        $signals = json_decode($sent[0] === '{' ? $sent : (string) gzdecode($sent), true)['signals'];
        $mails = array_filter($signals, static fn (array $one): bool => $one['type'] === 'mail.outcome');
        same(array_fill(0, 5, 'failed'), array_values(array_column($mails, 'outcome')), 'what is told');
        same(3, count(page($site, $state)['now']['steps']['#items']), 'shown');
        $site->http->status = 503;
        [, $state] = press($site, 'tryAlert');
        same(['works', 'fails'], array_column($state->get('steps'), 0), 'the gateway is away');
        same(1, preg_match('/waits, and is sent later/', shown($state->get('steps'))), 'what to do');
        $site->container->get('logystera.settings')->save(array_diff(Settings::TYPES, ['mail.outcome']), 60);
        [, $state] = press($site, 'tryAlert');
        same(['fails'], array_column($state->get('steps'), 0), 'mail is not watched');
        $site->remove();
    },
    'what was lost is shown with when, what and why' => static function (): void {
        $site = new Site(MODULE);
        $site->state->values['logystera.lost'] = ['user.change|disk' => [3, 1700000000000]];
        $losses = page($site)['rest']['losses']['list'];
        $row = array_map(static fn (array $cell): string => trim(shown($cell['data'])), $losses['table']['#rows'][0]);
        same(['2023-11-14 22:13', 'Accounts', '3', 'The disk took nothing.'], $row);
        unset($site->state->values['logystera.lost']);
        $site->compile();
        same(true, str_contains(shown(page($site)['rest']['losses']), 'Nothing was lost'));
        $site->remove();
    },
    'each type is named in plain words, and the secret is never shown' => static function (): void {
        $site = new Site(MODULE);
        $words = $site->container->get('logystera.words')->types();
        same([], array_diff(Settings::TYPES, array_keys($words)), 'types without words');
        same([], array_diff(array_keys($words), Settings::TYPES), 'words without a type');
        $page = shown(page($site));
        same(false, str_contains($page, Site::SECRET) || str_contains($page, Site::KEY), 'the secret');
        same(true, str_contains($page, 'Sign-ins') && str_contains($page, 'auth.attempt'), 'both names');
        $site->remove();
    },
];
