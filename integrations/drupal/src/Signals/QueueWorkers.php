<?php

declare(strict_types=1);

namespace Drupal\logystera\Signals;

use Drupal\Component\Plugin\Discovery\CachedDiscoveryInterface;
use Drupal\Component\Plugin\PluginManagerInterface;
use Drupal\Core\Cache\CacheableDependencyInterface;
use Drupal\Core\Queue\QueueWorkerInterface;
use Drupal\Core\Queue\QueueWorkerManagerInterface;

/**
 * Hands out workers of queues that say how their items ended.
 */
final class QueueWorkers implements QueueWorkerManagerInterface, CachedDiscoveryInterface, CacheableDependencyInterface {
  use Delegates {
    createInstance as private createBare;
  }

  public function __construct(private readonly PluginManagerInterface $inner, private readonly CronJobs $jobs) {
  }

  /**
   * {@inheritdoc}
   */
  public function createInstance($plugin_id, array $configuration = []) {
    $worker = $this->createBare($plugin_id, $configuration);
    return $worker instanceof QueueWorkerInterface ? new QueueWorker($worker, $this->jobs) : $worker;
  }

  /**
   * The manager that is decorated.
   */
  protected function manager(): PluginManagerInterface {
    return $this->inner;
  }

}
