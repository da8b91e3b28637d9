<?php

declare(strict_types=1);

namespace Drupal\logystera;

use Drupal\Component\Utility\Bytes;
use Logystera\Fatal;
use Logystera\Flushed;
use Logystera\Limits;
use Logystera\Quiet;
use Symfony\Component\DependencyInjection\ContainerInterface;
use Symfony\Component\HttpFoundation\Request;

/**
 * This request's way to the spool.
 *
 * It opens the site when the first signal comes, and only where an
 * administrator agreed. What is seldom needed is asked of the container then.
 */
final class Runtime {

  /**
   * The site, once it is opened.
   */
  private ?Site $site = NULL;

  /**
   * What gives the site signals, by their type.
   *
   * @var array<string, Emitter>
   */
  private array $emitters = [];

  /**
   * Whether it was tried to open the site.
   */
  private bool $isOpened = FALSE;

  /**
   * Whether nothing more is recorded.
   */
  private bool $isSilenced = FALSE;

  /**
   * Whether the last word was said.
   */
  private bool $hasSaidFarewell = FALSE;

  /**
   * Whether the request is over.
   */
  private bool $isEnded = FALSE;

  /**
   * Whether a fault of ours was told.
   */
  private bool $hasComplained = FALSE;

  /**
   * The request that is answered, also after Symfony has forgotten it.
   */
  private ?Request $request = NULL;

  /**
   * What still has something to tell when the request ends.
   *
   * @var array<int, callable>
   */
  private array $last = [];

  public function __construct(
    public readonly Settings $settings,
    private readonly SpoolFolder $folder,
    private readonly ContainerInterface $container,
    public readonly string $root
  ) {
  }

  /**
   * The site, where an administrator agreed.
   *
   * Null where there is no folder for the spool, too.
   */
  public function site(): ?Site {
    if (!$this->isOpened) {
      $this->isOpened = TRUE;
      $dsn = $this->settings->dsn();
      $folder = $this->settings->isAgreed($dsn) ? $this->folder->find() : NULL;
      if ($dsn !== NULL && $folder !== NULL) {
        $this->site = new Site($dsn, $folder, $this->settings, $this->container->get('logystera.ledger'));
        register_shutdown_function($this->end(...));
      }
    }
    return $this->isSilenced ? NULL : $this->site;
  }

  /**
   * The folders in which signals wait.
   *
   * @return string[]
   *   Where signals wait.
   */
  public function spoolFolders(): array {
    return array_merge([(string) $this->folder->known()], $this->folder->left());
  }

  /**
   * For signals of a type; null where none is wanted.
   */
  public function emitter(string $type): ?Emitter {
    if (isset($this->emitters[$type])) {
      return $this->emitters[$type];
    }
    $site = $this->site();
    return $site !== NULL && $site->isOn($type) ? $this->emitters[$type] = new Emitter($type, $site, $this) : NULL;
  }

  /**
   * Keeps the request that is answered.
   */
  public function begin(Request $request): void {
    $this->request = $request;
  }

  /**
   * The request that is answered, if there is one.
   */
  public function request(): ?Request {
    return $this->request ?? $this->container->get('request_stack')->getMainRequest();
  }

  /**
   * Name of who is signed in; empty if nobody is.
   */
  public function actor(): string {
    $user = $this->container->get('current_user');
    return $user->isAuthenticated() ? (string) $user->getAccountName() : '';
  }

  /**
   * Whether who is signed in sees the site's administration.
   *
   * And so may write pages.
   */
  public function isTrusted(): bool {
    return (bool) $this->container->get('current_user')->hasPermission('access administration pages');
  }

  /**
   * Has $tell called when the request ends, whatever ends it.
   */
  public function atEnd(callable $tell): void {
    $this->last[] = $tell;
  }

  /**
   * Says that nothing is watched from here on.
   *
   * While that may still be sent: the module is being removed, or the agreement
   * withdrawn. Once.
   */
  public function farewell(): void {
    $this->guard('', function (): void {
      $site = $this->hasSaidFarewell ? NULL : $this->site();
      $this->hasSaidFarewell = TRUE;
      $actor = $site === NULL ? NULL : (new Emitter('component.lifecycle', $site, $this))->actor();
      $site?->farewell($this->container->get('logystera.transport'), $this->address(), $actor);
    });
    // Nothing is wanted after it.
    $this->emitters = [];
  }

  /**
   * Records and sends nothing more in this request.
   *
   * The agreement was withdrawn, or the module is being removed.
   */
  public function silence(): void {
    $this->farewell();
    $this->isSilenced = TRUE;
    $this->site?->recorder->stop();
  }

  /**
   * Opens the site anew: what an administrator decided has changed.
   */
  public function reopen(): ?Site {
    $this->isOpened = FALSE;
    $this->site = NULL;
    $this->emitters = [];
    return $this->site();
  }

  /**
   * Puts on disk what is in memory.
   *
   * Whether the disk took it.
   */
  public function write(): bool {
    $site = $this->site();
    $isWritten = $site === NULL || $site->recorder->write();
    $site?->lookup->write();
    return $isWritten;
  }

  /**
   * The process ends.
   *
   * Never throws: a fault of ours must not end what others do then.
   */
  public function end(): void {
    try {
      foreach ($this->isEnded ? [] : $this->last as $tell) {
        $this->guard('', $tell);
      }
      $this->isEnded = TRUE;
      $this->write();
      if (PHP_SAPI !== 'cli' && Fatal::is(error_get_last())) {
        $this->sendAfterFatal();
      }
    }
    catch (\Throwable $fault) {
      self::complain($fault);
    }
  }

  /**
   * Sends what waits, for a short time, once in ten seconds.
   *
   * What ends this request may end each one, also those of cron and of the site
   * to itself, and Symfony tells of no end then.
   */
  public function sendAfterFatal(): void {
    $site = $this->site();
    if (
      $site === NULL || !$site->outbox->isFlushDue(Limits::FLUSH_AGE_MS, $this->settings->flushEveryS())
      || !$site->outbox->mayKick(Limits::FLUSH_AGE_MS)
    ) {
      return;
    }
    foreach (['fastcgi_finish_request', 'litespeed_finish_request'] as $function) {
      if (function_exists($function)) {
        $function();
      }
    }
    $limit = Bytes::toNumber((string) ini_get('memory_limit'));
    if ($limit > 0) {
      Quiet::call('ini_set', 'memory_limit', (string) (int) ($limit + Limits::FATAL_MEMORY_BYTES));
    }
    $this->flush(Limits::FATAL_BUDGET_MS);
  }

  /**
   * From cron: looks, sends, and merges what the hashes stand for.
   */
  public function background(int $budgetMs = Limits::CRON_BUDGET_MS, bool $isAsked = FALSE): Flushed {
    $site = $this->site();
    if ($site === NULL) {
      return new Flushed(Flushed::IDLE);
    }
    $this->container->get('logystera.watch')->look($isAsked);
    $isWritten = $this->write() && $site->recorder->recover();
    $flushed = $this->flush($budgetMs);
    $site->settle($this->folder, $this->container->get('logystera.transport'), $this->address(), $budgetMs);
    $site->lookup->merge();
    return $isWritten ? $flushed : new Flushed(Flushed::UNWRITABLE, $flushed->answer, $flushed->batches);
  }

  /**
   * Sends what waits.
   *
   * @param int $budgetMs
   *   How long that may take, in milliseconds.
   * @param bool $isAsked
   *   An administrator wants an answer now.
   */
  public function flush(int $budgetMs, bool $isAsked = FALSE): Flushed {
    $site = $this->site();
    return $site === NULL
      ? new Flushed(Flushed::IDLE)
      : $site->flush($this->container->get('logystera.transport'), $this->address(), $budgetMs, $isAsked);
  }

  /**
   * Does something of ours within what others do.
   *
   * A fault of ours must not end their page: it is counted as a signal that
   * could not be made, and told once in the server's log.
   *
   * @param string $type
   *   Of the signal that is lost if it fails; empty for none.
   * @param callable $act
   *   What is done.
   */
  public function guard(string $type, callable $act): void {
    try {
      $act();
    }
    catch (\Throwable $fault) {
      $this->fail($type, $fault);
    }
  }

  /**
   * Counts a signal that a fault of ours lost, and tells of the first fault.
   *
   * @param string $type
   *   Of the signal; empty for none.
   * @param \Throwable $fault
   *   What happened.
   */
  public function fail(string $type, \Throwable $fault): void {
    if ($type !== '' && $this->isOpened) {
      $this->site()?->recorder->drop($type, 'refused');
    }
    if (!$this->hasComplained) {
      $this->hasComplained = TRUE;
      self::complain($fault);
    }
  }

  /**
   * A fault of ours, for the server's log.
   *
   * Its message could hold what somebody said.
   */
  public static function complain(\Throwable $fault): void {
    error_log('logystera: ' . get_class($fault) . ' in ' . basename($fault->getFile()) . ':' . $fault->getLine());
  }

  /**
   * What tells the site from a copy elsewhere.
   *
   * Drupal does not know its own address: the folder it lies in and its place
   * in a multisite stand for it.
   */
  private function address(): string {
    return $this->root . '/' . $this->container->getParameter('site.path');
  }

}
