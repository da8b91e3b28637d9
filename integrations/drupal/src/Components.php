<?php

declare(strict_types=1);

namespace Drupal\logystera;

use Drupal\Core\Extension\ModuleExtensionList;
use Drupal\Core\Extension\ThemeExtensionList;

/** Which modules and themes are there as files, in which version. Drupal's own change with Drupal and are not listed. */
final class Components
{
    public function __construct(private readonly ModuleExtensionList $modules, private readonly ThemeExtensionList $themes)
    {
    }

    /** What the component's file says; null where it says nothing. */
    public function version(string $kind, string $name): ?string
    {
        $list = $kind === 'theme' ? $this->themes : $this->modules;
        $version = $list->getAllAvailableInfo()[$name]['version'] ?? null;
        return is_string($version) ? $version : null;
    }

    /** @return array<string, string> version by `kind slug`, as the files say now */
    public function versions(): array
    {
        $versions = [];
        foreach (['module' => $this->modules, 'theme' => $this->themes] as $kind => $list) {
            foreach ($list->reset()->getList() as $name => $extension) {
                if (!str_starts_with((string) $extension->getPath(), 'core/')) {
                    $versions["$kind $name"] = (string) ($extension->info['version'] ?? '');
                }
            }
        }
        return $versions;
    }
}
