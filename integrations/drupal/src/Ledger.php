<?php

declare(strict_types=1);

namespace Drupal\logystera;

use Drupal\Core\Lock\LockBackendInterface;
use Drupal\Core\State\StateInterface;
use Logystera\Ledger as LedgerInterface;
use Logystera\Spool;

/**
 * Counts of lost signals in Drupal's state.
 *
 * It reads, adds and writes: a lock keeps one request from taking another's
 * away.
 */
final class Ledger implements LedgerInterface {
  private const LOCK = 'logystera_lost';

  /**
   * Longest time that a request holds the lock, in seconds.
   */
  private const LOCK_S = 2.0;
  private const WAIT_S = 1;

  public function __construct(private readonly StateInterface $state, private readonly LockBackendInterface $lock) {
  }

  /**
   * {@inheritdoc}
   */
  public function add(array $counts): void {
    $this->change(static fn (array $kept): array => Spool::sum($kept, $counts));
  }

  /**
   * {@inheritdoc}
   */
  public function counts(): array {
    return Spool::counts($this->state->get(Settings::STATE_LOST));
  }

  /**
   * {@inheritdoc}
   */
  public function take(array $counts): void {
    $this->change(static function (array $kept) use ($counts): array {
      foreach ($counts as $key => [$count]) {
        if (isset($kept[$key])) {
          $kept[$key][0] -= $count;
        }
      }
      return array_filter($kept, static fn (array $count): bool => $count[0] > 0);
    });
  }

  /**
   * Reads the counts, changes them and writes them, under the lock.
   */
  private function change(callable $change): void {
    $isHeld = $this->lock->acquire(self::LOCK, self::LOCK_S);
    if (!$isHeld && !$this->lock->wait(self::LOCK, self::WAIT_S)) {
      $isHeld = $this->lock->acquire(self::LOCK, self::LOCK_S);
    }
    // Who waited for long enough counts all the same: one that is lost is
    // better than both.
    try {
      $kept = $change($this->counts());
      $kept === [] ? $this->state->delete(Settings::STATE_LOST) : $this->state->set(Settings::STATE_LOST, $kept);
    } finally {
      if ($isHeld) {
        $this->lock->release(self::LOCK);
      }
    }
  }

}
