<?php

/**
 * The table: what is done, and exactly which signals it makes. A row is a name => [what is done, function of the site that gives the
 * expected signals].
 */

declare(strict_types=1);

namespace Logystera\Tests\Drupal;

use Drupal\Core\Config\ConfigRenameEvent;
use Drupal\Core\Database\Event\StatementExecutionEndEvent;
use Drupal\Core\Queue\RequeueException;
use Drupal\Core\Queue\SuspendQueueException;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\HttpKernel\Controller\ControllerResolver;
use Symfony\Component\HttpKernel\Event\RequestEvent;
use Symfony\Component\HttpKernel\Exception\AccessDeniedHttpException;
use Symfony\Component\HttpKernel\Exception\BadRequestHttpException;
use Symfony\Component\HttpKernel\HttpKernel;
use Symfony\Component\HttpKernel\HttpKernelInterface;

$fault = static fn (): never => throw new \RuntimeException('planted-fault');
$bug = static fn (): never => throw new \Error('planted-bug');
$nothing = static fn () => null;
$shop = static fn (string $outcome, string $gateway): array => ['type' => 'shop.order', 'outcome' => $outcome, 'gateway' => $gateway];
$mail = static fn (string $outcome, string $transport, int $recipients): array => ['type' => 'mail.outcome', 'outcome' => $outcome,
    'transport' => $transport] + ($outcome === 'failed' ? ['error_class' => 'other'] : []) + ['recipients' => $recipients];
$error = static fn (Site $s, string $level, string $component, string $file, int $line, string $message): array => [
    'type' => 'php.error', 'level' => $level, 'component' => $component, 'file_hash' => $s->hash('file', $file), 'line' => $line,
    'message_hash' => $s->hash('message', $message), 'source' => $s->hash('address', Site::ADDRESS),
];
$query = static fn (Site $s, string $kind, ?string $code, string $shape): array => array_filter(
    ['type' => 'db.event', 'kind' => $kind, 'code' => $code, 'query_hash' => $s->hash('query', $shape),
        'source' => $s->hash('address', Site::ADDRESS)]
);
$login = ['action' => 'user:login:http'];
$reset = ['action' => 'user:reset:login'];
$missing = static fn () => database(
    "SQLSTATE[42S02]: 1146 Table 'planted.nowhere' doesn't exist",
    'SELECT * FROM "nowhere" WHERE x = :x',
    ['42S02', 1146]
);

return [
    // --- Sign-ins -----------------------------------------------------------------------------------------------------------
    'form: wrong' => [fn ($s) => form($s, 'Admin', 'planted-password', []),
        fn ($s) => [auth($s, 'failure', 'form', 'bad_password', 'admin', true)]],
    'form: unknown' => [fn ($s) => form($s, 'nobody1', 'planted-password', []),
        fn ($s) => [auth($s, 'failure', 'form', 'unknown_user', 'nobody1', null)]],
    'form: a blocked account' => [fn ($s) => form($s, 'gone', 'planted-password', []),
        fn ($s) => [auth($s, 'failure', 'form', 'blocked', 'gone', false)]],
    'form: locked' => [fn ($s) => form($s, 'admin', 'planted-password', ['flood_control_triggered' => 'user']),
        fn ($s) => [auth($s, 'lockout', 'form', 'blocked', 'admin', true)]],
    'form: no password' => [fn ($s) => form($s, 'admin', ' ', []), fn () => []],
    'form: no name' => [fn ($s) => form($s, '', 'planted-password', []), fn () => []],
    'form: right' => [function ($s) {
        form($s, 'admin', 'planted-password', ['uid' => 1]);
        \logystera_user_login($s->users->accounts[0]);
    }, fn ($s) => [auth($s, 'success', 'form', null, 'admin', true)]],
    'somebody is signed in by a command' => [fn ($s) => \logystera_user_login($s->users->accounts[0]),
        fn ($s) => [auth($s, 'success', 'cli', null, 'admin', true)]],
    'REST: wrong' => [fn ($s) => rest($s, '{"name":"admin","pass":"planted-password"}', new BadRequestHttpException('Sorry')),
        fn ($s) => [auth($s, 'failure', 'rest', 'bad_password', 'admin', true), http($s, 'POST', '/user/login', 400, 'login', $login)]],
    'REST: locked' => [fn ($s) => rest($s, '{"name":"nobody1","pass":"x"}', new AccessDeniedHttpException('Locked', null, 429)),
        fn ($s) => [auth($s, 'lockout', 'rest', 'blocked', 'nobody1', null), http($s, 'POST', '/user/login', 403, 'login', $login)]],
    'REST: no password' => [fn ($s) => rest($s, '{"name":"admin"}', new BadRequestHttpException('Missing')),
        fn ($s) => [http($s, 'POST', '/user/login', 400, 'login', $login)]],
    'REST: no JSON' => [fn ($s) => rest($s, 'planted', new BadRequestHttpException('Missing')),
        fn ($s) => [http($s, 'POST', '/user/login', 400, 'login', $login)]],
    'HTTP Basic: wrong' => [fn ($s) => basic($s, 'admin', false),
        fn ($s) => [auth($s, 'failure', 'rest', 'bad_password', 'admin', true), http($s, 'GET', '/x', 200, 'page')]],
    'HTTP Basic: right' => [fn ($s) => basic($s, 'admin', true),
        fn ($s) => [auth($s, 'success', 'rest', null, 'admin', true), http($s, 'GET', '/x', 200, 'page')]],
    'HTTP Basic: the address is locked' => [function ($s) {
        $s->flood->full = ['basic_auth.failed_login_ip'];
        basic($s, 'nobody1', false);
    }, fn ($s) => [auth($s, 'lockout', 'rest', 'blocked', 'nobody1', null), http($s, 'GET', '/x', 200, 'page')]],
    'HTTP Basic: the account is locked' => [function ($s) {
        $s->flood->full = ['basic_auth.failed_login_user'];
        basic($s, 'admin', false);
    }, fn ($s) => [auth($s, 'lockout', 'rest', 'blocked', 'admin', true), http($s, 'GET', '/x', 200, 'page')]],
    'a one-time link that is over' => [fn ($s) => link($s, '/user/password'),
        fn ($s) => [auth($s, 'failure', 'one_time_link', 'expired', 'admin', true), http($s, 'GET', '/user/*/*/*/*/*', 302, 'login', $reset)]],
    'a one-time link that is good' => [fn ($s) => link($s, '/user/1/edit'),
        fn ($s) => [http($s, 'GET', '/user/*/*/*/*/*', 302, 'login', $reset)]],
    'one that signs somebody in' => [fn ($s) => link($s, '/user/1/edit', fn () => \logystera_user_login($s->users->accounts[0])),
        fn ($s) => [auth($s, 'success', 'one_time_link', null, 'admin', true), http($s, 'GET', '/user/*/*/*/*/*', 302, 'login', $reset)]],
    'a one-time link is asked for' => [fn ($s) => forgotten($s, 'admin', $s->users->accounts[0]),
        fn ($s) => [auth($s, 'reset_requested', 'form', null, 'admin', true)]],
    'and for nobody' => [fn ($s) => forgotten($s, 'nobody1', null),
        fn ($s) => [auth($s, 'reset_requested', 'form', 'unknown_user', 'nobody1', null)]],

    // --- Requests -----------------------------------------------------------------------------------------------------------
    'a page' => [fn ($s) => $s->request(Request::create('/a/page?planted=query')), fn ($s) => [http($s, 'GET', '/a/page', 200, 'page')]],
    'an address in the path' => [fn ($s) => $s->request(Request::create('/u/planted@example.test/x', 'HEAD')),
        fn ($s) => [http($s, 'HEAD', '/u/*/x', 200, 'page')]],
    'an attack by its query' => [fn ($s) => $s->request(Request::create("/x?id=1%27%20or%201=1&planted=../../etc/passwd")),
        fn ($s) => [http($s, 'GET', '/x', 200, 'page', ['flags' => ['sqli', 'traversal']])]],
    'an attack by its body' => [fn ($s) => $s->request(Request::create('/x', 'POST', ['planted' => ['a' => '<script>planted']])),
        fn ($s) => [http($s, 'POST', '/x', 200, 'page', ['flags' => ['xss']])]],
    'a page that is written' => [function ($s) {
        $s->currentUser->id = 1;
        $s->request(Request::create('/x', 'POST', ['body' => '<script>planted']));
        $s->currentUser->id = 0;
    }, fn ($s) => [http($s, 'POST', '/x', 200, 'page')]],
    'a method of nobody' => [fn ($s) => $s->request(Request::create('/x', 'PLANTED')), fn ($s) => [http($s, 'OTHER', '/x', 200, 'page')]],
    'an answer by Ajax' => [fn ($s) => $s->request(Request::create('/x?_wrapper_format=drupal_ajax', 'POST')),
        fn ($s) => [http($s, 'POST', '/x', 200, 'ajax')]],
    'cron by URL' => [
        fn ($s) => $s->request(Request::create('/cron/planted-Key1planted2Key'), ['_route' => 'system.cron'], fn () => new Response('', 204)),
        fn ($s) => [http($s, 'GET', '/cron/*', 204, 'cron', ['action' => 'system:cron'])],
    ],
    'JSON:API' => [fn ($s) => $s->request(Request::create('/jsonapi/node'), ['_route' => 'jsonapi.node.collection']),
        fn ($s) => [http($s, 'GET', '/jsonapi/node', 200, 'rest', ['action' => 'jsonapi:node:collection'])]],
    'our own request' => [fn ($s) => $s->request(Request::create('/logystera/kick', 'POST'), ['_route' => 'logystera.kick']), fn () => []],
    'a fault ends PHP in the middle' => [function ($s) {
        $request = Request::create('/x', 'GET', [], [], [], ['REMOTE_ADDR' => Site::ADDRESS]);
        $kernel = new HttpKernel($s->dispatcher, new ControllerResolver());
        $s->dispatcher->dispatch(new RequestEvent($kernel, $request, HttpKernelInterface::MAIN_REQUEST), 'kernel.request');
        $s->end();
    }, fn ($s) => [http($s, 'GET', '/x', 200, 'page')]],

    'a module knows a bot' => [function ($s) {
        $s->container->get('module_handler')->bot = static fn (Request $request): string => $request->isMethod('GET') ? 'unverified' : 'verified';
        $s->request(Request::create('/x'));
    }, fn ($s) => [http($s, 'GET', '/x', 200, 'page', ['bot' => 'unverified'])]],
    'a module says something else' => [function ($s) {
        $s->container->get('module_handler')->bot = 'planted';
        $s->request(Request::create('/x'));
    }, fn ($s) => [http($s, 'GET', '/x', 200, 'page')]],
    'a module fails' => [function ($s) {
        $s->container->get('module_handler')->bot = static fn () => throw new \Error('planted');
        $s->request(Request::create('/x'));
    }, fn ($s) => [http($s, 'GET', '/x', 200, 'page')]],

    // --- Orders -------------------------------------------------------------------------------------------------------------
    'an order is paid' => [fn ($s) => commerce($s, 'commerce_order.order.paid', 'stripe'), fn () => [$shop('paid', 'stripe')]],
    'one without a way of paying' => [fn ($s) => commerce($s, 'commerce_order.order.paid'), fn () => [$shop('paid', 'none')]],
    'an order is cancelled' => [fn ($s) => commerce($s, 'commerce_order.cancel.post_transition', 'cash'), fn () => [$shop('cancelled', 'cash')]],
    'a payment fails' => [fn ($s) => commerce($s, 'commerce_payment.commerce_payment.failure', 'stripe'), fn () => [$shop('failed', 'stripe')]],
    'it fails before there is an order' => [fn ($s) => $s->dispatcher->dispatch(new class {
        public function getPaymentGateway(): object
        {
            return new class {
                public function id(): string
                {
                    return 'Pay.Pal';
                }
            };
        }
    }, 'commerce_payment.commerce_payment.failure'), fn () => [$shop('failed', 'Pay.Pal')]],
    'it is given back' => [fn ($s) => commerce($s, 'commerce_payment.commerce_payment.update', 'stripe', 'refunded', 'completed'),
        fn () => [$shop('refunded', 'stripe')]],
    'a part of it' => [fn ($s) => commerce($s, 'commerce_payment.commerce_payment.update', 'stripe', 'partially_refunded', 'completed'),
        fn () => [$shop('refunded', 'stripe')]],
    'saved again' => [fn ($s) => commerce($s, 'commerce_payment.commerce_payment.update', 'stripe', 'refunded', 'refunded'), fn () => []],
    'it is captured' => [fn ($s) => commerce($s, 'commerce_payment.commerce_payment.update', 'stripe', 'completed', 'authorization'), fn () => []],
    'an event that carries nothing' => [fn ($s) => $s->dispatcher->dispatch(new \stdClass(), 'commerce_payment.commerce_payment.update'),
        fn () => []],

    // --- Mail ---------------------------------------------------------------------------------------------------------------
    'mail: sent' => [fn ($s) => mailed($s, true), fn () => [$mail('sent', 'mail', 1)]],
    'mail: to two' => [fn ($s) => mailed($s, true, 'a@example.test, b@example.test'), fn () => [$mail('sent', 'mail', 2)]],
    'mail: failed' => [fn ($s) => mailed($s, false), fn () => [$mail('failed', 'mail', 1)]],
    'mail: thrown' => [fn ($s) => mailed($s, new \RuntimeException('planted')),
        fn () => [$mail('failed', 'mail', 1)]],
    'mail: a module takes it back' => [fn ($s) => mailed($s, null), fn () => [$mail('skipped', 'mail', 1)]],
    'mail: only made' => [fn ($s) => mailed($s, true, send: false), fn () => []],
    'mail: by SMTP, set for Symfony' => [fn ($s) => mailed($s, true, module: 'other'), fn () => [$mail('sent', 'smtp', 1)]],
    'mail: by another mailer' => [fn ($s) => mailed($s, true, module: 'other', key: 'smtp'), fn () => [$mail('sent', 'smtp', 1)]],

    // --- Cron ---------------------------------------------------------------------------------------------------------------
    'cron: two jobs' => [fn ($s) => cron($s, ['a' => $nothing, 'b' => $nothing]), fn () => [job('a_cron'), job('b_cron'), job('cron')]],
    'cron: the first throws' => [fn ($s) => cron($s, ['a' => $fault, 'b' => $nothing]),
        fn () => [job('a_cron', 'failed'), job('b_cron'), job('cron')]],
    'cron: a bug ends it' => [fn ($s) => cron($s, ['a' => $nothing, 'b' => $bug]),
        fn () => [job('a_cron'), job('b_cron', 'failed'), job('cron', 'failed')]],
    'cron: it runs already' => [function ($s) {
        bareCron($s)->isLocked = true;
        cron($s, []);
    }, fn () => [job('cron', 'missed')]],
    'cron: no detailed log' => [function ($s) use ($nothing) {
        bareCron($s)->isDetailed = false;
        cron($s, ['a' => $nothing]);
    }, fn () => [job('cron')]],
    'cron: queues' => [
        fn ($s) => cron($s, [], [['q', 1], ['q', 2], ['r', 3]], [
            'q' => new Worker('q'), 'r' => new Worker('r', new \Exception('x')),
        ]),
        fn () => [job('queue:q'), job('queue:r', 'failed'), job('cron')],
    ],
    'cron: items that are put back' => [
        fn ($s) => cron($s, [], [['q', 1], ['r', 2]], [
            'q' => new Worker('q', new RequeueException()), 'r' => new Worker('r', new SuspendQueueException()),
        ]),
        fn () => [job('queue:q'), job('queue:r'), job('cron')],
    ],
    'a queue without cron' => [function ($s) {
        cron($s, []);
        $s->signals();
        queues($s)->plugins = ['q' => new Worker('q')];
        $s->container->get('plugin.manager.queue_worker')->createInstance('q')->processItem('planted-item');
        $s->end();
    }, fn () => [job('queue:q')]],

    // --- Errors -------------------------------------------------------------------------------------------------------------
    'a warning of a module' => [fn ($s) => logged($s, 'php', 'Warning', 'Undefined variable $x', "$s->root/modules/contrib/shop/src/A.php", 7),
        fn ($s) => [$error($s, 'warning', 'shop', '/modules/contrib/shop/src/A.php', 7, 'Undefined variable $x')]],
    'the same again' => [function ($s) {
        logged($s, 'php', 'Notice', 'planted "planted"', "$s->root/core/lib/A.php", 1);
        logged($s, 'php', 'Notice', 'planted "planted-other"', "$s->root/core/lib/A.php", 1);
    }, fn ($s) => [$error($s, 'notice', 'core', '/core/lib/A.php', 1, 'planted ?')]],
    'an exception that nobody catches' => [fn ($s) => logged($s, 'php', 'TypeError', 'planted', '/srv/vendor/x/A.php', 3, new \TypeError('planted')),
        fn ($s) => [$error($s, 'fatal', 'vendor', '/A.php', 3, 'planted')]],
    'a deprecation of a theme' => [
        fn ($s) => logged($s, 'php', 'User deprecated function', 'old', "$s->root/sites/default/themes/custom/nice/nice.theme", 2),
        fn ($s) => [$error($s, 'deprecated', 'nice', '/sites/default/themes/custom/nice/nice.theme', 2, 'old')]],
    'a note of a module' => [fn ($s) => logged($s, 'other', 'Warning', 'planted', __FILE__, 1), fn () => []],
    'an error of the database' => [fn ($s) => logged($s, 'other', 'X', 'planted', __FILE__, 1, $missing()),
        fn ($s) => [$query($s, 'error', '1146', 'SELECT * FROM nowhere WHERE x = :x')]],
    'one that nobody catches' => [fn ($s) => logged($s, 'php', 'DatabaseExceptionWrapper', 'planted', "$s->root/core/lib/B.php", 1, $missing()),
        fn ($s) => [$query($s, 'error', '1146', 'SELECT * FROM nowhere WHERE x = :x'),
            $error($s, 'fatal', 'core', '/core/lib/B.php', 1, 'SQLSTATE[0]: 0 Table ? doesn\'t exist')]],
    'one that is logged twice' => [function ($s) use ($missing) {
        $once = $missing();
        logged($s, 'other', 'X', 'planted', __FILE__, 1, $once);
        logged($s, 'other', 'X', 'planted', __FILE__, 1, new \RuntimeException('planted', 0, $once));
    }, fn ($s) => [$query($s, 'error', '1146', 'SELECT * FROM nowhere WHERE x = :x')]],
    'the server is away' => [fn ($s) => logged($s, 'other', 'X', 'x', __FILE__, 1, database('gone away', 'SELECT 1', ['HY000', 2006])),
        fn ($s) => [$query($s, 'connection_lost', '2006', 'SELECT ?')]],
    'a slow query' => [fn ($s) => $s->dispatcher->dispatch(new StatementExecutionEndEvent("SELECT 'planted'", ['planted'], 1.5)),
        fn ($s) => [$query($s, 'slow', null, 'SELECT ?')]],
    'a fast one' => [fn ($s) => $s->dispatcher->dispatch(new StatementExecutionEndEvent("SELECT 'planted'", ['planted'], 0.5)), fn () => []],

    // --- Configuration, accounts, components --------------------------------------------------------------------------------
    'config: added' => [fn ($s) => $s->container->get('config.factory')->getEditable('probe.x')->set('a', 'planted')->save(),
        fn ($s) => [config($s, 'probe.x', 'added', null, ['a' => 'planted'])]],
    'config: updated, and to the same' => [function ($s) {
        $config = $s->container->get('config.factory')->getEditable('user.flood');
        $config->set('uid_only', true)->save();
        $config->set('uid_only', true)->save();
    }, fn ($s) => [config($s, 'user.flood', 'updated', FLOOD, array_replace(FLOOD, ['uid_only' => true]))]],
    'config: deleted' => [fn ($s) => $s->container->get('config.factory')->getEditable('user.flood')->delete(),
        fn ($s) => [config($s, 'user.flood', 'deleted', FLOOD, null)]],
    'config: registration is opened, and closed' => [function ($s) {
        $config = $s->container->get('config.factory')->getEditable('user.settings');
        $config->set('register', 'visitors')->save();
        $config->set('register', 'admin_only')->save();
    }, fn ($s) => [config($s, 'user.settings', 'added', null, ['register' => 'visitors']) + ['flags' => ['registration_opened']],
        config($s, 'user.settings', 'updated', ['register' => 'visitors'], ['register' => 'admin_only'])]],
    'config: renamed' => [fn ($s) => $s->dispatcher->dispatch(
        new ConfigRenameEvent($s->container->get('config.factory')->get('user.flood'), 'old.name'),
        'config.rename'
    ), fn ($s) => [config($s, 'old.name', 'deleted', FLOOD, null), config($s, 'user.flood', 'added', null, FLOOD)]],
    'config: our own' => [fn ($s) => $s->container->get('config.factory')->getEditable('logystera.settings')->set('flush_every_s', 61)->save(),
        fn () => []],
    'an account' => [fn ($s) => \logystera_user_insert(new Account(9, 'alice')), fn ($s) => [user($s, 'created', 'authenticated', 'alice')]],
    'one with two roles' => [fn ($s) => \logystera_user_insert(new Account(9, 'alice', ['ed', 'au'])),
        fn ($s) => [user($s, 'created', 'ed', 'alice'), user($s, 'role_granted', 'au', 'alice')]],
    'another role' => [fn ($s) => \logystera_user_update(account('alice', ['ed'], ['au'])),
        fn ($s) => [user($s, 'role_revoked', 'ed', 'alice'), user($s, 'role_granted', 'au', 'alice')]],
    'the same roles' => [fn ($s) => \logystera_user_update(account('alice', ['ed'], ['ed'])), fn () => []],
    'another password and another address' => [fn ($s) => \logystera_user_update(account('alice', ['ed'], ['ed'], ['pass' => 'planted', 'mail' => 'p'])),
        fn ($s) => [user($s, 'password_changed', 'ed', 'alice'), user($s, 'email_changed', 'ed', 'alice')]],
    'a second factor is taken off' => [function ($s) {
        factor($s, 1, true);
        factor($s, 1, false);
        factor($s, 1, false);
    }, fn ($s) => [user($s, 'second_factor_off', 'boss', 'admin')]],
    'by throwing away what is kept of it' => [function ($s) {
        factor($s, 1, true);
        $s->container->get('user.data')->delete('tfa', 1);
        $s->container->get('user.data')->delete('tfa', 1);
    }, fn ($s) => [user($s, 'second_factor_off', 'boss', 'admin')]],
    'its name and others, of two accounts' => [function ($s) {
        factor($s, 1, true);
        factor($s, 2, true);
        $s->container->get('user.data')->delete(['other', 'tfa'], [1, 2, 3], ['x', 'tfa_user_settings']);
    }, fn ($s) => [user($s, 'second_factor_off', 'boss', 'admin'), user($s, 'second_factor_off', 'authenticated', 'gone')]],
    'another thing that is kept' => [function ($s) {
        factor($s, 1, true);
        $s->container->get('user.data')->delete('tfa', 1, 'tfa_totp_seed');
        $s->container->get('user.data')->set('other', 1, 'tfa_user_settings', ['status' => 0]);
    }, fn () => []],
    'the account goes, and with it all that is kept' => [function ($s) {
        factor($s, 1, true);
        $s->container->get('user.data')->delete(null, 1);
        $s->container->get('user.data')->delete('tfa');
    }, fn () => []],
    'another module says it' => [fn () => \logystera_logystera_second_factor_off(1), fn ($s) => [user($s, 'second_factor_off', 'boss', 'admin')]],
    'of nobody' => [fn () => \logystera_logystera_second_factor_off(77), fn () => []],
    'an account goes' => [fn ($s) => \logystera_user_delete(new Account(9, 'alice', ['ed'])), fn ($s) => [user($s, 'deleted', 'ed', 'alice')]],
    'modules and themes' => [function ($s) {
        $s->container->get('extension.list.module')->extensions = ['shop' => new Extension('8.x-1.2', 'modules/shop')];
        \logystera_modules_installed(['shop']);
        \logystera_modules_uninstalled(['shop']);
        \logystera_themes_installed(['nice']);
        \logystera_themes_uninstalled(['nice']);
    }, fn () => [
        component('module', 'shop', 'activated', ['to_version' => '8.x-1.2']),
        component('module', 'shop', 'deactivated', ['from_version' => '8.x-1.2']),
        component('theme', 'nice', 'activated'), component('theme', 'nice', 'deactivated'),
    ]],
];
