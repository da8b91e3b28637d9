<?php

declare(strict_types=1);

namespace Logystera;

/**
 * Finds files that changed, a small slice at a time. What was seen lies in the spool's folder: in `files` how far the pass is, in
 * `files0`, `files1` and so on size, time, rights and digest of each file of a watched folder. Their absence means that nothing was
 * seen yet. A folder's first pass only learns; so does the first one after its mark changed, or after renew().
 */
final class Integrity
{
    /**
     * Fresh state: the folder that is looked at, whether its files are (`walk`) or those that were there before (`gone`), behind which;
     * marks of the folders whose files are known; digests of files that somebody else told of; whole passes.
     */
    private const FRESH = ['at' => '', 'phase' => 'walk', 'behind' => '', 'known' => [], 'told' => [], 'passes' => 0];

    /** @var Storage */
    private $storage;
    /** @var Clock */
    private $clock;
    /** @var Files */
    private $files;
    /** @var array<string, mixed> */
    private $state = self::FRESH;
    /** @var array<string, array{0: int, 1: string, 2: int, 3: string}> size, stamp, mode and digest by name, of the folder at hand */
    private $entries = [];
    /** @var bool */
    private $isTouched = false;
    /** @var Changed[] */
    private $found = [];
    /** @var int when the slice ends, names that it saw, files that it read */
    private $end = 0;
    /** @var int */
    private $names = 0;
    /** @var int */
    private $reads = 0;
    /** @var int files for which there was no room */
    private $left = 0;

    public function __construct(Storage $storage, Clock $clock, Files $files)
    {
        [$this->storage, $this->clock, $this->files] = [$storage, $clock, $files];
    }

    /**
     * Looks at the next slice. At the end of a pass it stops; the next slice begins anew.
     *
     * @param Watched[] $watched each with a name of its own; in the same order at each call
     * @return Changed[] none where another process looks, or the folder cannot be written: told twice is worse than told late
     */
    public function look(array $watched): array
    {
        $watched = array_slice($watched, 0, Limits::WATCHED_FOLDERS_MAX);
        $lock = $this->storage->lock('look', false);
        if ($lock === null) {
            return [];
        }
        try {
            $this->state = $this->load();
            [$this->found, $this->names, $this->reads, $this->left] = [[], 0, 0, 0];
            $this->end = $this->clock->monotonicMs() + Limits::LOOK_MS;
            $index = max(0, (int) array_search($this->state['at'], array_column($watched, 'name'), true));
            for (; $index < count($watched); $index++) {
                if (!$this->through($watched[$index], "files$index")) {
                    break;
                }
            }
            if ($index >= count($watched)) {
                $this->state = ['at' => '', 'passes' => $this->state['passes'] + 1] + $this->state;
            }
            return $this->save() ? $this->found : [];
        } finally {
            $this->storage->unlock($lock);
        }
    }

    /**
     * What the site itself changed is no attack: these folders are learnt anew.
     *
     * @param string[] $names of watched folders
     */
    public function renew(array $names): void
    {
        $lock = $this->storage->lock('look', true);
        if ($lock === null) {
            return;
        }
        $this->state = $this->load();
        foreach ($names as $name) {
            unset($this->state['known'][$name]);
        }
        if (in_array($this->state['at'], $names, true)) {
            [$this->state['phase'], $this->state['behind']] = ['walk', ''];
        }
        $this->save();
        $this->storage->unlock($lock);
    }

    /**
     * Somebody told of these files already, who saw how they came.
     *
     * @param string[] $files their whole paths
     */
    public function told(array $files): void
    {
        $lock = $this->storage->lock('look', true);
        if ($lock === null) {
            return;
        }
        $this->state = $this->load();
        foreach ($files as $file) {
            $this->state['told'][] = self::digest($this->files->real($file));
        }
        $this->state['told'] = array_slice($this->state['told'], -Limits::WATCHED_TOLD_MAX);
        $this->save();
        $this->storage->unlock($lock);
    }

    /** Whole passes so far. */
    public function passes(): int
    {
        return $this->load()['passes'];
    }

    /** Files that the last slice had no room to remember. */
    public function left(): int
    {
        return $this->left;
    }

    /** Goes on in one folder. @return bool whether it is through; false where the slice ended first */
    private function through(Watched $one, string $file): bool
    {
        if ($this->state['at'] !== $one->name) {
            $this->state = ['at' => $one->name, 'phase' => 'walk', 'behind' => ''] + $this->state;
        }
        // A link may lead to the folder itself; from there on none is followed.
        $root = $this->files->real($one->folder);
        $there = $root === '' ? null : $this->files->names($root, 1);
        $entries = $this->read($file, $one->name);
        $known = $entries === null ? null : ($this->state['known'][$one->name] ?? null);
        if ($known !== null && ($there === null || ($there === [] && $one->isPublic))) {
            // A disk that is away is no attack.
            return true;
        }
        if ($known !== [$one->mark]) {
            if ($known !== null) {
                // In the midst of a pass, too: what is behind was compared with what is no more.
                $this->state = ['phase' => 'walk', 'behind' => ''] + $this->state;
            }
            unset($this->state['known'][$one->name]);
            $known = null;
        }
        if ($entries === null) {
            $this->state = ['phase' => 'walk', 'behind' => ''] + $this->state;
        }
        [$this->entries, $this->isTouched] = [$entries ?? [], $entries === null];
        $isKnown = $known !== null;
        $isWalked = $there === null || $this->state['phase'] === 'gone'
            || $this->walk($one, $root, '', $this->state['behind'], $isKnown, 0);
        $isThrough = $there === null || ($isWalked && $this->gone($one, $root, $isKnown));
        if ($this->isTouched && !$this->write($file, $one->name)) {
            // What cannot be remembered would be told again and again.
            $this->found = [];
            return false;
        }
        if ($isThrough) {
            $this->state['known'][$one->name] = [$one->mark];
        }
        return $isThrough;
    }

    /**
     * Looks at what lies behind a place, in the order of names.
     *
     * @param string $below the folder, relative to the root; empty, or with a slash at its end
     * @param string $behind where the slice before ended, relative to the folder; empty for its beginning
     */
    private function walk(Watched $one, string $root, string $below, string $behind, bool $isKnown, int $depth): bool
    {
        [$first, $rest] = array_pad(explode('/', $behind, 2), 2, '');
        foreach ($this->files->names("$root/$below", Limits::FOLDER_NAMES_MAX) ?? [] as $name) {
            $order = $behind === '' ? 1 : strcmp($name, $first);
            if ($order < 0 || ($order === 0 && $rest === '')) {
                continue;
            }
            if ($this->isOver()) {
                return false;
            }
            $this->names++;
            $path = $below . $name;
            $seen = $this->files->look("$root/$path");
            if ($seen !== null && $seen['kind'] === 'folder') {
                $isIn = $one->isDeep && $depth < Limits::FOLDER_DEPTH_MAX && !in_array($path, $one->left, true);
                if ($isIn && !$this->walk($one, $root, "$path/", $order === 0 ? $rest : '', $isKnown, $depth + 1)) {
                    return false;
                }
            } elseif ($seen !== null && $seen['kind'] !== 'other' && preg_match($one->pattern, $name) === 1) {
                $this->compare($one, "$root/$path", $path, $seen, $isKnown);
            }
            $this->state['behind'] = $path;
        }
        if ($depth === 0) {
            [$this->state['phase'], $this->state['behind']] = ['gone', ''];
        }
        return true;
    }

    private function compare(Watched $one, string $file, string $path, array $seen, bool $isKnown): void
    {
        $before = $this->entries[$path] ?? null;
        if ($before !== null && [$before[0], $before[1], $before[2]] === [$seen['size'], $seen['stamp'], $seen['mode']]) {
            return;
        }
        $hasRoom = strlen($path) <= Limits::WATCHED_NAME_BYTES_MAX && count($this->entries) < Limits::WATCHED_FILES_MAX;
        if ($before === null && !$hasRoom) {
            $this->left++;
            return;
        }
        $this->reads++;
        $text = $this->files->text($file, Script::READ_BYTES_MAX);
        $digest = $text === null ? ($before[3] ?? '') : self::digest($text);
        // Its times have seconds: what is written in this one once more would look the same.
        $isYoung = $seen['changed_s'] >= intdiv($this->clock->nowMs(), 1000) - 1;
        [$this->entries[$path], $this->isTouched] = [[$seen['size'], $isYoung ? '' : $seen['stamp'], $seen['mode'], $digest], true];
        $isSame = $before !== null && [$before[0], $before[2]] === [$seen['size'], $seen['mode']]
            && in_array($before[3], ['', $digest], true);
        $isNothing = $before === null && $one->isPublic && $text !== null && Script::isSilent($text);
        if ($isKnown && !$isSame && !$isNothing && !$this->isTold($file)) {
            $this->found[] = new Changed($one, $path, $seen['size'] - ($before[0] ?? 0), Script::heuristics((string) $text) + [
                'permission_change' => $before !== null && $before[2] !== $seen['mode'],
            ]);
        }
    }

    private function isTold(string $file): bool
    {
        $at = array_search(self::digest($file), $this->state['told'], true);
        if ($at !== false) {
            array_splice($this->state['told'], (int) $at, 1);
        }
        return $at !== false;
    }

    private static function digest(string $text): string
    {
        return substr(hash('sha256', $text), 0, 24);
    }

    /** Looks for what was there before and is not any more. */
    private function gone(Watched $one, string $root, bool $isKnown): bool
    {
        foreach ($this->entries as $path => $entry) {
            $path = (string) $path;
            if ($this->state['behind'] !== '' && strcmp($path, $this->state['behind']) <= 0) {
                continue;
            }
            if ($this->isOver()) {
                return false;
            }
            $this->names++;
            if ($this->files->look("$root/$path") === null && $this->isListed($root, $path)) {
                unset($this->entries[$path]);
                $this->isTouched = true;
                if ($isKnown && !$one->isPublic) {
                    $this->found[] = new Changed($one, $path, -$entry[0], []);
                }
            }
            $this->state['behind'] = $path;
        }
        return true;
    }

    /** Whether the folder can be asked of which it is missed: one whose rights were taken away tells nothing of what is in it. */
    private function isListed(string $root, string $path): bool
    {
        do {
            $path = strpos($path, '/') === false ? '' : dirname($path);
        } while ($path !== '' && $this->files->look("$root/$path") === null);
        return $this->files->names("$root/$path", 1) !== null;
    }

    /** Whether the slice ends here. In a folder with very many names a slice comes on, however long they took to list. */
    private function isOver(): bool
    {
        return $this->names >= Limits::LOOK_NAMES_MAX
            || ($this->clock->monotonicMs() >= $this->end && ($this->names >= Limits::LOOK_NAMES_MIN || $this->reads > 0));
    }

    private function load(): array
    {
        $values = json_decode((string) $this->storage->read('files', strlen(Spool::GUARD)), true);
        $state = self::FRESH;
        foreach (is_array($values) ? $values : [] as $key => $value) {
            // A damaged file is one that was never written.
            $state[$key] = gettype($value) === gettype(self::FRESH[$key] ?? null) ? $value : (self::FRESH[$key] ?? null);
        }
        $state['behind'] = rawurldecode($state['behind']);
        $state['told'] = array_values(array_filter($state['told'], 'is_string'));
        return array_intersect_key($state, self::FRESH);
    }

    private function save(): bool
    {
        $state = ['behind' => rawurlencode($this->state['behind'])] + $this->state;
        return $this->storage->write('files', Spool::GUARD . json_encode($state, JSON_UNESCAPED_SLASHES), false);
    }

    /** @return array<string, array{0: int, 1: string, 2: int, 3: string}>|null null where it is not there, or another folder's */
    private function read(string $file, string $name): ?array
    {
        $lines = explode("\n", (string) $this->storage->read($file, strlen(Spool::GUARD)));
        if (array_shift($lines) !== $name) {
            return null;
        }
        $entries = [];
        foreach ($lines as $line) {
            $parts = explode("\t", $line);
            if (count($parts) === 5) {
                $entries[rawurldecode($parts[0])] = [(int) $parts[1], $parts[2], (int) $parts[3], $parts[4]];
            }
        }
        ksort($entries, SORT_STRING);
        return $entries;
    }

    private function write(string $file, string $name): bool
    {
        $text = Spool::GUARD . "$name\n";
        foreach ($this->entries as $path => $entry) {
            $text .= rawurlencode((string) $path) . "\t" . implode("\t", $entry) . "\n";
        }
        return $this->storage->write($file, $text, false);
    }
}
