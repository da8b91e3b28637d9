<?php

declare(strict_types=1);

namespace Drupal\logystera\Signals;

use Drupal\Core\CronInterface;

/**
 * A run of Drupal's cron as a whole.
 *
 * What runs within it is told by CronJobs.
 */
final class Cron implements CronInterface {
  private const JOB = 'cron';

  public function __construct(private readonly CronInterface $inner, private readonly CronJobs $jobs) {
  }

  /**
   * {@inheritdoc}
   */
  public function run() {
    $this->jobs->runBegins();
    $outcome = 'failed';
    try {
      $isDone = $this->inner->run();
      // Another run, or one that died, still has the lock: this one was due and
      // did nothing.
      $outcome = $isDone ? 'ok' : 'missed';
      return $isDone;
    } finally {
      $this->jobs->runEnds(self::JOB, $outcome);
    }
  }

}
