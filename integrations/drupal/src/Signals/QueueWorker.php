<?php

declare(strict_types=1);

namespace Drupal\logystera\Signals;

use Drupal\Core\Queue\DelayedRequeueException;
use Drupal\Core\Queue\QueueWorkerInterface;
use Drupal\Core\Queue\RequeueException;
use Drupal\Core\Queue\SuspendQueueException;

/**
 * A queue's worker that says how its items ended.
 */
final class QueueWorker implements QueueWorkerInterface {

  public function __construct(private readonly QueueWorkerInterface $inner, private readonly CronJobs $jobs) {
  }

  /**
   * {@inheritdoc}
   */
  public function processItem($data) {
    $start = microtime(TRUE);
    $hasFailed = TRUE;
    try {
      $result = $this->inner->processItem($data);
      $hasFailed = FALSE;
      return $result;
    }
    catch (DelayedRequeueException | RequeueException | SuspendQueueException $wish) {
      // What a worker wants to be done later has not failed.
      $hasFailed = FALSE;
      throw $wish;
    } finally {
      $this->jobs->itemEnds((string) $this->inner->getPluginId(), microtime(TRUE) - $start, $hasFailed);
    }
  }

  /**
   * {@inheritdoc}
   */
  public function getPluginId() {
    return $this->inner->getPluginId();
  }

  /**
   * {@inheritdoc}
   */
  public function getPluginDefinition() {
    return $this->inner->getPluginDefinition();
  }

  /**
   * Hands on what only the one inside knows.
   */
  public function __call(string $method, array $arguments): mixed {
    return $this->inner->$method(...$arguments);
  }

}
