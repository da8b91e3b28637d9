<?php

declare(strict_types=1);

namespace Drupal\logystera;

use Drupal\Core\Extension\ExtensionDiscovery;
use Drupal\Core\Extension\InfoParserInterface;
use Drupal\Core\Extension\ModuleExtensionList;
use Drupal\Core\Extension\ThemeExtensionList;

/**
 * Which modules and themes are there as files, in which version.
 *
 * Drupal's own change with Drupal and are not listed.
 */
final class Components {

  public function __construct(
    private readonly ModuleExtensionList $modules,
    private readonly ThemeExtensionList $themes,
    private readonly InfoParserInterface $parser,
    private readonly string $root,
    private readonly string $sitePath
  ) {
  }

  /**
   * What Drupal knows of one that is or was installed.
   *
   * Null where its file says nothing.
   */
  public function version(string $kind, string $name): ?string {
    $list = $kind === 'theme' ? $this->themes : $this->modules;
    $version = $list->getAllAvailableInfo()[$name]['version'] ?? NULL;
    return is_string($version) ? $version : NULL;
  }

  /**
   * The versions that the files tell now.
   *
   * Looked for as Drupal does, but past its lists: those are caches that pages
   * live on.
   *
   * @return array<string, string>
   *   Version by `kind slug`, as the files say now.
   */
  public function versions(): array {
    $versions = [];
    foreach (['module', 'theme'] as $kind) {
      foreach ((new ExtensionDiscovery($this->root, FALSE, NULL, $this->sitePath))->scan($kind, FALSE) as $name => $extension) {
        if (!str_starts_with((string) $extension->getPath(), 'core/')) {
          $versions["$kind $name"] = $this->read($this->root . '/' . $extension->getPathname());
        }
      }
    }
    return $versions;
  }

  /**
   * The version that a file tells.
   */
  private function read(string $file): string {
    try {
      return (string) ($this->parser->parse($file)['version'] ?? '');
    }
    catch (\Exception $error) {
      // A file that Drupal cannot read: it is there all the same.
      return '';
    }
  }

}
