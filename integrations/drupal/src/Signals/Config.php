<?php

declare(strict_types=1);

namespace Drupal\logystera\Signals;

use Drupal\Core\Config\ConfigCrudEvent;
use Drupal\Core\Config\ConfigEvents;
use Drupal\Core\Config\ConfigRenameEvent;
use Drupal\logystera\Emitter;
use Drupal\logystera\Runtime;
use Logystera\Redact;
use Symfony\Component\EventDispatcher\EventSubscriberInterface;

/**
 * Configuration that was saved, renamed or deleted.
 *
 * By a form, by code or by an import: which object, by whom, and whether a
 * value is one that was seen before. Never a value. An import saves object by
 * object, so that it is told that way, too.
 */
final class Config implements EventSubscriberInterface {
  private const TYPE = 'config.change';

  /**
   * Our own.
   */
  private const OWN = 'logystera.';

  public function __construct(private readonly Runtime $runtime) {
  }

  /**
   * {@inheritdoc}
   */
  public static function getSubscribedEvents(): array {
    return [ConfigEvents::SAVE => 'saved', ConfigEvents::DELETE => 'deleted', ConfigEvents::RENAME => 'renamed'];
  }

  /**
   * An object was saved.
   */
  public function saved(ConfigCrudEvent $event): void {
    // As guard() does it: thousands may be saved in one request, and each would
    // pay for a closure.
    try {
      $config = $event->getConfig();
      $name = $config->getName();
      $emitter = $this->wanted($name);
      if ($emitter === NULL) {
        return;
      }
      $before = (array) $config->getOriginal('', FALSE);
      $after = $config->getRawData();
      $differs = $emitter->differ($before, $after);
      if ($differs === NULL && self::opened($name, $before, $after) === NULL) {
        // Nobody knows whether it changed: no signal then, but a count of it.
        $emitter->drop();
      }
      elseif ($differs !== FALSE) {
        self::tell($emitter, $name, $before === [] ? 'added' : 'updated', $before, $after);
      }
    }
    catch (\Throwable $fault) {
      $this->runtime->fail(self::TYPE, $fault);
    }
  }

  /**
   * An object was deleted.
   */
  public function deleted(ConfigCrudEvent $event): void {
    $this->runtime->guard(self::TYPE, function () use ($event): void {
      $config = $event->getConfig();
      $emitter = $this->wanted($config->getName());
      if ($emitter !== NULL) {
        self::tell($emitter, $config->getName(), 'deleted', (array) $config->getOriginal('', FALSE), []);
      }
    });
  }

  /**
   * An object has another name.
   */
  public function renamed(ConfigRenameEvent $event): void {
    $this->runtime->guard(self::TYPE, function () use ($event): void {
      $config = $event->getConfig();
      $emitter = $this->wanted($event->getOldName());
      if ($emitter !== NULL) {
        self::tell($emitter, $event->getOldName(), 'deleted', $config->getRawData(), []);
      }
      $emitter = $this->wanted($config->getName());
      if ($emitter !== NULL) {
        self::tell($emitter, $config->getName(), 'added', [], $config->getRawData());
      }
    });
  }

  /**
   * What the new values open.
   *
   * @return string[]|null
   *   What the new values open, if anything: a hash of them tells a rule
   *   nothing.
   */
  private static function opened(string $name, array $before, array $after): ?array {
    $opens = [
      'user.settings' => ['registration_opened', 'register', ['visitors']],
      'system.logging' => ['debug_on', 'error_level', ['all', 'verbose']],
    ];
    [$flag, $key, $open] = $opens[$name] ?? ['', '', []];
    $holds = static fn (array $values): bool => in_array($values[$key] ?? NULL, $open, TRUE);
    return $holds($after) && !$holds($before) ? [$flag] : NULL;
  }

  /**
   * Who tells of a change of this object; null if nobody does.
   *
   * Where a request saved more than is told, that is counted before anything is
   * read of it: what tells a change from none is the comparing of all values.
   */
  private function wanted(string $name): ?Emitter {
    $emitter = str_starts_with($name, self::OWN) ? NULL : $this->runtime->emitter(self::TYPE);
    return $emitter?->takesOne() ? $emitter : NULL;
  }

  /**
   * Makes the signal.
   */
  private static function tell(Emitter $emitter, string $name, string $action, array $before, array $after): void {
    $emitter->emit([
      'key' => Redact::name($name),
      'action' => $action,
      'before_hash' => $before === [] ? NULL : $emitter->value($name, $before),
      'after_hash' => $after === [] ? NULL : $emitter->value($name, $after),
      'actor_hash' => $emitter->actor(),
      'flags' => self::opened($name, $before, $after),
    ]);
  }

}
