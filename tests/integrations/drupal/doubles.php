<?php

/** Doubles of what a Drupal has: as much as the module and the tests ask of it. */

declare(strict_types=1);

namespace Logystera\Tests\Drupal;

use Drupal\Component\Plugin\Discovery\CachedDiscoveryInterface;
use Drupal\Core\Config\BootstrapConfigStorageFactory;
use Drupal\Core\Config\ConfigCrudEvent;
use Drupal\Core\Config\ConfigEvents;
use Drupal\Core\Config\ConfigFactoryInterface;
use Drupal\Core\DrupalKernelInterface;
use Drupal\Core\Entity\EntityTypeManagerInterface;
use Drupal\Core\Flood\FloodInterface;
use Drupal\Core\Form\FormStateInterface;
use Drupal\Core\Lock\LockBackendInterface;
use Drupal\Core\Session\AccountInterface;
use Drupal\Core\State\StateInterface;
use GuzzleHttp\ClientInterface;
use Psr\Log\LoggerInterface;
use Symfony\Contracts\EventDispatcher\EventDispatcherInterface;

final class State implements StateInterface
{
    public array $values = [];

    public function get($key, $default = null)
    {
        return $this->values[$key] ?? $default;
    }

    public function set($key, $value)
    {
        $this->values[$key] = $value;
    }

    public function delete($key)
    {
        unset($this->values[$key]);
    }

    public function deleteMultiple(array $keys)
    {
        array_map([$this, 'delete'], $keys);
    }
}

/** Locks of this process; one that somebody else has is never free. */
final class Locks implements LockBackendInterface
{
    /** @var string[] */
    public array $held = [];

    public function acquire($name, $timeout = 30.0)
    {
        $isFree = !in_array($name, $this->held, true);
        $this->held[] = $name;
        return $isFree;
    }

    public function wait($name, $delay = 30)
    {
        return in_array($name, $this->held, true);
    }

    public function release($name)
    {
        $this->held = array_values(array_diff($this->held, [$name]));
    }
}

/** One configuration object, which tells of its saving as Drupal's does: the old data are still there then. */
final class Config
{
    private array $original;

    public function __construct(private string $name, private array $data, private ConfigFactory $factory)
    {
        $this->original = $data;
    }

    public function getName()
    {
        return $this->name;
    }

    public function get($key = '')
    {
        return $key === '' ? $this->data : ($this->data[$key] ?? null);
    }

    public function getOriginal($key = '', $apply_overrides = true)
    {
        return $key === '' ? $this->original : ($this->original[$key] ?? null);
    }

    public function getRawData()
    {
        return $this->data;
    }

    public function set($key, $value): self
    {
        $this->data[$key] = $value;
        return $this;
    }

    public function save(): self
    {
        $this->factory->write($this->name, $this->data);
        $this->factory->dispatcher->dispatch(new ConfigCrudEvent($this), ConfigEvents::SAVE);
        $this->original = $this->data;
        return $this;
    }

    public function delete(): self
    {
        $this->data = [];
        $this->factory->write($this->name, null);
        $this->factory->dispatcher->dispatch(new ConfigCrudEvent($this), ConfigEvents::DELETE);
        return $this;
    }
}

final class ConfigFactory implements ConfigFactoryInterface
{
    public function __construct(public EventDispatcherInterface $dispatcher)
    {
    }

    public function get($name)
    {
        return new Config($name, BootstrapConfigStorageFactory::$stored[$name] ?? [], $this);
    }

    public function getEditable($name)
    {
        return $this->get($name);
    }

    public function write(string $name, ?array $data): void
    {
        BootstrapConfigStorageFactory::$stored = array_filter(
            [$name => $data] + BootstrapConfigStorageFactory::$stored,
            static fn ($stored): bool => $stored !== null
        );
    }
}

final class Account implements AccountInterface
{
    public ?Account $original = null;
    /** Values of fields by name. */
    public array $fields = [];

    /** A field, as Drupal's entities have it. */
    public function get(string $name): object
    {
        return (object) ['value' => $this->fields[$name] ?? null];
    }

    public function __construct(public int $id, public string $name, public array $roles = [], public bool $isBlocked = false)
    {
    }

    public function id()
    {
        return $this->id;
    }

    public function getRoles($exclude_locked_roles = false)
    {
        return $exclude_locked_roles ? $this->roles : array_merge(['authenticated'], $this->roles);
    }

    public function hasPermission(string $permission)
    {
        return $this->id === 1;
    }

    public function isAuthenticated()
    {
        return $this->id > 0;
    }

    public function isBlocked()
    {
        return $this->isBlocked;
    }

    public function getAccountName()
    {
        return $this->name;
    }

    public function getPreferredLangcode()
    {
        return 'en';
    }
}

/** Entities of one type, users here. */
final class Users implements EntityTypeManagerInterface
{
    /** @var Account[] */
    public array $accounts = [];
    /** Whether the database is away. */
    public bool $isBroken = false;

    public function getStorage($entity_type_id)
    {
        if ($this->isBroken) {
            throw new \RuntimeException('planted');
        }
        return $this;
    }

    public function load($id)
    {
        return current(array_filter($this->accounts, static fn (Account $a): bool => $a->id === (int) $id)) ?: null;
    }

    public function loadByProperties(array $values)
    {
        // The database compares names without regard to case.
        $isNamed = static fn (Account $a): bool => strcasecmp($a->name, (string) $values['name']) === 0;
        return array_filter($this->accounts, $isNamed);
    }
}

final class Flood implements FloodInterface
{
    /** @var string[] names of events that are not allowed any more */
    public array $full = [];

    public function isAllowed($name, $threshold, $window = 3600, $identifier = null)
    {
        return !in_array($name, $this->full, true);
    }
}

final class FormState implements FormStateInterface
{
    public bool $isRebuilt = false;

    public function __construct(private array $values, private array $storage = [])
    {
    }

    public function getValue($key, $default = null)
    {
        return $this->values[$key] ?? $default;
    }

    public function get($property)
    {
        return $this->storage[$property] ?? null;
    }

    public function set($property, $value)
    {
        $this->storage[$property] = $value;
        return $this;
    }

    public function setRebuild($rebuild = true)
    {
        $this->isRebuilt = $rebuild;
        return $this;
    }
}

/** A channel of Drupal's log: adds its name, and hands on to all that are tagged `logger`. */
final class Channel implements LoggerInterface
{
    use \Psr\Log\LoggerTrait;

    /** @param LoggerInterface[] $loggers */
    public function __construct(private string $name, private iterable $loggers)
    {
    }

    public function log($level, string|\Stringable $message, array $context = []): void
    {
        foreach ($this->loggers as $logger) {
            $logger->log($level, $message, $context + ['channel' => $this->name]);
        }
    }
}

final class Kernel implements DrupalKernelInterface
{
    public int $invalidated = 0;

    public function invalidateContainer()
    {
        $this->invalidated++;
    }
}

/** What Drupal's cache clearer wants of each service that is called plugin.manager.*. */
final class CacheClearer
{
    /** @var CachedDiscoveryInterface[] */
    public array $all = [];

    public function addCachedDiscovery(CachedDiscoveryInterface $cached_discovery)
    {
        $this->all[] = $cached_discovery;
    }
}

final class Http implements ClientInterface
{
    /** @var array<int, array> options of each request */
    public array $requests = [];
    public ?\Throwable $fault = null;
    /** Of each answer. */
    public int $status = 202;

    public function request(string $method, $uri, array $options = [])
    {
        $this->requests[] = ['method' => $method, 'uri' => $uri] + $options;
        if ($this->fault !== null) {
            throw $this->fault;
        }
        return new class ($this->status) {
            public function __construct(private int $status)
            {
            }

            public function getStatusCode(): int
            {
                return $this->status;
            }

            public function getHeaderLine(string $name): string
            {
                return '';
            }

            public function getBody(): string
            {
                return (string) json_encode(['server_time' => (int) (microtime(true) * 1000), 'accepted' => 1]);
            }
        };
    }
}

/** A module or a theme, as its files say. */
final class Extension
{
    public array $info;

    public function __construct(string $version, private string $path)
    {
        $this->info = ['version' => $version];
    }

    public function getPath(): string
    {
        return $this->path;
    }

    public function getPathname(): string
    {
        return $this->path . '/' . $this->info['version'];
    }
}

/** A file's name says its version, where it says anything. */
final class InfoParser implements \Drupal\Core\Extension\InfoParserInterface
{
    public function parse($filename)
    {
        return basename($filename) === 'broken' ? throw new \RuntimeException('planted') : ['version' => basename($filename)];
    }
}

final class Modules implements \Drupal\Core\Extension\ModuleHandlerInterface
{
    /** What a module knows of a bot, if one does. */
    public mixed $bot = null;

    public function moduleExists($module)
    {
        return false;
    }

    public function alter($type, &$data, &$context1 = null, &$context2 = null)
    {
        if ($type === 'logystera_bot' && $this->bot !== null) {
            $data = is_callable($this->bot) ? ($this->bot)($context1) : $this->bot;
        }
    }
}

/** What modules keep of accounts. */
final class UserData implements \Drupal\user\UserDataInterface
{
    public array $kept = [];

    public function get($module, $uid = null, $name = null)
    {
        return $this->kept[$module][$uid][$name] ?? null;
    }

    public function set($module, $uid, $name, $value)
    {
        $this->kept[$module][$uid][$name] = $value;
    }

    public function delete($module = null, $uid = null, $name = null)
    {
        foreach ((array) $module as $one) {
            foreach ($uid === null ? array_keys($this->kept[$one] ?? []) : (array) $uid as $id) {
                if ($name === null) {
                    unset($this->kept[$one][$id]);
                }
                foreach ((array) $name as $key) {
                    unset($this->kept[$one][$id][$key]);
                }
            }
        }
    }

    public function ownMethod(string $text): string
    {
        return "own $text";
    }
}

/** An order, a payment or a way of paying of Drupal Commerce, and the event that carries it: by its methods. */
final class Commerce
{
    public ?Commerce $original = null;

    public function __construct(private readonly string $gateway = '', private readonly string $state = '', private readonly ?Commerce $carries = null)
    {
    }

    public function getOrder(): ?Commerce
    {
        return $this->carries;
    }

    public function getEntity(): ?Commerce
    {
        return $this->carries;
    }

    public function getPayment(): ?Commerce
    {
        return $this->carries;
    }

    public function hasField(string $name): bool
    {
        return $name === 'payment_gateway';
    }

    public function get(string $name): object
    {
        return (object) ['target_id' => $this->gateway === '' ? null : $this->gateway];
    }

    public function getPaymentGatewayId(): string
    {
        return $this->gateway;
    }

    public function getState(): self
    {
        return $this;
    }

    public function getId(): string
    {
        return $this->state;
    }
}

final class Renderer implements \Drupal\Core\Render\RendererInterface
{
    public function executeInRenderContext(\Drupal\Core\Render\RenderContext $context, callable $callable)
    {
        return $callable();
    }
}

final class Dates implements \Drupal\Core\Datetime\DateFormatterInterface
{
    public function format($timestamp, $type = 'medium', $format = '', $timezone = null, $langcode = null)
    {
        return gmdate($format === '' ? 'Y-m-d H:i' : $format, $timestamp);
    }

    public function formatTimeDiffSince($timestamp, $options = [])
    {
        return (time() - $timestamp) . ' s';
    }
}
