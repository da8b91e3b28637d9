<?php

/** The words that the table of rows.php is written in: expected signals, and what is done. */

declare(strict_types=1);

namespace Logystera\Tests\Drupal;

use Drupal\Core\Database\DatabaseExceptionWrapper;
use Symfony\Component\HttpFoundation\RedirectResponse;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\HttpKernel\KernelEvents;

function auth(Site $s, string $outcome, string $method, ?string $reason, string $name, ?bool $privileged, ?int $length = null): array
{
    return array_filter([
        'type' => 'auth.attempt', 'outcome' => $outcome, 'method' => $method, 'reason' => $reason,
        'user_hash' => $s->hash('user', $name), 'user_length' => $length ?? strlen($name), 'source' => $s->hash('address', Site::ADDRESS),
        'privileged' => $privileged, 'network' => $s->hash('network', Site::NETWORK),
    ], static fn ($value): bool => $value !== null);
}

function http(Site $s, string $method, string $path, int $status, string $group, array $more = []): array
{
    return ['type' => 'http.request', 'method' => $method, 'path' => $path, 'status' => $status, 'route_group' => $group,
        'user_agent' => 'Symfony', 'source' => $s->hash('address', Site::ADDRESS)] + $more + ['network' => $s->hash('network', Site::NETWORK)];
}

function job(string $job, string $outcome = 'ok'): array
{
    return ['type' => 'cron.run', 'job' => $job, 'outcome' => $outcome];
}

function config(Site $s, string $name, string $action, ?array $before, ?array $after): array
{
    $hash = static fn (?array $value): ?string => $value === null ? null : $s->hash('value', serialize($value));
    return array_filter(['type' => 'config.change', 'key' => $name, 'action' => $action, 'before_hash' => $hash($before),
        'after_hash' => $hash($after)]);
}

function user(Site $s, string $action, string $role, string $name): array
{
    return ['type' => 'user.change', 'action' => $action, 'role' => $role, 'user_hash' => $s->hash('user', $name),
        'user_length' => strlen($name)];
}

function component(string $kind, string $slug, string $action, array $versions = []): array
{
    return ['type' => 'component.lifecycle', 'kind' => $kind, 'slug' => $slug, 'action' => $action] + $versions;
}

/** `user.flood` of the site of doubles. */
const FLOOD = ['ip_limit' => 50, 'ip_window' => 60, 'user_limit' => 5, 'user_window' => 60, 'uid_only' => false];

/** The sign-in form was posted: what Drupal has put into its state then. */
function form(Site $s, string $name, string $password, array $storage): void
{
    $form = ['#validate' => []];
    $state = new FormState(['name' => $name, 'pass' => $password], $storage);
    \logystera_form_user_login_form_alter($form, $state);
    foreach ($form['#validate'] as $validate) {
        $validate($form, $state);
    }
}

/** The form that sends a one-time link was posted, and Drupal has looked for the account. */
function forgotten(Site $s, string $name, ?Account $account): void
{
    $form = ['#validate' => []];
    $state = new FormState(['name' => $name, 'account' => $account], []);
    \logystera_form_user_pass_alter($form, $state);
    foreach ($form['#validate'] as $validate) {
        $validate($form, $state);
    }
}

/** REST's login route, which refuses by an exception. */
function rest(Site $s, string $body, ?\Throwable $error): Response
{
    $s->dispatcher->addListener(KernelEvents::EXCEPTION, $answer = static function ($event): void {
        $event->setResponse(new Response('', $event->getThrowable()->getStatusCode()));
    });
    $serve = static fn () => $error === null ? new Response('') : throw $error;
    $request = Request::create('/user/login?_format=json', 'POST', [], [], [], [], $body);
    try {
        return $s->request($request, ['_route' => 'user.login.http'], $serve);
    } finally {
        $s->dispatcher->removeListener(KernelEvents::EXCEPTION, $answer);
    }
}

/** HTTP Basic: Drupal signs somebody in, or not, at priority 300. */
function basic(Site $s, string $name, bool $isGood): void
{
    $s->dispatcher->addListener(KernelEvents::REQUEST, $look = static function () use ($s, $isGood): void {
        $s->currentUser->id = $isGood ? 1 : 0;
        // It counts this try, which may be the last that is allowed.
        $s->flood->full[] = 'basic_auth.failed_login_ip';
    }, 300);
    $s->request(Request::create('/x', 'GET', [], [], [], ['PHP_AUTH_USER' => $name, 'PHP_AUTH_PW' => 'planted-password']));
    $s->dispatcher->removeListener(KernelEvents::REQUEST, $look);
    $s->currentUser->id = 0;
}

function link(Site $s, string $target, ?callable $act = null): void
{
    $attributes = ['_route' => 'user.reset.login', 'uid' => '1'];
    $serve = static function () use ($target, $act): Response {
        $act === null ? null : $act();
        return new RedirectResponse($target);
    };
    $s->request(Request::create('/user/reset/1/1767225600/planted-link-hash/login'), $attributes, $serve);
}

function mailed(Site $s, mixed $result, string $to = 'planted@example.test', string $module = 'probe', string $key = 'x', bool $send = true): void
{
    mailer($s)->result = $result;
    try {
        $s->container->get('plugin.manager.mail')->mail($module, $key, $to, 'en', ['planted-parameter'], null, $send);
    } catch (\RuntimeException $error) {
        // As whoever sent the mail does.
    }
}

/** Commerce says something about an order. */
function commerce(Site $s, string $event, string $gateway = '', string $state = '', ?string $before = null): void
{
    $thing = new Commerce($gateway, $state);
    $thing->original = $before === null ? null : new Commerce($gateway, $before);
    $s->dispatcher->dispatch(new Commerce('', '', $thing), $event);
}

/** The module tfa notes whether an account has a second factor. */
function factor(Site $s, int $uid, bool $isOn): void
{
    $s->container->get('user.data')->set('tfa', $uid, 'tfa_user_settings', ['status' => $isOn ? 1 : 0, 'data' => ['plugins' => ['planted']]]);
}

/** What is decorated, or there without a decorator. */
function mailer(Site $s): Mailer
{
    $s->container->get('plugin.manager.mail');
    return Manager::$last[Mailer::class];
}

function queues(Site $s): QueueManager
{
    $s->container->get('plugin.manager.queue_worker');
    return Manager::$last[QueueManager::class];
}

function bareCron(Site $s): Cron
{
    $s->container->get('cron');
    return Cron::$last;
}

function cron(Site $s, array $jobs, array $items = [], array $workers = []): mixed
{
    $cron = bareCron($s);
    [$cron->jobs, $cron->items] = [$jobs, $items];
    queues($s)->plugins = $workers;
    try {
        return $s->container->get('cron')->run();
    } catch (\Error $fault) {
        return $fault;
    }
}

/** What Drupal's handler of errors writes to its log. */
function logged(Site $s, string $channel, string $type, string $message, string $file, int $line, ?\Throwable $error = null): void
{
    $s->container->get("logger.channel.$channel")->log(3, '%type: @message', [
        '%type' => $type, '@message' => $message, '%file' => $file, '%line' => $line, 'exception' => $error,
    ]);
}

function database(string $message, string $query, array $errorInfo): DatabaseExceptionWrapper
{
    $source = new \PDOException($message);
    $source->errorInfo = $errorInfo;
    return new DatabaseExceptionWrapper("$message: $query; Array\n(\n    [:x] => planted-argument\n)\n", 0, $source);
}

function account(string $name, array $before, array $after, array $fields = []): Account
{
    $account = new Account(9, $name, $after);
    $account->fields = $fields;
    $account->original = new Account(9, $name, $before);
    return $account;
}
