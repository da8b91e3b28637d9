<?php

declare(strict_types=1);

namespace Drupal\logystera;

use Drupal\Core\Site\Settings as SiteSettings;
use Drupal\Core\State\StateInterface;
use Logystera\Quiet;
use Logystera\Redact;
use Logystera\Script;
use Logystera\Versions;

/**
 * Looks, from the background, at what nothing tells of: modules and themes that came and went as files, another version of Drupal, a
 * new hash salt, scripts among the public files.
 */
final class Watch
{
    /** Pause between two looks, in seconds: each reads the heads of all modules' files. */
    private const EVERY_S = 300;
    /** Public files that are looked at, by their names; beyond, the rest is left. */
    private const FILES_MAX = 20000;
    /** Scripts that are remembered. */
    private const SCRIPTS_MAX = 500;
    /** Where Drupal itself keeps what it makes, among the public files. */
    private const MADE_BY_DRUPAL = ['php', 'css', 'js', 'styles'];
    private const SALT = 'settings.hash_salt';

    public function __construct(
        private readonly Runtime $runtime,
        private readonly StateInterface $state,
        private readonly Components $components,
        private readonly string $root,
        private readonly string $sitePath
    ) {
    }

    /** Looks if it is time, or asked to. The first look only remembers. */
    public function look(bool $isAsked = false): void
    {
        $seen = $this->state->get(Settings::STATE_WATCH);
        $seen = is_array($seen) ? $seen : [];
        $since = time() - (int) ($seen['at'] ?? 0);
        if (!$isAsked && $since >= 0 && $since < self::EVERY_S) {
            return;
        }
        $now = [
            'at' => time(), 'components' => $this->components->versions(), 'core' => \Drupal::VERSION,
            'salt' => $this->salt(), 'scripts' => $this->scripts(),
        ];
        // Kept before it is told: told twice is worse than found once more by hand.
        $this->state->set(Settings::STATE_WATCH, $now);
        if (isset($seen['components'], $seen['core'])) {
            $this->tellComponents($seen, $now);
        }
        $this->tellSalt($seen['salt'] ?? null, $now['salt']);
        $this->tellScripts($seen['scripts'] ?? null, $now['scripts']);
    }

    private function tellComponents(array $seen, array $now): void
    {
        $emitter = $this->runtime->emitter('component.lifecycle');
        foreach ($emitter === null ? [] : Versions::signals($seen, $now, 'drupal') as $fields) {
            $emitter->emit($fields);
        }
    }

    /** Keyed hash of what the sessions and one-time links of the site hang on. */
    private function salt(): ?string
    {
        $salt = SiteSettings::get('hash_salt');
        return is_string($salt) && $salt !== '' ? $this->runtime->emitter('config.change')?->value(self::SALT, $salt) : null;
    }

    private function tellSalt(?string $before, ?string $after): void
    {
        if ($before !== null && $after !== null && $before !== $after) {
            $this->runtime->emitter('config.change')?->emit([
                'key' => self::SALT, 'action' => 'updated', 'before_hash' => $before, 'after_hash' => $after,
            ]);
        }
    }

    /**
     * Size, time and mode of each script among the public files; null where nobody wants to know.
     *
     * @return array<string, array{0: int, 1: int, 2: int}>|null
     */
    private function scripts(): ?array
    {
        $home = $this->publicFolder();
        if (!is_dir($home) || $this->runtime->emitter('file.edit') === null) {
            return null;
        }
        $skip = static fn (\SplFileInfo $file): bool => !($file->getPath() === $home && ($file->isDir()
            && (in_array($file->getFilename(), self::MADE_BY_DRUPAL, true) || str_starts_with($file->getFilename(), 'logystera-'))));
        $folders = new \RecursiveDirectoryIterator($home, \FilesystemIterator::SKIP_DOTS);
        $files = new \RecursiveIteratorIterator(
            new \RecursiveCallbackFilterIterator($folders, $skip),
            \RecursiveIteratorIterator::LEAVES_ONLY,
            \RecursiveIteratorIterator::CATCH_GET_CHILD
        );
        [$found, $count] = [[], 0];
        foreach ($files as $path => $file) {
            if (++$count > self::FILES_MAX || count($found) >= self::SCRIPTS_MAX) {
                break;
            }
            if (Script::isNamedSo((string) $path) && $file->isFile()) {
                $found[(string) $path] = [(int) $file->getSize(), (int) $file->getMTime(), $file->getPerms() & 07777];
            }
        }
        return $found;
    }

    private function tellScripts(?array $before, ?array $after): void
    {
        $emitter = $this->runtime->emitter('file.edit');
        foreach ($emitter === null || $before === null ? [] : (array) $after as $path => [$size, $time, $mode]) {
            [$oldSize, $oldTime, $oldMode] = $before[$path] ?? [0, 0, $mode];
            if (isset($before[$path]) && [$oldSize, $oldTime, $oldMode] === [$size, $time, $mode]) {
                continue;
            }
            $text = (string) Quiet::call('file_get_contents', (string) $path, false, null, 0, Script::READ_BYTES_MAX);
            $found = ['php_in_uploads' => true, 'permission_change' => $oldMode !== $mode] + Script::heuristics($text);
            $emitter->emit([
                'path' => Redact::path($emitter->relative((string) $path)), 'size_delta' => $size - $oldSize,
                'heuristics' => array_keys(array_filter($found)),
            ]);
        }
    }

    private function publicFolder(): string
    {
        $path = (string) SiteSettings::get('file_public_path', $this->sitePath . '/files');
        return rtrim($path[0] === '/' ? $path : $this->root . '/' . $path, '/');
    }
}
