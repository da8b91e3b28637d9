<?php

declare(strict_types=1);

namespace Drupal\logystera;

use Drupal\Core\Site\Settings as SiteSettings;
use Drupal\Core\State\StateInterface;
use Logystera\Folder;

/**
 * Where the spool lies: beside the web root where that can be written, else among the private files, else in a folder of the public
 * ones that nobody can guess and whose files say nothing to a browser. The name has a hash of the site's own folder, so that a
 * staging copy has a folder of its own although it has the same state.
 */
final class SpoolFolder
{
    /** The setting that fixes the folder. */
    private const SETTING = 'logystera_spool_dir';

    public function __construct(
        private readonly StateInterface $state,
        private readonly string $root,
        private readonly string $sitePath
    ) {
    }

    /** The folder, which exists and can be written; null where there is none. */
    public function find(): ?string
    {
        $fixed = $this->fixed();
        if ($fixed !== null) {
            return Folder::usable($fixed);
        }
        $stored = $this->stored();
        if (($stored['root'] ?? null) === $this->place() && is_string($stored['folder'] ?? null)) {
            $folder = Folder::usable($stored['folder']);
            // A command that another user runs must not lead the site to a folder that the web server cannot write.
            if ($folder !== null || (PHP_SAPI === 'cli' && is_dir($stored['folder']))) {
                return $folder;
            }
        }
        $token = is_string($stored['token'] ?? null) ? $stored['token'] : bin2hex(random_bytes(8));
        $folder = $this->choose($token);
        if ($folder === null) {
            return null;
        }
        $old = (string) ($stored['folder'] ?? '');
        if ($old !== '' && $old !== $folder && !is_dir((string) ($stored['root'] ?? ''))) {
            // Moved, and no copy: what the site was is gone.
            Folder::move($old, $folder);
        }
        $this->state->set(Settings::STATE_SPOOL, ['token' => $token, 'root' => $this->place(), 'folder' => $folder]);
        return $folder;
    }

    /** The folder that was found last, if it is there; nothing is made. */
    public function known(): ?string
    {
        $folder = $this->fixed();
        if ($folder === null) {
            $stored = $this->stored();
            $folder = ($stored['root'] ?? null) === $this->place() ? (string) ($stored['folder'] ?? '') : '';
        }
        return $folder !== '' && is_dir($folder) ? $folder : null;
    }

    public function isOutsideWebRoot(string $folder): bool
    {
        return Folder::isOutside($folder, [$this->root]);
    }

    /** Removes what the module made. */
    public function remove(): void
    {
        $folder = $this->known();
        if ($folder !== null) {
            Folder::remove($folder, $this->fixed() === null);
        }
    }

    /** What the configuration says: below it, each site of a multisite has a folder of its own. */
    private function fixed(): ?string
    {
        $folder = rtrim((string) SiteSettings::get(self::SETTING, ''), '/');
        return $folder === '' ? null : $folder . '/' . preg_replace('/[^0-9A-Za-z.-]+/', '-', $this->sitePath);
    }

    private function stored(): array
    {
        $stored = $this->state->get(Settings::STATE_SPOOL);
        return is_array($stored) ? $stored : [];
    }

    /** The site's own folder. */
    private function place(): string
    {
        return $this->root . '/' . $this->sitePath;
    }

    private function choose(string $token): ?string
    {
        $name = 'logystera-' . substr(hash('sha256', $this->place() . "\0" . $token), 0, 24);
        $outside = dirname($this->root) . '/.' . $name;
        // A folder that the command line makes may be one that the web server cannot write.
        $isWeb = PHP_SAPI !== 'cli' || is_dir($outside);
        if ($isWeb && $this->isOutsideWebRoot($outside) && Folder::usable($outside) !== null) {
            return $outside;
        }
        $private = (string) SiteSettings::get('file_private_path', '');
        $public = (string) SiteSettings::get('file_public_path', $this->sitePath . '/files');
        foreach ([$private, $public] as $home) {
            $folder = $home === '' ? null : Folder::usable($this->absolute($home) . '/' . $name);
            if ($folder !== null) {
                Folder::protect($folder);
                return $folder;
            }
        }
        return null;
    }

    private function absolute(string $path): string
    {
        return rtrim($path[0] === '/' ? $path : $this->root . '/' . $path, '/');
    }
}
