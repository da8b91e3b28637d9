<?php

declare(strict_types=1);

namespace Drupal\logystera;

use Drupal\Core\Site\Settings as SiteSettings;
use Logystera\Quiet;
use Logystera\Script;
use Logystera\Watched;

/**
 * Files that run without anybody's installing anything.
 *
 * Drupal's own library and front controllers, and scripts among the public
 * files. Drupal keeps no checksums of itself: they are compared with what was
 * there at the first look, or after the last update.
 */
final class OwnFiles {
  private const PHP = '/\.(?:php\d?|phtml|phar|inc)$/i';
  private const CORE = ['core-lib', 'core-includes', 'root'];
  private const PUBLIC = 'public';

  /**
   * Where Drupal itself keeps what it makes, among the public files.
   */
  private const MADE_BY_DRUPAL = ['php', 'css', 'js', 'styles'];
  private const VERSION = "/const\s+VERSION\s*=\s*'([^']+)'/";

  public function __construct(
    private readonly Runtime $runtime,
    private readonly string $root,
    private readonly string $sitePath
  ) {
  }

  /**
   * Looks at the next slice, and tells what changed.
   */
  public function look(): void {
    $emitter = $this->runtime->emitter('file.edit');
    foreach ($emitter === NULL ? [] : $this->runtime->site()->integrity()->look($this->watched()) as $changed) {
      $found = $changed->heuristics + [
        'php_in_uploads' => $changed->where->name === self::PUBLIC,
        'core_file' => in_array($changed->where->name, self::CORE, TRUE),
      ];
      $emitter->emit([
        'path' => $changed->path($emitter->relative($changed->where->folder . '/')),
        'size_delta' => $changed->sizeDelta,
        'heuristics' => array_keys(array_filter($found)),
      ]);
    }
  }

  /**
   * The folders that are looked at.
   *
   * @return \Logystera\Watched[]
   *   What is watched, and how.
   */
  private function watched(): array {
    $version = $this->version();
    $home = $this->publicFolder();
    $left = self::MADE_BY_DRUPAL;
    foreach ($this->runtime->spoolFolders() as $folder) {
      $left[] = str_starts_with($folder, "$home/") ? substr($folder, strlen($home) + 1) : '';
    }
    return [
      new Watched('site', "$this->root/$this->sitePath", FALSE, self::PHP),
      new Watched('root', $this->root, FALSE, self::PHP, $version),
      new Watched(self::PUBLIC, $home, TRUE, Script::NAME, '', TRUE, $left),
      new Watched('core-includes', "$this->root/core/includes", TRUE, self::PHP, $version),
      new Watched('core-lib', "$this->root/core/lib", TRUE, self::PHP, $version),
    ];
  }

  /**
   * As the file says: a process that runs during an update was loaded before.
   */
  private function version(): string {
    $file = "$this->root/core/lib/Drupal.php";
    $text = (string) Quiet::call('file_get_contents', $file, FALSE, NULL, 0, Script::READ_BYTES_MAX);
    return preg_match(self::VERSION, $text, $m) === 1 ? $m[1] : \Drupal::VERSION;
  }

  /**
   * Where the public files lie.
   */
  private function publicFolder(): string {
    $path = (string) SiteSettings::get('file_public_path', $this->sitePath . '/files');
    return rtrim($path[0] === '/' ? $path : $this->root . '/' . $path, '/');
  }

}
