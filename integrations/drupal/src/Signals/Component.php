<?php

declare(strict_types=1);

namespace Drupal\logystera\Signals;

use Drupal\logystera\Components;
use Drupal\logystera\Runtime;
use Logystera\Redact;

/**
 * Modules and themes that were installed or uninstalled.
 *
 * Those are Drupal's words; they are activated or deactivated in the
 * catalogue's. What comes, goes or changes as files is found by Watch.
 */
final class Component {
  private const TYPE = 'component.lifecycle';

  public function __construct(private readonly Runtime $runtime, private readonly Components $components) {
  }

  /**
   * Tells of modules or themes.
   *
   * @param string $kind
   *   Module or theme.
   * @param string[] $names
   *   Of modules or themes.
   * @param string $action
   *   A word of the catalogue's.
   */
  public function changed(string $kind, array $names, string $action): void {
    $this->runtime->guard(self::TYPE, function () use ($kind, $names, $action): void {
      $emitter = $this->runtime->emitter(self::TYPE);
      foreach ($emitter === NULL ? [] : $names as $name) {
        $version = Redact::version($this->components->version($kind, (string) $name));
        $emitter->emit([
          'kind' => $kind,
          'slug' => Redact::slug((string) $name),
          'action' => $action,
          'from_version' => $action === 'deactivated' ? $version : NULL,
          'to_version' => $action === 'activated' ? $version : NULL,
          'actor_hash' => $emitter->actor(),
        ]);
      }
    });
  }

}
