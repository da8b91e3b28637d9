<?php

declare(strict_types=1);

namespace Drupal\logystera\Signals;

use Drupal\logystera\Runtime;
use Logystera\Redact;
use Psr\Log\LoggerInterface;
use Psr\Log\LoggerTrait;

/**
 * The jobs of a cron run.
 *
 * Each module's hook_cron(), and each queue that something was taken from.
 * Drupal's cron tells where it is by its log alone, as long as its detailed
 * logging is on; without it only the queues and the run as a whole are known.
 */
final class CronJobs implements LoggerInterface {
  use LoggerTrait;

  private const TYPE = 'cron.run';
  private const CHANNEL = 'cron';

  /**
   * When the run began that goes on.
   */
  private ?float $runStart = NULL;

  /**
   * The module whose hook runs.
   */
  private ?string $module = NULL;

  /**
   * Since when.
   */
  private float $start = 0.0;

  /**
   * Whether it threw.
   */
  private bool $hasFailed = FALSE;

  /**
   * Seconds, and whether an item failed, by queue.
   *
   * @var array<string, array{0: float, 1: bool}>
   */
  private array $queues = [];

  public function __construct(private readonly Runtime $runtime) {
  }

  /**
   * A run of cron begins.
   */
  public function runBegins(): void {
    $this->runtime->guard(self::TYPE, function (): void {
      $this->runStart = microtime(TRUE);
      // A run that a fault ends, or exit(), comes no further.
      $this->runtime->atEnd(fn () => $this->runEnds('cron', 'failed'));
    });
  }

  /**
   * A run of cron ends.
   */
  public function runEnds(string $job, string $outcome): void {
    $this->runtime->guard(self::TYPE, function () use ($job, $outcome): void {
      if ($this->runStart === NULL) {
        return;
      }
      $start = $this->runStart;
      $this->runStart = NULL;
      $this->hasFailed = $this->hasFailed || $outcome === 'failed';
      $this->moduleEnds();
      foreach ($this->queues as $queue => [$seconds, $hasFailed]) {
        $this->tell("queue:$queue", $hasFailed ? 'failed' : 'ok', $seconds);
      }
      $this->queues = [];
      $this->tell($job, $outcome, microtime(TRUE) - $start);
    });
  }

  /**
   * An item of a queue was worked on.
   */
  public function itemEnds(string $queue, float $seconds, bool $hasFailed): void {
    $this->runtime->guard(self::TYPE, function () use ($queue, $seconds, $hasFailed): void {
      $isFirst = !isset($this->queues[$queue]);
      [$before, $hadFailed] = $this->queues[$queue] ?? [0.0, FALSE];
      $this->queues[$queue] = [$before + $seconds, $hadFailed || $hasFailed];
      if ($isFirst && $this->runStart === NULL) {
        // A queue that something else than cron works on: it may have a million
        // of items.
        $this->runtime->atEnd(function () use ($queue): void {
          if (isset($this->queues[$queue])) {
            [$seconds, $hasFailed] = $this->queues[$queue];
            unset($this->queues[$queue]);
            $this->tell("queue:$queue", $hasFailed ? 'failed' : 'ok', $seconds);
          }
        });
      }
    });
  }

  /**
   * {@inheritdoc}
   */
  public function log($level, string|\Stringable $message, array $context = []): void {
    if ($this->runStart === NULL || ($context['channel'] ?? '') !== self::CHANNEL) {
      return;
    }
    $this->runtime->guard(self::TYPE, function () use ($context): void {
      if (isset($context['exception'])) {
        $this->hasFailed = TRUE;
        return;
      }
      if (isset($context['@module']) || isset($context['@module_previous'])) {
        $this->moduleEnds();
        $this->module = isset($context['@module']) ? (string) $context['@module'] : NULL;
        $this->start = microtime(TRUE);
      }
    });
  }

  /**
   * The module's hook that ran last is through.
   */
  private function moduleEnds(): void {
    if ($this->module !== NULL) {
      $this->tell($this->module . '_cron', $this->hasFailed ? 'failed' : 'ok', microtime(TRUE) - $this->start);
    }
    $this->module = NULL;
    $this->hasFailed = FALSE;
  }

  /**
   * Makes the signal.
   */
  private function tell(string $job, string $outcome, float $seconds): void {
    $this->runtime->emitter(self::TYPE)?->emit([
      'job' => Redact::name($job),
      'outcome' => $outcome,
      'duration_ms' => (int) round($seconds * 1000),
    ]);
  }

}
