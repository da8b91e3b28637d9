<?php

/** What the module does in its container: the table, switches, agreement, leaks, decorators, sending, looking. */

declare(strict_types=1);

namespace Logystera\Tests\Drupal;

use Drupal\Component\Plugin\Discovery\CachedDiscoveryInterface;
use Drupal\Core\Extension\ExtensionDiscovery;
use Drupal\Core\Mail\MailManagerInterface;
use Drupal\Core\Queue\QueueWorkerManagerInterface;
use Drupal\Core\Site\Settings as SiteSettings;
use Drupal\logystera\Settings;
use Logystera\Flushed;
use Logystera\Loopback;
use Symfony\Component\HttpFoundation\RedirectResponse;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpKernel\Event\RequestEvent;
use Symfony\Component\HttpKernel\KernelEvents;

use function Logystera\Tests\same;

const MODULE = LOGYSTERA_MODULE;

/** Does each row on a site of its own, and gives name => signals. */
function done(array $off = [], bool $isAgreed = true): array
{
    $found = [];
    foreach (require __DIR__ . '/rows.php' as $name => [$act, $expected]) {
        $site = new Site(MODULE, $off, $isAgreed);
        $act($site);
        $found[$name] = [$site->signals(), $expected($site), $site];
        $site->remove();
    }
    return $found;
}

/** What is left of the expected signals where some types are off. */
function without(array $signals, array $off): array
{
    return array_values(array_filter($signals, static fn (array $signal): bool => !in_array($signal['type'], $off, true)));
}

/** Bytes as they are, or what they are packed of; a file of the spool has its guard before them. */
function unpacked(string $bytes): string
{
    $begin = strpos($bytes, "\x1f\x8b");
    return $begin === false ? $bytes : $bytes . gzdecode(substr($bytes, $begin));
}

return [
    'each action makes exactly its signals' => static function (): void {
        $rows = done();
        foreach ($rows as $name => [$found, $expected]) {
            same($expected, $found, $name);
        }
        $types = array_unique(array_merge(...array_map(static fn (array $row): array => array_column($row[0], 'type'), array_values($rows))));
        // Scripts among the files have a test of their own.
        same([], array_values(array_diff(Settings::TYPES, $types, ['file.edit'])), 'types that no row has');
        echo '        ', count($rows), " actions\n";
    },
    'a type that is off has no service and no signal, and the others theirs' => static function (): void {
        foreach (Settings::TYPES as $type) {
            foreach (done([$type]) as $name => [$found, $expected, $site]) {
                same(without($expected, [$type]), $found, "$name without $type");
            }
            foreach ((new Site(MODULE))->container->findTaggedServiceIds('logystera.source') as $id => $tags) {
                same($tags[0]['type'] !== $type, $site->container->has($id), "$id without $type");
            }
        }
    },
    'nothing happens before an administrator agrees' => static function (): void {
        foreach (done([], false) as $name => [$found, , $site]) {
            same([], $found, $name);
            same(false, isset($site->state->values['logystera.spool']), "$name: a folder");
        }
        same([], $site->container->findTaggedServiceIds('logystera.source'), 'services');
        same(Mailer::class, get_class($site->container->get('plugin.manager.mail')), 'the mail manager');
        same(Flushed::IDLE, $site->container->get('logystera.runtime')->background()->outcome, 'cron');
    },
    'an agreement with another gateway is none, whatever the container has' => static function (): void {
        $site = new Site(MODULE);
        $site->state->values['logystera.consent']['gateway'] = 'other.example';
        $site->request(Request::create('/x'));
        \logystera_user_insert(new Account(9, 'alice'));
        same([], $site->signals(), 'signals');
        $site->remove();
    },
    'a site whose state lies elsewhere has the services, and records nothing without an agreement' => static function (): void {
        $site = new Site(MODULE, [], false);
        \Drupal\Core\Database\Database::$answers = null;
        $other = new \Drupal\Core\DependencyInjection\ContainerBuilder();
        $other->setParameter('factory.keyvalue', ['default' => 'keyvalue.redis']);
        $other->register('a', \stdClass::class)->addTag('logystera.source', ['type' => 'http.request']);
        (new \Drupal\logystera\LogysteraServiceProvider())->alter($other);
        same(true, $other->has('a'), 'elsewhere');
        $other->setParameter('factory.keyvalue', []);
        (new \Drupal\logystera\LogysteraServiceProvider())->alter($other);
        same(false, $other->has('a'), 'no table');
        $site->remove();
    },
    'nothing that was planted is found on disk' => static function (): void {
        foreach (require __DIR__ . '/rows.php' as $name => [$act]) {
            $site = new Site(MODULE);
            $act($site);
            $site->container->get('logystera.runtime')->background(1000, true);
            $site->end();
            foreach ($site->bytes() as $file => $bytes) {
                // The shapes of messages stay on the site, where hashes are looked up.
                $sought = preg_match('/meanings|lookup/', (string) $file) === 1 ? ['planted-', '@example'] : ['planted', '@example', Site::SECRET];
                foreach ($sought as $text) {
                    same(false, strpos(unpacked($bytes), $text), "$name: $text in $file");
                }
            }
            foreach ($site->http->requests as $sent) {
                same(false, strpos(unpacked($sent['body']) . implode(' ', $sent['headers']), 'planted'), "$name: sent");
            }
            $site->remove();
        }
    },
    'decorators are what Drupal takes them for, and hand on the rest' => static function (): void {
        $site = new Site(MODULE);
        [$mail, $queues] = [$site->container->get('plugin.manager.mail'), $site->container->get('plugin.manager.queue_worker')];
        same([true, true], [$mail instanceof MailManagerInterface, $queues instanceof QueueWorkerManagerInterface], 'interfaces');
        $clearer = $site->container->get('plugin.cache_clearer');
        same([$mail, $queues], $clearer->all, 'what the cache clearer clears');
        array_map(static fn (CachedDiscoveryInterface $manager) => $manager->clearCachedDefinitions(), $clearer->all);
        same(1, mailer($site)->cleared, 'cleared');
        same([['a context'], ['a tag'], 7], [$mail->getCacheContexts(), $mail->getCacheTags(), $mail->getCacheMaxAge()], 'cacheability');
        same('own x', $mail->ownMethod('x'), 'a method of its own');
        $data = $site->container->get('user.data');
        $data->set('other', 1, 'x', 'kept');
        same([true, 'kept', 'own x'], [$data instanceof \Drupal\user\UserDataInterface, $data->get('other', 1, 'x'), $data->ownMethod('x')], 'data');
        same('planted-subject', $mail->mail('a', 'b', 'c', 'en')['subject'], 'what mail() gives');
        $site->remove();
    },
    'the answer of cron is handed on' => static function (): void {
        $site = new Site(MODULE);
        same(true, cron($site, []), 'done');
        bareCron($site)->isLocked = true;
        same(false, $site->container->get('cron')->run(), 'locked');
        $site->remove();
    },
    'a request that is answered before anybody has looked at it is told' => static function (): void {
        $site = new Site(MODULE);
        // As Drupal does with two slashes in a path.
        $answer = static fn (RequestEvent $event) => $event->setResponse(new RedirectResponse('/x/y'));
        $site->dispatcher->addListener(KernelEvents::REQUEST, $answer, 1000);
        $site->request(Request::create('/x//y'));
        same([302], array_column($site->signals(), 'status'), 'told');
        $site->remove();
    },
    'cron is not late where it was never run yet' => static function (): void {
        $site = new Site(MODULE);
        $late = static function (array $values) use ($site): bool {
            $site->state->values = $values;
            return $site->container->get('logystera.status')->isCronLate();
        };
        same([true, false, true, false], [
            $late([]), $late(['install_time' => time() - 60]), $late(['install_time' => time() - 99999]),
            $late(['install_time' => time() - 99999, 'system.cron_last' => time() - 60]),
        ], 'late');
        $site->remove();
    },
    'cron sends, over HTTPS that is checked, and follows nobody' => static function (): void {
        $site = new Site(MODULE);
        $site->request(Request::create('/x'));
        \logystera_cron();
        [$sent] = $site->http->requests;
        same(['POST', 'https://gateway.example/v1/batches'], [$sent['method'], $sent['uri']], 'where');
        same([false, true, false, false], [$sent['allow_redirects'], $sent['verify'], $sent['http_errors'], $sent['decode_content']], 'how');
        $body = json_decode($sent['body'][0] === '{' ? $sent['body'] : (string) gzdecode($sent['body']), true);
        same('drupal', $body['integration']['platform'], 'platform');
        same(array_merge(Settings::TYPES, ['integration.dropped']), $body['integration']['enabled'], 'enabled');
        same(['http.request'], array_column($body['signals'], 'type'), 'signals');
        $grammar = '/^v1 site=shop,key=k1,ts=\d+,batch=[0-9a-f]{16}\.1,sig=[0-9a-f]{64}$/D';
        same(1, preg_match($grammar, $sent['headers']['Logystera-Signature']), 'signature');
        $site->http->fault = new class ('no route') extends \RuntimeException implements \GuzzleHttp\Exception\GuzzleException {
        };
        same(Flushed::FAILED, $site->container->get('logystera.runtime')->flush(1000, true)->outcome, 'a gateway that is away');
        $site->remove();
    },
    'the request of the site to itself wants a token' => static function (): void {
        $site = new Site(MODULE);
        $kick = \Drupal\logystera\Controller\Kick::create($site->container);
        same(403, $kick->serve(Request::create('/logystera/kick', 'POST', ['token' => 'planted']))->getStatusCode(), 'wrong');
        same(403, $kick->serve(Request::create('/logystera/kick', 'POST', ['token' => ['a']]))->getStatusCode(), 'a list');
        same([], $site->http->requests, 'nothing is sent');
        $token = Loopback::token((string) hex2bin(Site::KEY));
        same(204, $kick->serve(Request::create('/logystera/kick', 'POST', ['token' => $token]))->getStatusCode(), 'right');
        same(1, count($site->http->requests), 'sent');
        $site->remove();
    },
    'what comes and goes behind Drupal\'s back is found, once' => static function (): void {
        $site = new Site(MODULE);
        $look = static fn () => $site->container->get('logystera.watch')->look(true);
        $files = &ExtensionDiscovery::$files;
        $files['module'] = ['node' => new Extension('10.3.0', 'core/modules/node'), 'shop' => new Extension('1.0', 'modules/shop'),
            'odd' => new Extension('broken', 'modules/odd')];
        $look();
        same([], $site->signals(), 'the first look remembers');
        $files['module'] = ['node' => new Extension('10.3.1', 'core/modules/node'), 'shop' => new Extension('1.1', 'modules/shop'),
            'odd' => new Extension('broken', 'modules/odd')];
        $folder = "$site->root/sites/default/files";
        mkdir("$folder/php/twig", 0700, true);
        file_put_contents("$folder/php/twig/made.php", '<?php');
        file_put_contents("$folder/a.phtml", '<?php eval(base64_decode("planted"));');
        file_put_contents("$folder/a.txt", '<?php');
        SiteSettings::$values['hash_salt'] = 'planted-other';
        // However much else the same request hashed.
        same(null, $site->container->get('logystera.runtime')->emitter('config.change')->value('x', str_repeat('x', 300000)));
        $look();
        same([
            component('module', 'shop', 'updated', ['from_version' => '1.0', 'to_version' => '1.1', 'direction' => 'up']),
            ['type' => 'config.change', 'key' => 'settings.hash_salt', 'action' => 'updated',
                'before_hash' => $site->hash('value', 'planted-salt'), 'after_hash' => $site->hash('value', 'planted-other')],
            ['type' => 'file.edit', 'path' => '/sites/default/files/a.phtml', 'size_delta' => 37, 'heuristics' => ['php_in_uploads', 'obfuscated']],
        ], $site->signals(), 'the second tells');
        $look();
        same([], $site->signals(), 'and no third');
        $site->state->values['logystera.watch']['core'] = '10.2.9';
        $files['module'] = [];
        $look();
        same([
            component('module', 'shop', 'deleted', ['from_version' => '1.1']),
            component('module', 'odd', 'deleted'),
            component('core', 'drupal', 'updated', ['from_version' => '10.2.9', 'to_version' => \Drupal::VERSION, 'direction' => 'up']),
        ], $site->signals(), 'a new core');
        $site->remove();
    },
    'Drupal\'s own files are told when they change, and a new version is learnt' => static function (): void {
        $site = new Site(MODULE);
        // On a busy machine a pass may take several slices.
        $look = static function () use ($site): void {
            $integrity = $site->container->get('logystera.runtime')->site()->integrity();
            for ($end = $integrity->passes() + 1, $slices = 0; $integrity->passes() < $end && $slices < 100; $slices++) {
                $site->container->get('logystera.watch')->look(true);
            }
        };
        $put = static function (string $name, string $text) use ($site): void {
            is_dir(dirname("$site->root/$name")) || mkdir(dirname("$site->root/$name"), 0700, true);
            file_put_contents("$site->root/$name", $text);
        };
        $edit = static fn (string $path, int $bytes, string ...$found): array
            => ['type' => 'file.edit', 'path' => $path, 'size_delta' => $bytes, 'heuristics' => $found];
        $put('core/lib/Drupal.php', "<?php const VERSION = '10.3.0';");
        $put('core/includes/install.inc', '<?php');
        $look();
        same([], $site->signals(), 'learnt');
        $put('core/includes/install.inc', '<?php x();');
        $put('core/lib/evil.php', '<?php');
        $put('evil.php', '<?php');
        $put('sites/default/settings.php', '<?php');
        $look();
        same([
            $edit('/sites/default/settings.php', 5), $edit('/evil.php', 5, 'core_file'), $edit('/core/includes/install.inc', 5, 'core_file'),
            $edit('/core/lib/evil.php', 5, 'core_file'),
        ], $site->signals(), 'told');
        $put('core/lib/Drupal.php', "<?php const VERSION = '10.3.1';");
        $put('core/lib/evil.php', '<?php update();');
        $look();
        same([], $site->signals(), 'a new version');
        unlink("$site->root/core/lib/evil.php");
        $look();
        same([$edit('/core/lib/evil.php', -15, 'core_file')], $site->signals(), 'and what goes afterwards');
        $site->remove();
    },
    'the page of help says where to begin, and others are left alone' => static function (): void {
        $site = new Site(MODULE);
        $help = (string) \logystera_help('help.page.logystera', null);
        same(1, preg_match('~^<p>[^<]*Configuration, System, Logystera[^<]*never sends|^<p>[^<]*never sends[^<]*Configuration~', $help), $help);
        same(null, \logystera_help('help.page.node', null), 'another module');
        $site->remove();
    },
    'another set of types has the container built anew, another interval has not' => static function (): void {
        $site = new Site(MODULE);
        $settings = $site->container->get('logystera.settings');
        $settings->save(Settings::TYPES, 120);
        same(0, $site->kernel->invalidated, 'the same types');
        $settings->save(['http.request'], 120);
        same(1, $site->kernel->invalidated, 'others');
        same(['http.request'], $settings->typesOn(), 'on');
        same(['off' => array_values(array_diff(Settings::TYPES, ['http.request'])), 'flush_every_s' => 120],
            \Drupal\Core\Config\BootstrapConfigStorageFactory::$stored['logystera.settings'], 'what is exported');
        $site->remove();
    },
    'the DSN of settings.php goes before the one of the form, and http is refused' => static function (): void {
        $site = new Site(MODULE);
        $settings = $site->container->get('logystera.settings');
        same(false, $settings->isDsnFixed(), 'from the form');
        SiteSettings::$values['logystera_dsn'] = str_replace('gateway.', 'fixed.', Site::DSN);
        same([true, 'fixed.example'], [$settings->isDsnFixed(), $settings->dsn()->host()], 'from settings.php');
        same(false, $settings->isAgreed($settings->dsn()), 'another gateway needs another agreement');
        SiteSettings::$values['logystera_dsn'] = str_replace('https:', 'http:', Site::DSN);
        same(null, $settings->dsn(), 'http');
        unset(SiteSettings::$values['logystera_dsn']);
        putenv('LOGYSTERA_DSN=' . str_replace('gateway.', 'env.', Site::DSN));
        same('env.example', $settings->dsn()->host(), 'from the environment');
        putenv('LOGYSTERA_DSN');
        $site->remove();
    },
    'a folder that takes nothing is a failure everywhere, and what is lost is counted and told later' => static function (): void {
        $site = new Site(MODULE);
        $runtime = $site->container->get('logystera.runtime');
        $site->request(Request::create('/x'));
        $runtime->background(1000, true);
        // Where a file has its name, the folder cannot be made anew.
        $files = "$site->root/sites/default/files";
        exec('rm -rf ' . escapeshellarg($files));
        touch($files);
        $site->compile();
        $runtime = $site->container->get('logystera.runtime');
        $status = $site->container->get('logystera.status');
        for ($i = 0; $i < 3; $i++) {
            \logystera_user_insert(new Account(9 + $i, "planted$i"));
        }
        same(3, $site->state->values['logystera.lost']['user.change|disk'][0] ?? 0, 'counted');
        same([Flushed::UNWRITABLE, Flushed::UNWRITABLE], [$runtime->background(1000)->outcome, $runtime->flush(1000, true)->outcome]);
        same(true, str_contains(implode(' ', array_map('strval', $status->problems())), 'cannot be written'), 'the status report');
        unlink($files);
        $site->compile();
        $site->container->get('logystera.runtime')->background(1000, true);
        $sent = end($site->http->requests)['body'];
        $body = json_decode($sent[0] === '{' ? $sent : (string) gzdecode($sent), true);
        $told = array_filter($body['signals'], static fn (array $s): bool => $s['type'] === 'integration.dropped');
        same([['user.change', 3, 'disk']], array_map(static fn (array $s): array => [$s['dropped_type'], $s['count'], $s['reason']],
            array_values($told)), 'told');
        same(false, isset($site->state->values['logystera.lost']), 'and forgotten');
        $site->remove();
    },
    'who runs the site is told of, however many accounts came before' => static function (): void {
        $site = new Site(MODULE);
        for ($i = 10; $i < 520; $i++) {
            \logystera_user_insert(new Account($i, "u$i"));
        }
        $site->end();
        $site->signals();
        \logystera_user_insert(new Account(9, 'other'));
        \logystera_user_insert(new Account(1, 'boss', ['boss']));
        $site->end();
        same([$site->hash('user', 'boss')], array_column($site->signals(), 'user_hash'), 'the account with the right');
        $site->remove();
    },
    'an agreement is taken back by its tick, after a question, and another gateway is agreed to anew' => static function (): void {
        $site = new Site(MODULE, [], false);
        $say = static function (array $values, string $does = 'submitForm') use ($site): string {
            $site->compile();
            $form = \Drupal\logystera\Form\SettingsForm::create($site->container);
            $built = $form->buildForm([], new FormState([]));
            $form->$does($built, new FormState($values + ['types' => array_combine(Settings::TYPES, Settings::TYPES), 'flush_every_s' => 60]));
            return implode(' ', $form->said);
        };
        $agreed = static fn (): string => (string) ($site->state->values['logystera.consent']['gateway'] ?? '');
        $other = str_replace('gateway.', 'other.', Site::DSN);
        same([true, ''], [str_contains($say([]), 'until you agree'), $agreed()], 'no tick');
        same([true, 'gateway.example'], [str_contains($say(['agree' => 1]), 'Events are recorded'), $agreed()], 'a tick');
        same([true, ''], [str_contains($say(['dsn' => $other, 'agree' => 1]), 'another service'), $agreed()], 'the tick that stood there');
        same([true, 'other.example'], [str_contains($say(['agree' => 1]), 'Events are recorded'), $agreed()], 'anew');
        same([true, 'other.example'], [str_contains($say([]), 'take the agreement back'), $agreed()], 'the tick taken away');
        same([true, 'other.example'], [str_contains($say([], 'withdraw'), 'take the agreement back'), $agreed()], 'the button');
        same([true, ''], [str_contains($say(['sure' => 1], 'withdraw'), 'Nothing is recorded'), $agreed()], 'yes');
        $site->remove();
    },
    'a request that a fatal error ends sends what has waited, once in ten seconds and not for long' => static function (): void {
        $site = new Site(MODULE);
        $runtime = $site->container->get('logystera.runtime');
        $runtime->emitter('http.request');
        $site->request(Request::create('/x'));
        $runtime->sendAfterFatal();
        same(1, count($site->http->requests), 'a heartbeat is due, and the signal with it');
        same(true, $site->http->requests[0]['timeout'] <= 1.5, 'not for long');
        $site->request(Request::create('/y'));
        $runtime->write();
        $runtime->sendAfterFatal();
        same(1, count($site->http->requests), 'once in ten seconds');
        $site->remove();
    },
    'no fault of ours ends what others do, and each is counted' => static function (): void {
        $site = new Site(MODULE);
        $log = ini_set('error_log', "$site->root/log");
        $site->users->isBroken = true;
        form($site, 'admin', 'planted-password', []);
        basic($site, 'admin', false);
        link($site, '/user/password');
        rest($site, '{"name":"admin","pass":"planted-password"}', new \Symfony\Component\HttpKernel\Exception\BadRequestHttpException('Sorry'));
        $strange = new class (9, 'x') extends \ArrayObject implements \Drupal\Core\Session\AccountInterface {
            public function __construct()
            {
            }

            public function __call(string $name, array $arguments): mixed
            {
                throw new \Error('planted');
            }

            public function id()
            {
                throw new \Error('planted');
            }

            public function getRoles($exclude_locked_roles = false)
            {
                throw new \Error('planted');
            }

            public function hasPermission(string $permission)
            {
                throw new \Error('planted');
            }

            public function isAuthenticated()
            {
                throw new \Error('planted');
            }

            public function getAccountName()
            {
                throw new \Error('planted');
            }
        };
        \logystera_user_insert($strange);
        \logystera_user_delete($strange);
        \logystera_user_login($strange);
        $site->end();
        $storage = new \Logystera\FileStorage($site->state->values['logystera.spool']['folder']);
        $dropped = array_map(static fn (array $count): int => $count[0], (new \Logystera\Drops($storage))->untold(0)['counts']);
        same([true, 2], [$dropped['auth.attempt|refused'] >= 4 && $dropped['auth.attempt|refused'] <= 9, $dropped['user.change|refused']], json_encode($dropped));
        same(1, substr_count((string) file_get_contents("$site->root/log"), 'logystera:'), 'told once');
        same(false, str_contains((string) file_get_contents("$site->root/log"), 'planted'), 'without its message');
        ini_set('error_log', (string) $log);
        $site->remove();
    },
    'what was left in another folder is sent from there, and the folder goes' => static function (): void {
        $site = new Site(MODULE);
        $runtime = $site->container->get('logystera.runtime');
        $runtime->background(1000, true);
        $left = "$site->root/sites/default/files/logystera-left";
        mkdir($left);
        $clock = new \Logystera\SystemClock();
        $spool = new \Logystera\Spool(new \Logystera\FileStorage($left), $clock);
        $spool->append([[$clock->nowMs(), ['type' => 'cron.run', 'job' => 'left', 'outcome' => 'ok']]]);
        $site->state->values['logystera.spool']['left'] = [$left];
        $runtime->background(1000, true);
        $bodies = array_map(static fn (array $sent): string => unpacked($sent['body']), $site->http->requests);
        same(1, count(array_filter($bodies, static fn (string $body): bool => str_contains($body, '"job":"left"'))), 'sent');
        same([false, []], [is_dir($left), $site->state->values['logystera.spool']['left']], 'gone');
        $site->remove();
    },
];
