<?php

declare(strict_types=1);

namespace Drupal\logystera;

use Logystera\Clock;
use Logystera\Comparison;
use Logystera\DiskFiles;
use Logystera\Dispatcher;
use Logystera\Dsn;
use Logystera\FileStorage;
use Logystera\Flushed;
use Logystera\Folder;
use Logystera\Frame;
use Logystera\Hasher;
use Logystera\Integrity;
use Logystera\Limits;
use Logystera\Lookup;
use Logystera\Outbox;
use Logystera\Owner;
use Logystera\Recorder;
use Logystera\Spool;
use Logystera\SystemClock;
use Logystera\SystemRandomness;
use Logystera\Transport;

/**
 * This site's spool and what is done with it: recording, looking up, sending.
 */
final class Site {
  public const VERSION = '0.1.0';

  /**
   * Takes signals.
   */
  public readonly Recorder $recorder;

  /**
   * Knows what hashes stand for.
   */
  public readonly Lookup $lookup;

  /**
   * Tells what changed from what did not, as far as a request's work goes.
   */
  public readonly Comparison $comparison;

  /**
   * What waits to be sent.
   */
  public readonly Outbox $outbox;

  /**
   * The folder of the spool.
   */
  private readonly FileStorage $storage;

  /**
   * The time.
   */
  private readonly Clock $clock;

  /**
   * The types that are on.
   *
   * @var string[]
   */
  private array $typesOn;

  public function __construct(
    private readonly Dsn $dsn,
    string $folder,
    private readonly Settings $settings,
    public readonly Ledger $ledger
  ) {
    $this->storage = new FileStorage($folder);
    $this->clock = new SystemClock();
    $this->comparison = new Comparison($this->clock);
    $this->typesOn = $settings->typesOn();
    // Where nobody waits for a page, a signal is on disk at once: a job may be
    // killed.
    $isImmediate = PHP_SAPI === 'cli';
    $spool = new Spool($this->storage, $this->clock);
    $this->recorder = new Recorder($spool, $this->clock, $this->typesOn, $isImmediate, $ledger);
    $this->lookup = new Lookup($this->storage, $this->clock, new Hasher($settings->hashKey()));
    $this->outbox = new Outbox($this->storage, $this->clock, $spool);
  }

  /**
   * Whether signals of this type are wanted.
   */
  public function isOn(string $type): bool {
    return in_array($type, $this->typesOn, TRUE);
  }

  /**
   * Sends what waits.
   *
   * @param \Logystera\Transport $transport
   *   The way to the gateway.
   * @param string $address
   *   What tells this site from a copy of it.
   * @param int $budgetMs
   *   How long that may take, in milliseconds.
   * @param bool $isAsked
   *   An administrator wants an answer now.
   */
  public function flush(Transport $transport, string $address, int $budgetMs, bool $isAsked): Flushed {
    return $this->flushOf($this->storage, $transport, $address, $budgetMs, $isAsked);
  }

  /**
   * The last word.
   *
   * Sends what waits, then says that the module itself was switched off, and in
   * that batch's head that nothing is watched any more. Somebody should hear of
   * it who did not do it.
   */
  public function farewell(Transport $transport, string $address, ?string $actor): void {
    $this->recorder->write();
    $this->flush($transport, $address, Limits::FAREWELL_BUDGET_MS, TRUE);
    $this->recorder->record('component.lifecycle', [
      'kind' => 'module',
      'slug' => 'logystera',
      'action' => 'deactivated',
      'from_version' => self::VERSION,
      'actor_hash' => $actor,
    ]);
    $this->recorder->write();
    $this->lookup->write();
    $this->typesOn = [];
    $this->flush($transport, $address, Limits::FAREWELL_BUDGET_MS, TRUE);
  }

  /**
   * What looks at files.
   */
  public function integrity(): Integrity {
    return new Integrity($this->storage, $this->clock, new DiskFiles());
  }

  /**
   * From the background: tidies, and sends what lies in other folders.
   *
   * Mends what older versions left on disk.
   */
  public function settle(SpoolFolder $folders, Transport $transport, string $address, int $budgetMs): void {
    Folder::tidy($this->storage->folder());
    foreach ($folders->left() as $folder) {
      $storage = new FileStorage($folder);
      $isEmpty = !is_dir($folder);
      if (!$isEmpty) {
        $this->flushOf($storage, $transport, $address, $budgetMs, FALSE);
        $isEmpty = (new Outbox($storage, $this->clock))->isEmpty();
      }
      if ($isEmpty) {
        Folder::remove($folder, TRUE);
        $folders->forget($folder);
      }
    }
  }

  /**
   * Sends what waits in a folder.
   */
  private function flushOf(FileStorage $storage, Transport $transport, string $address, int $budgetMs, bool $isAsked): Flushed {
    $frame = new Frame('drupal', self::VERSION, $this->typesOn, $this->settings->flushEveryS());
    $owner = new Owner($address, $this->dsn, (string) gethostname(), $storage->identity());
    $dispatcher = new Dispatcher($storage, $this->clock, new SystemRandomness(), $transport);
    return $dispatcher->flush($this->dsn, $owner, $frame, $budgetMs, $isAsked);
  }

}
