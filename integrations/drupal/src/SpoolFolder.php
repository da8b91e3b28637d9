<?php

declare(strict_types=1);

namespace Drupal\logystera;

use Drupal\Core\Site\Settings as SiteSettings;
use Drupal\Core\State\StateInterface;
use Logystera\Folder;
use Logystera\Place;

/**
 * Where the spool lies.
 *
 * Beside the web root where that can be written, else among the private files,
 * else in a folder of the public ones that nobody can guess and whose files say
 * nothing to a browser. The name has a hash of the site's own folder, so that a
 * staging copy has a folder of its own although it has the same state.
 */
final class SpoolFolder {
  /**
   * The setting that fixes the folder.
   */
  private const SETTING = 'logystera_spool_dir';

  public function __construct(
    private readonly StateInterface $state,
    private readonly string $root,
    private readonly string $sitePath
  ) {
  }

  /**
   * The folder, made if it can be.
   *
   * Null for a command of another user, who could not write where the site goes
   * on.
   */
  public function find(): ?string {
    $fixed = $this->fixed();
    if ($fixed !== NULL) {
      return Folder::usable($fixed) === NULL && is_dir($fixed) && Folder::isOfAnother($fixed) ? NULL : $fixed;
    }
    $stored = $this->stored();
    $token = is_string($stored['token'] ?? NULL) ? $stored['token'] : bin2hex(random_bytes(8));
    $name = 'logystera-' . substr(hash('sha256', $this->place() . "\0" . $token), 0, 24);
    $best = dirname($this->root) . '/.' . $name;
    // A folder that the command line makes may be one that the web server
    // cannot write.
    $isKnown = PHP_SAPI !== 'cli' || is_dir($best);
    [$folder, $new] = Place::find(
      ['token' => $token] + $stored,
      $this->place(),
      $isKnown && $this->isOutsideWebRoot($best) ? $best : '',
      array_map(static fn (string $home): string => "$home/$name", $this->homes()),
      time()
    );
    if (isset($new['folder']) && $new !== $stored) {
      $this->state->set(Settings::STATE_SPOOL, $new);
    }
    return $folder;
  }

  /**
   * Folders that have signals from a time when this one was not there.
   *
   * @return string[]
   *   Other folders that have signals in them, from a time at which this one
   *   could not be made.
   */
  public function left(): array {
    return Place::left($this->stored());
  }

  /**
   * Nothing waits there any more.
   */
  public function forget(string $left): void {
    $stored = $this->stored();
    $stored['left'] = array_values(array_diff(Place::left($stored), [$left]));
    $this->state->set(Settings::STATE_SPOOL, $stored);
  }

  /**
   * The folder that was found last, if it is there; nothing is made.
   */
  public function known(): ?string {
    $folder = $this->fixed();
    if ($folder === NULL) {
      $stored = $this->stored();
      $folder = ($stored['root'] ?? NULL) === $this->place() && is_string($stored['folder'] ?? NULL) ? $stored['folder'] : '';
    }
    return $folder !== '' && is_dir($folder) ? $folder : NULL;
  }

  /**
   * Whether no browser can reach the folder.
   */
  public function isOutsideWebRoot(string $folder): bool {
    return Folder::isOutside($folder, [$this->root]);
  }

  /**
   * Removes what the module made.
   */
  public function remove(): void {
    $folder = $this->known();
    if ($folder !== NULL) {
      Folder::remove($folder, $this->fixed() === NULL);
    }
    foreach ($this->left() as $left) {
      Folder::remove($left, TRUE);
    }
  }

  /**
   * What settings.php says.
   *
   * Below it, each site of a multisite has a folder of its own.
   */
  private function fixed(): ?string {
    $folder = rtrim((string) SiteSettings::get(self::SETTING, ''), '/');
    return $folder === '' ? NULL : $folder . '/' . preg_replace('/[^0-9A-Za-z.-]+/', '-', $this->sitePath);
  }

  /**
   * What is kept of the folder.
   */
  private function stored(): array {
    $stored = $this->state->get(Settings::STATE_SPOOL);
    return is_array($stored) ? $stored : [];
  }

  /**
   * The site's own folder.
   */
  private function place(): string {
    return $this->root . '/' . $this->sitePath;
  }

  /**
   * The folders for files.
   *
   * @return string[]
   *   Folders for files, the private one first.
   */
  private function homes(): array {
    $private = (string) SiteSettings::get('file_private_path', '');
    $public = (string) SiteSettings::get('file_public_path', $this->sitePath . '/files');
    return array_map([$this, 'absolute'], array_values(array_filter([$private, $public], static fn ($home) => $home !== '')));
  }

  /**
   * A path from the system's root.
   */
  private function absolute(string $path): string {
    return rtrim($path[0] === '/' ? $path : $this->root . '/' . $path, '/');
  }

}
