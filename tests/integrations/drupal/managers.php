<?php

/** Doubles of Drupal's plugin managers, of its cron, and of what they hand out. */

declare(strict_types=1);

namespace Logystera\Tests\Drupal;

use Drupal\Component\Plugin\Discovery\CachedDiscoveryInterface;
use Drupal\Core\Cache\CacheableDependencyInterface;
use Drupal\Core\CronInterface;
use Drupal\Core\Mail\MailManagerInterface;
use Drupal\Core\Queue\QueueWorkerInterface;
use Drupal\Core\Queue\QueueWorkerManagerInterface;
use Psr\Log\LoggerInterface;

/** Of plugin managers: what Drupal's default one is. */
class Manager implements CachedDiscoveryInterface, CacheableDependencyInterface
{
    /** @var array<string, self> the one that was made last, by class: the container keeps what is decorated to itself */
    public static array $last = [];
    public int $cleared = 0;
    public array $plugins = [];

    public function __construct()
    {
        self::$last[static::class] = $this;
    }

    public function getDefinition($plugin_id, $exception_on_invalid = true)
    {
        return ['id' => $plugin_id];
    }

    public function getDefinitions()
    {
        return array_map(static fn ($plugin) => ['cron' => ['time' => 1]], $this->plugins);
    }

    public function hasDefinition($plugin_id)
    {
        return isset($this->plugins[$plugin_id]);
    }

    public function createInstance($plugin_id, array $configuration = [])
    {
        return $this->plugins[$plugin_id];
    }

    public function getInstance(array $options)
    {
        return $this->plugins[$options['id'] ?? ''] ?? null;
    }

    public function clearCachedDefinitions()
    {
        $this->cleared++;
    }

    public function useCaches($use_caches = false)
    {
    }

    public function getCacheContexts()
    {
        return ['a context'];
    }

    public function getCacheTags()
    {
        return ['a tag'];
    }

    public function getCacheMaxAge()
    {
        return 7;
    }

    public function ownMethod(string $text): string
    {
        return "own $text";
    }
}

final class Mailer extends Manager implements MailManagerInterface
{
    /** `result` of the next mail, or what it throws. */
    public mixed $result = true;

    public function mail($module, $key, $to, $langcode, $params = [], $reply = null, $send = true)
    {
        if ($this->result instanceof \Throwable) {
            throw $this->result;
        }
        if ($module === 'logystera') {
            // As Drupal does, of each module that sends.
            $message = [];
            \logystera_mail($key, $message, $params);
        }
        return ['to' => $to, 'subject' => 'planted-subject', 'body' => ['planted-body']] + ($send ? ['result' => $this->result] : []);
    }
}

final class QueueManager extends Manager implements QueueWorkerManagerInterface
{
}

final class Worker implements QueueWorkerInterface
{
    public function __construct(private string $id, private ?\Throwable $fault = null)
    {
    }

    public function processItem($data)
    {
        return $this->fault === null ? null : throw $this->fault;
    }

    public function getPluginId()
    {
        return $this->id;
    }

    public function getPluginDefinition()
    {
        return [];
    }
}

/** Runs its jobs as Drupal's does: tells the log before each and after the last, and logs what one throws. */
final class Cron implements CronInterface
{
    public static ?self $last = null;
    /** @var array<string, callable> */
    public array $jobs = [];
    public bool $isLocked = false;
    public bool $isDetailed = true;
    /** @var array<int, array{0: string, 1: mixed}> queue and item */
    public array $items = [];

    public function __construct(private LoggerInterface $logger, private QueueWorkerManagerInterface $workers)
    {
        self::$last = $this;
    }

    public function run()
    {
        if ($this->isLocked) {
            return false;
        }
        $before = '';
        foreach ($this->jobs as $module => $job) {
            $this->detail(['@module' => $module] + ($before === '' ? [] : ['@module_previous' => $before]));
            $this->try($job);
            $before = $module;
        }
        $this->detail(['@module_previous' => $before]);
        foreach ($this->items as [$queue, $item]) {
            $this->try(fn () => $this->workers->createInstance($queue)->processItem($item));
        }
        return true;
    }

    private function detail(array $context): void
    {
        if ($this->isDetailed) {
            $this->logger->log(6, 'Starting', $context);
        }
    }

    private function try(callable $job): void
    {
        try {
            $job();
        } catch (\Exception $error) {
            $this->logger->log(3, '%type: @message', ['exception' => $error, '%type' => get_class($error), '%file' => __FILE__]);
        }
    }
}
