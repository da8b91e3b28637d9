<?php

/** A site of doubles around the module's own services file, in a real container of Symfony. */

declare(strict_types=1);

namespace Logystera\Tests\Drupal;

use Drupal\Component\Plugin\Discovery\CachedDiscoveryInterface;
use Drupal\Core\Config\BootstrapConfigStorageFactory;
use Drupal\Core\Database\Database;
use Drupal\Core\DependencyInjection\ContainerBuilder;
use Drupal\Core\Extension\ExtensionDiscovery;
use Drupal\Core\Extension\ModuleExtensionList;
use Drupal\Core\Extension\ThemeExtensionList;
use Drupal\Core\Site\Settings;
use Drupal\logystera\LogysteraServiceProvider;
use Logystera\Hasher;
use Logystera\Spool;
use Symfony\Component\Config\FileLocator;
use Symfony\Component\DependencyInjection\Argument\TaggedIteratorArgument;
use Symfony\Component\DependencyInjection\Loader\YamlFileLoader;
use Symfony\Component\DependencyInjection\Reference;
use Symfony\Component\EventDispatcher\EventDispatcher;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\RequestStack;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\HttpKernel\Controller\ArgumentResolver;
use Symfony\Component\HttpKernel\Controller\ControllerResolver;
use Symfony\Component\HttpKernel\Event\RequestEvent;
use Symfony\Component\HttpKernel\HttpKernel;
use Symfony\Component\HttpKernel\KernelEvents;

final class Site
{
    public const DSN = 'https://shop.k1:' . self::SECRET . '@gateway.example/v1/batches?audience=test';
    public const SECRET = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f';
    public const KEY = '202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f';
    public const NETWORK = '192.0.2.0/24';
    public const ADDRESS = '192.0.2.7';

    public State $state;
    public Users $users;
    public Flood $flood;
    public Http $http;
    public Kernel $kernel;
    public Account $currentUser;
    public ContainerBuilder $container;
    public EventDispatcher $dispatcher;
    public string $root;
    private int $seen = 0;

    /** @param string[] $off types that are switched off */
    public function __construct(public readonly string $module, array $off = [], bool $isAgreed = true)
    {
        // Beside the module, in the folder that goes when the tests end.
        $this->root = dirname($module) . '/site-' . bin2hex(random_bytes(6));
        mkdir("$this->root/sites/default/files", 0700, true);
        $this->state = new State();
        [$this->users, $this->flood, $this->http, $this->kernel] = [new Users(), new Flood(), new Http(), new Kernel()];
        $this->currentUser = new Account(0, '');
        $this->users->accounts = [new Account(1, 'admin', ['boss']), new Account(2, 'gone', [], true)];
        $this->state->values = ['logystera.key' => self::KEY, 'logystera.dsn' => self::DSN, 'system.cron_last' => time()];
        if ($isAgreed) {
            $this->state->values['logystera.consent'] = ['gateway' => 'gateway.example', 'at' => 1, 'by' => 1];
        }
        Settings::$values = ['hash_salt' => 'planted-salt'];
        BootstrapConfigStorageFactory::$stored = [
            'logystera.settings' => ['off' => $off, 'flush_every_s' => 60],
            'system.mail' => ['interface' => ['default' => 'php_mail', 'other' => 'symfony_mailer', 'other_smtp' => 'SMTPMailSystem'],
                'mailer_dsn' => ['scheme' => 'smtp']],
            'user.flood' => FLOOD,
        ];
        $_SERVER['REMOTE_ADDR'] = self::ADDRESS;
        ExtensionDiscovery::$files = [];
        $this->compile();
    }

    /** Builds the container, as Drupal does when there is none or it is not valid any more. */
    public function compile(): void
    {
        Database::$answers = fn (string $text, array $arguments) => isset($this->state->values[$arguments[':name']]) ? '1' : false;
        $this->container = $container = new ContainerBuilder();
        $container->setParameter('app.root', $this->root);
        $container->setParameter('site.path', 'sites/default');
        $container->setParameter('container.modules', ['user' => [], 'basic_auth' => []]);
        $container->setParameter('factory.keyvalue', []);
        $this->drupal($container);
        (new YamlFileLoader($container, new FileLocator($this->module)))->load('logystera.services.yml');
        (new LogysteraServiceProvider())->alter($container);
        foreach ($container->getDefinitions() as $id => $definition) {
            // Drupal's loader makes services public.
            $definition->setPublic(true);
            if (str_starts_with($id, 'plugin.manager.') && is_subclass_of($definition->getClass(), CachedDiscoveryInterface::class)) {
                $container->getDefinition('plugin.cache_clearer')->addMethodCall('addCachedDiscovery', [new Reference($id)]);
            }
            if ($definition->hasTag('event_subscriber')) {
                $container->getDefinition('event_dispatcher')->addMethodCall('addSubscriber', [new Reference($id)]);
            }
        }
        $container->compile();
        foreach (['state' => $this->state, 'flood' => $this->flood, 'http_client' => $this->http, 'kernel' => $this->kernel,
            'entity_type.manager' => $this->users, 'current_user' => $this->currentUser] as $id => $double) {
            $container->set($id, $double);
        }
        \Drupal::$container = $container;
        $this->dispatcher = $container->get('event_dispatcher');
        // Hooks are called while a request is answered.
        $container->get('request_stack')->push(Request::create('/', 'GET', [], [], [], ['REMOTE_ADDR' => self::ADDRESS]));
    }

    private function drupal(ContainerBuilder $container): void
    {
        $container->register('event_dispatcher', EventDispatcher::class);
        $container->register('request_stack', RequestStack::class);
        $container->register('config.factory', ConfigFactory::class)->addArgument(new Reference('event_dispatcher'));
        $container->register('extension.list.module', ModuleExtensionList::class);
        $container->register('extension.list.theme', ThemeExtensionList::class);
        $container->register('info_parser', InfoParser::class);
        $container->register('lock', Locks::class);
        $container->register('module_handler', Modules::class);
        $container->register('user.data', UserData::class);
        $container->register('date.formatter', Dates::class);
        $container->register('renderer', Renderer::class);
        $container->register('plugin.manager.mail', Mailer::class);
        $container->register('plugin.manager.queue_worker', QueueManager::class);
        $container->register('plugin.cache_clearer', CacheClearer::class);
        foreach (['cron', 'php', 'other'] as $channel) {
            $container->register("logger.channel.$channel", Channel::class)->setArguments([$channel, new TaggedIteratorArgument('logger')]);
        }
        $container->register('cron', Cron::class)
            ->setArguments([new Reference('logger.channel.cron'), new Reference('plugin.manager.queue_worker')]);
        foreach (['state', 'flood', 'http_client', 'kernel', 'entity_type.manager', 'current_user'] as $id) {
            $container->register($id, \stdClass::class)->setSynthetic(true);
        }
    }

    /**
     * Answers a request with Symfony's kernel, and ends it.
     *
     * @param array<string, mixed> $attributes what routing finds
     * @param callable|null $serve makes the answer
     */
    public function request(Request $request, array $attributes = [], ?callable $serve = null): Response
    {
        $kernel = new HttpKernel(
            $this->dispatcher,
            new ControllerResolver(),
            $this->container->get('request_stack'),
            new ArgumentResolver()
        );
        $request->server->set('REMOTE_ADDR', self::ADDRESS);
        $route = static function (RequestEvent $event) use ($attributes, $serve): void {
            $event->getRequest()->attributes->add($attributes + ['_controller' => $serve ?? static fn () => new Response('done')]);
        };
        $this->dispatcher->addListener(KernelEvents::REQUEST, $route, 32);
        try {
            $response = $kernel->handle($request);
            $kernel->terminate($request, $response);
        } finally {
            $this->dispatcher->removeListener(KernelEvents::REQUEST, $route);
        }
        return $response;
    }

    /** As the process ends: what is left is told. */
    public function end(): void
    {
        $this->container->get('logystera.runtime')->end();
    }

    /** Signals on disk since the last call, without their times and durations. */
    public function signals(): array
    {
        $folder = $this->state->values['logystera.spool']['folder'] ?? '';
        $text = is_file("$folder/open.php") ? substr((string) file_get_contents("$folder/open.php"), strlen(Spool::GUARD)) : '';
        $signals = [];
        foreach (array_slice(explode("\n", $text), 1) as $line) {
            $signal = json_decode((string) strstr($line, '{'), true);
            if (is_array($signal)) {
                unset($signal['at'], $signal['duration_ms']);
                $signals[] = $signal;
            }
        }
        $new = array_slice($signals, $this->seen);
        $this->seen = count($signals);
        return $new;
    }

    /** All bytes below the site's folder, by file. */
    public function bytes(): array
    {
        $all = new \RecursiveIteratorIterator(new \RecursiveDirectoryIterator($this->root, \FilesystemIterator::SKIP_DOTS));
        return array_map(static fn (\SplFileInfo $file): string => (string) file_get_contents((string) $file), iterator_to_array($all));
    }

    public function hash(string $kind, string $value): string
    {
        return (new Hasher((string) hex2bin(self::KEY)))->hash($kind, $value);
    }

    public function remove(): void
    {
        $all = new \RecursiveIteratorIterator(
            new \RecursiveDirectoryIterator($this->root, \FilesystemIterator::SKIP_DOTS),
            \RecursiveIteratorIterator::CHILD_FIRST
        );
        foreach ($all as $file) {
            $file->isDir() ? rmdir((string) $file) : unlink((string) $file);
        }
        rmdir($this->root);
    }
}
