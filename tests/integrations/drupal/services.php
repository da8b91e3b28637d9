<?php

/** Doubles of the services that a Drupal has besides its state: modules, logs, HTTP, a shop. */

declare(strict_types=1);

namespace Logystera\Tests\Drupal;

use Drupal\Component\Plugin\Discovery\CachedDiscoveryInterface;
use Drupal\Core\DrupalKernelInterface;
use GuzzleHttp\ClientInterface;
use Psr\Log\LoggerInterface;

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
