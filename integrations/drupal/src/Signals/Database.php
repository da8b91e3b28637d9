<?php

declare(strict_types=1);

namespace Drupal\logystera\Signals;

use Drupal\Core\Database\DatabaseException;
use Drupal\Core\Database\Event\StatementExecutionEndEvent;
use Drupal\logystera\Emitter;
use Drupal\logystera\Runtime;
use Logystera\Hasher;
use Logystera\Redact;
use Psr\Log\LoggerInterface;
use Psr\Log\LoggerTrait;
use Symfony\Component\EventDispatcher\EventSubscriberInterface;

/**
 * Errors of the database that somebody logs.
 *
 * Those that nobody catches, and those that a module reports. Slow queries
 * where something has Drupal log its queries, for nothing else measures them.
 */
final class Database implements LoggerInterface, EventSubscriberInterface {
  use LoggerTrait;

  private const TYPE = 'db.event';

  /**
   * From this on a query is slow, in seconds.
   */
  private const SLOW_S = 1.0;

  /**
   * Codes for a server that is away.
   *
   * Numbers of MariaDB and MySQL, and SQLSTATEs of PostgreSQL.
   */
  private const LOST = ['2002', '2003', '2006', '2013', '08001', '08003', '08006', '57P01'];

  /**
   * The error that was told last: a module and the kernel may both log it.
   */
  private ?\WeakReference $told = NULL;

  public function __construct(private readonly Runtime $runtime) {
  }

  /**
   * {@inheritdoc}
   */
  public static function getSubscribedEvents(): array {
    // Drupal sends it only while its queries are logged.
    return [StatementExecutionEndEvent::class => 'executed'];
  }

  /**
   * A query was executed, and took so long.
   */
  public function executed(StatementExecutionEndEvent $event): void {
    $this->runtime->guard(self::TYPE, function () use ($event): void {
      $seconds = $event->getElapsedTime();
      $emitter = $seconds >= self::SLOW_S ? $this->runtime->emitter(self::TYPE) : NULL;
      $emitter?->emit([
        'kind' => 'slow',
        'duration_ms' => (int) round($seconds * 1000),
        'query_hash' => self::shape($emitter, $event->queryString),
        'source' => $emitter->visitor(),
      ]);
    });
  }

  /**
   * {@inheritdoc}
   */
  public function log($level, string|\Stringable $message, array $context = []): void {
    $error = $context['exception'] ?? NULL;
    if ($error === NULL) {
      // Most of what is logged.
      return;
    }
    $this->runtime->guard(self::TYPE, function () use ($error): void {
      while ($error instanceof \Throwable && !$error instanceof DatabaseException && !$error instanceof \PDOException) {
        // A module may have wrapped it in an exception of its own.
        $error = $error->getPrevious();
      }
      if (!$error instanceof \Throwable || $this->told?->get() === $error) {
        return;
      }
      $this->told = \WeakReference::create($error);
      $emitter = $this->runtime->emitter(self::TYPE);
      if (!$emitter?->takesOne()) {
        return;
      }
      $code = self::code($error);
      $query = self::query($error);
      $emitter->emit([
        'kind' => in_array($code, self::LOST, TRUE) ? 'connection_lost' : 'error',
        'code' => $code,
        'query_hash' => $query === NULL ? NULL : self::shape($emitter, $query),
        'source' => $emitter->visitor(),
      ]);
    });
  }

  /**
   * The server's number, or the SQLSTATE.
   */
  private static function code(\Throwable $error): ?string {
    $source = self::source($error);
    $number = $source instanceof \PDOException ? ($source->errorInfo[1] ?? NULL) : NULL;
    $code = (string) ($number ?? ($source ?? $error)->getCode());
    return $code === '' || $code === '0' ? NULL : Redact::slug($code);
  }

  /**
   * The query, if the message has it.
   *
   * Drupal's message is the driver's, the query, and the values: between the
   * first and the last lies the query.
   */
  private static function query(\Throwable $error): ?string {
    $source = self::source($error);
    $text = $error->getMessage();
    $head = $source === NULL ? '' : $source->getMessage() . ': ';
    if ($source === $error || $head === '' || !str_starts_with($text, $head)) {
      return NULL;
    }
    $query = (string) preg_replace('/; (?:Array\s*\(.*)?$/Ds', '', substr($text, strlen($head)));
    return trim($query) === '' ? NULL : $query;
  }

  /**
   * What the driver threw, if it is known.
   */
  private static function source(\Throwable $error): ?\PDOException {
    $source = $error instanceof \PDOException ? $error : $error->getPrevious();
    return $source instanceof \PDOException ? $source : NULL;
  }

  /**
   * Hash of a query's shape, without its values.
   */
  private static function shape(Emitter $emitter, string $query): string {
    // Drupal quotes names of tables and columns that way, and no values.
    $plain = (string) preg_replace('/"(\w+)"/', '$1', $query);
    return $emitter->hash(Hasher::QUERY, Redact::query($plain));
  }

}
