<?php

declare(strict_types=1);

namespace Drupal\logystera\Signals;

use Drupal\Component\Utility\Bytes;
use Drupal\Core\Database\DatabaseException;
use Drupal\logystera\Runtime;
use Logystera\Fatal;
use Logystera\Hasher;
use Logystera\Limits;
use Logystera\Quiet;
use Logystera\Redact;
use Psr\Log\LoggerInterface;
use Psr\Log\LoggerTrait;
use Symfony\Component\EventDispatcher\EventSubscriberInterface;
use Symfony\Component\HttpKernel\KernelEvents;

/**
 * PHP's errors, and exceptions that nobody catches.
 *
 * Drupal handles them all and writes them to its log's channel `php`: what is
 * silenced, or what PHP is not set to report, does not come there. An error
 * that repeats in a request is told once. Errors that end PHP itself, such as
 * want of memory, come to no handler and are looked for at the end.
 */
final class PhpError implements LoggerInterface, EventSubscriberInterface {
  use LoggerTrait;

  private const TYPE = 'php.error';
  private const CHANNEL = 'php';

  /**
   * Drupal's names of the levels; every other is the class of an exception.
   */
  private const LEVELS = [
    'Warning' => 'warning',
    'User warning' => 'warning',
    'Core warning' => 'warning',
    'Compile warning' => 'warning',
    'Notice' => 'notice',
    'User notice' => 'notice',
    'Strict warning' => 'notice',
    'Deprecated function' => 'deprecated',
    'User deprecated function' => 'deprecated',
    'Parse error' => 'parse',
    'ParseError' => 'parse',
  ];

  /**
   * Errors that are looked at in a request; more are only counted.
   *
   * As many exceptions besides.
   */
  private const SEEN_MAX = 250;

  /**
   * A message from this length on is remembered by a digest, in bytes.
   *
   * Of its beginning, and by its length.
   */
  private const DIGEST_BYTES_MIN = 512;

  /**
   * Memory that is given back when a request ends for want of it, in bytes.
   */
  private const RESERVE_BYTES = 65536;

  /**
   * How much more it may take then, in bytes.
   */
  private const MORE_BYTES = 8388608;

  /**
   * The errors as they came: level, file, line, message.
   *
   * @var array<string, array<string, array<int, array<string, true>>>>
   */
  private array $seen = [];

  /**
   * How many of them there are.
   */
  private int $count = 0;

  /**
   * The errors that were told, by all that makes them the same.
   *
   * @var array<string, true>
   */
  private array $told = [];

  /**
   * The memory that is given back.
   */
  private ?string $reserve = NULL;

  public function __construct(private readonly Runtime $runtime) {
  }

  /**
   * {@inheritdoc}
   */
  public static function getSubscribedEvents(): array {
    return [KernelEvents::REQUEST => ['begin', 1002]];
  }

  /**
   * Keeps some memory for the end, and waits for it.
   */
  public function begin(): void {
    $this->runtime->guard(self::TYPE, function (): void {
      if ($this->reserve === NULL) {
        $this->reserve = str_repeat("\0", self::RESERVE_BYTES);
        // Asked for now: there may be no memory for it later.
        $this->runtime->emitter(self::TYPE);
        $this->runtime->atEnd($this->finish(...));
      }
    });
  }

  /**
   * {@inheritdoc}
   */
  public function log($level, string|\Stringable $message, array $context = []): void {
    if (($context['channel'] ?? '') !== self::CHANNEL || !isset($context['%type'], $context['%file'])) {
      return;
    }
    $this->runtime->guard(self::TYPE, function () use ($context): void {
      $error = $context['exception'] ?? NULL;
      // Drupal adds the query and its values to what the database said.
      $text = $error instanceof DatabaseException && $error->getPrevious() !== NULL
        ? $error->getPrevious()->getMessage()
        : (string) ($context['@message'] ?? '');
      $kind = self::LEVELS[(string) $context['%type']] ?? 'fatal';
      [$file, $line] = [(string) $context['%file'], (int) ($context['%line'] ?? 0)];
      if ($this->takes($kind, $text, $file, $line)) {
        // Drupal has escaped it, by six characters for one at most.
        $this->tell($kind, html_entity_decode(substr($text, 0, 8 * Limits::MESSAGE_BYTES_MAX)), $file, $line);
      }
    });
  }

  /**
   * Looks for what ended PHP itself.
   */
  private function finish(): void {
    $last = error_get_last();
    if (!Fatal::is($last)) {
      return;
    }
    $this->reserve = NULL;
    $limit = Bytes::toNumber((string) ini_get('memory_limit'));
    if ($limit > 0) {
      Quiet::call('ini_set', 'memory_limit', (string) (int) ($limit + self::MORE_BYTES));
    }
    $this->tell(Fatal::LEVELS[$last['type']], $last['message'], $last['file'], $last['line']);
  }

  /**
   * Whether an error is one to look at.
   *
   * One that came before in this request is not; one too many is counted, and
   * nothing is made of it.
   */
  private function takes(string $level, string $message, string $file, int $line): bool {
    $length = strlen($message);
    $key = $length < self::DIGEST_BYTES_MIN ? $message : $length . md5(substr($message, 0, Limits::MESSAGE_BYTES_MAX));
    if (isset($this->seen[$level][$file][$line][$key])) {
      return FALSE;
    }
    if ($this->count >= self::SEEN_MAX * (in_array($level, Fatal::LEVELS, TRUE) ? 2 : 1)) {
      $this->runtime->emitter(self::TYPE)?->drop();
      return FALSE;
    }
    $this->seen[$level][$file][$line][$key] = TRUE;
    $this->count++;
    return TRUE;
  }

  /**
   * Makes the signal.
   */
  private function tell(string $level, string $message, string $file, int $line): void {
    $shape = Redact::message($message);
    $emitter = isset($this->told["$level $file $line $shape"]) ? NULL : $this->runtime->emitter(self::TYPE);
    $this->told["$level $file $line $shape"] = TRUE;
    $emitter?->emit([
      'level' => $level,
      'component' => $emitter->component($file),
      'file_hash' => $emitter->file($file),
      'line' => $line,
      'message_hash' => $emitter->hash(Hasher::MESSAGE, $shape),
      'source' => $emitter->visitor(),
    ]);
  }

}
