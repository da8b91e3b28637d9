<?php

declare(strict_types=1);

namespace Drupal\logystera;

use Drupal\Core\Site\Settings as SiteSettings;
use Drupal\Core\State\StateInterface;
use Logystera\Versions;

/**
 * Looks, from the background, at what nothing tells of.
 *
 * Modules and themes that came and went as files, another version of Drupal, a
 * new hash salt. Files are looked at more often, in small slices.
 */
final class Watch {
  /**
   * Pause between two looks, in seconds.
   *
   * Each reads the heads of all modules' files.
   */
  private const EVERY_S = 300;
  private const SALT = 'settings.hash_salt';

  public function __construct(
    private readonly Runtime $runtime,
    private readonly StateInterface $state,
    private readonly Components $components,
    private readonly string $root,
    private readonly string $sitePath
  ) {
  }

  /**
   * Looks if it is time, or asked to.
   *
   * The first look only remembers.
   */
  public function look(bool $isAsked = FALSE): void {
    $this->lookAround($isAsked);
    $files = new OwnFiles($this->runtime, $this->root, $this->sitePath);
    $this->runtime->guard('file.edit', $files->look(...));
  }

  /**
   * Looks at modules, themes and the salt.
   */
  private function lookAround(bool $isAsked): void {
    $seen = $this->state->get(Settings::STATE_WATCH);
    $seen = is_array($seen) ? $seen : [];
    $since = time() - (int) ($seen['at'] ?? 0);
    if (!$isAsked && $since >= 0 && $since < self::EVERY_S) {
      return;
    }
    $now = [
      'at' => time(),
      'components' => $this->components->versions(),
      'core' => \Drupal::VERSION,
      'salt' => $this->salt(),
    ];
    // Kept before it is told: told twice is worse than found once more by hand.
    $this->state->set(Settings::STATE_WATCH, $now);
    if (isset($seen['components'], $seen['core'])) {
      $this->tellComponents($seen, $now);
    }
    $this->tellSalt($seen['salt'] ?? NULL, $now['salt']);
  }

  /**
   * Tells of modules and themes that changed.
   */
  private function tellComponents(array $seen, array $now): void {
    $emitter = $this->runtime->emitter('component.lifecycle');
    foreach ($emitter === NULL ? [] : Versions::signals($seen, $now, 'drupal') as $fields) {
      $emitter->emit($fields);
    }
  }

  /**
   * Keyed hash of what the sessions and one-time links of the site hang on.
   */
  private function salt(): ?string {
    $salt = SiteSettings::get('hash_salt');
    return is_string($salt) && $salt !== '' ? $this->runtime->emitter('config.change')?->secret(self::SALT, $salt) : NULL;
  }

  /**
   * Tells of another salt.
   */
  private function tellSalt(?string $before, ?string $after): void {
    if ($before !== NULL && $after !== NULL && $before !== $after) {
      $this->runtime->emitter('config.change')?->emit([
        'key' => self::SALT,
        'action' => 'updated',
        'before_hash' => $before,
        'after_hash' => $after,
      ]);
    }
  }

}
