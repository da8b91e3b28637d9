<?php

declare(strict_types=1);

namespace Drupal\logystera\Signals;

use Drupal\logystera\Components;
use Drupal\logystera\Runtime;
use Logystera\Redact;

/**
 * Modules and themes that were installed or uninstalled, in Drupal's words; activated or deactivated in the catalogue's. What
 * comes, goes or changes as files is found by Watch.
 */
final class Component
{
    private const TYPE = 'component.lifecycle';

    public function __construct(private readonly Runtime $runtime, private readonly Components $components)
    {
    }

    /** @param string[] $names */
    public function changed(string $kind, array $names, string $action): void
    {
        $this->runtime->guard(self::TYPE, function () use ($kind, $names, $action): void {
            $emitter = $this->runtime->emitter(self::TYPE);
            foreach ($emitter === null ? [] : $names as $name) {
                $version = Redact::version($this->components->version($kind, (string) $name));
                $emitter->emit([
                    'kind' => $kind, 'slug' => Redact::slug((string) $name), 'action' => $action,
                    'from_version' => $action === 'deactivated' ? $version : null,
                    'to_version' => $action === 'activated' ? $version : null,
                    'actor_hash' => $emitter->actor(),
                ]);
            }
        });
    }
}
