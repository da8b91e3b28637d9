<?php

declare(strict_types=1);

namespace Logystera\WordPress\Signals;

use Logystera\Redact;
use Logystera\Versions;
use Logystera\WordPress\Components;
use Logystera\WordPress\Emitter;
use Logystera\WordPress\Guard;
use Logystera\WordPress\Watch;

/**
 * Plugins, themes and the core, where WordPress itself changes them. What is changed behind its back is found by
 * Watch.
 */
final class Component implements Source
{
    /** @var Emitter */
    private $emitter;
    /** @var array<string, string> versions before this request changed anything, by `kind slug` */
    private $before = [];
    /** @var bool */
    private $isChanged = false;

    public function __construct(Emitter $emitter)
    {
        $this->emitter = $emitter;
    }

    public function register(): void
    {
        Guard::watch('activated_plugin', [$this, 'pluginActivated']);
        Guard::watch('deactivated_plugin', [$this, 'pluginDeactivated']);
        Guard::watch('delete_plugin', [$this, 'remember']);
        Guard::watch('deleted_plugin', [$this, 'pluginDeleted'], 10, 2);
        Guard::watch('delete_theme', [$this, 'remember']);
        Guard::watch('deleted_theme', [$this, 'themeDeleted'], 10, 2);
        Guard::watch('switch_theme', [$this, 'themeSwitched'], 10, 3);
        Guard::watch('upgrader_pre_install', [$this, 'remember']);
        Guard::watch('upgrader_process_complete', [$this, 'upgraded'], 10, 2);
        Guard::watch('_core_updated_successfully', [$this, 'coreUpdated']);
    }

    public function finish(): void
    {
        if ($this->isChanged) {
            // Told already: the watch must not find it again.
            Watch::rememberComponents();
        }
    }

    /** @param mixed $value */
    public function remember($value)
    {
        $this->before = $this->before === [] ? Components::versions() : $this->before;
        return $value;
    }

    /** @param mixed $file */
    public function pluginActivated($file): void
    {
        $this->tell('plugin', Components::slug((string) $file), 'activated', null, Components::version((string) $file));
    }

    /** @param mixed $file */
    public function pluginDeactivated($file): void
    {
        $this->tell('plugin', Components::slug((string) $file), 'deactivated', Components::version((string) $file), null);
    }

    /**
     * @param mixed $file
     * @param mixed $isDeleted
     */
    public function pluginDeleted($file, $isDeleted): void
    {
        if ($isDeleted) {
            $slug = Components::slug((string) $file);
            $this->tell('plugin', $slug, 'deleted', $this->before["plugin $slug"] ?? null, null);
        }
    }

    /**
     * @param mixed $slug
     * @param mixed $isDeleted
     */
    public function themeDeleted($slug, $isDeleted): void
    {
        if ($isDeleted) {
            $this->tell('theme', (string) $slug, 'deleted', $this->before["theme $slug"] ?? null, null);
        }
    }

    /**
     * @param mixed $name
     * @param mixed $new
     * @param mixed $old
     */
    public function themeSwitched($name, $new = null, $old = null): void
    {
        if ($old instanceof \WP_Theme) {
            $this->tell('theme', $old->get_stylesheet(), 'deactivated', (string) $old->get('Version'), null);
        }
        if ($new instanceof \WP_Theme) {
            $this->tell('theme', $new->get_stylesheet(), 'activated', null, (string) $new->get('Version'));
        }
    }

    /**
     * An installation or an update is over, of one or of several.
     *
     * @param mixed $upgrader
     * @param mixed $what
     */
    public function upgraded($upgrader, $what): void
    {
        $kind = is_array($what) ? (string) ($what['type'] ?? '') : '';
        if (!in_array($kind, ['plugin', 'theme'], true)) {
            return;
        }
        $after = Components::versions();
        foreach (Versions::difference($this->before, $after) as [$changed, $slug, $action, $from, $to]) {
            if ($changed === $kind && $action !== 'deleted') {
                $this->tell($kind, $slug, $action, $from, $to);
            }
        }
        $this->before = $after;
    }

    /** @param mixed $version */
    public function coreUpdated($version): void
    {
        global $wp_version;
        $this->tell('core', 'wordpress', 'updated', (string) $wp_version, (string) $version);
    }

    private function tell(string $kind, string $slug, string $action, ?string $from, ?string $to): void
    {
        $this->isChanged = true;
        $this->emitter->emit([
            'kind' => $kind, 'slug' => Redact::slug($slug), 'action' => $action,
            'from_version' => Redact::version($from), 'to_version' => Redact::version($to),
            'direction' => $action === 'updated' ? Versions::direction($from, $to) : null,
            'actor_hash' => $this->emitter->actor(),
        ]);
    }
}
