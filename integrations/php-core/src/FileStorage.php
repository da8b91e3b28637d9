<?php

declare(strict_types=1);

namespace Logystera;

/** A folder of the file system, readable by its owner only. */
final class FileStorage implements Storage
{
    /** Tries to lock a file that is replaced again and again. */
    private const LOCK_TRIES_MAX = 100;

    /** @var string */
    private $folder;
    /** @var bool */
    private $isRoot;

    public function __construct(string $folder)
    {
        $this->folder = rtrim($folder, '/');
        $this->isRoot = function_exists('posix_geteuid') && posix_geteuid() === 0;
    }

    public function folder(): string
    {
        return $this->folder;
    }

    public function lock(string $name, bool $waits)
    {
        $path = $this->path($name);
        return $this->lockAs($path, 'c', $waits);
    }

    /** @return resource|null */
    private function lockAs(string $path, string $mode, bool $waits)
    {
        for ($try = 0; $try < self::LOCK_TRIES_MAX; $try++) {
            $file = $this->open($path, $mode);
            if ($file === null) {
                return null;
            }
            if (!flock($file, $waits ? LOCK_EX : LOCK_EX | LOCK_NB)) {
                fclose($file);
                return null;
            }
            // Who waited may hold a file that was removed meanwhile: others then lock the new one, and both would
            // write.
            clearstatcache();
            $held = fstat($file);
            $named = Quiet::call('stat', $path);
            if ($named !== false && [$named['dev'], $named['ino']] === [$held['dev'], $held['ino']]) {
                return $file;
            }
            fclose($file);
        }
        return null;
    }

    public function unlock($lock): void
    {
        flock($lock, LOCK_UN);
        fclose($lock);
    }

    public function read(string $name, int $offset = 0, int $length = PHP_INT_MAX): ?string
    {
        $file = Quiet::call('fopen', $this->path($name), 'rb');
        if ($file === false) {
            return null;
        }
        $bytes = $length === PHP_INT_MAX
            ? stream_get_contents($file, -1, $offset)
            : stream_get_contents($file, $length, $offset);
        fclose($file);
        return $bytes === false ? '' : $bytes;
    }

    public function ends(string $name, int $headBytes, int $tailBytes): ?array
    {
        $file = Quiet::call('fopen', $this->path($name), 'rb');
        if ($file === false) {
            return null;
        }
        $size = fstat($file)['size'];
        if ($size <= $headBytes + $tailBytes) {
            $all = (string) stream_get_contents($file);
            fclose($file);
            return [
                'head' => substr($all, 0, $headBytes), 'tail' => $tailBytes === 0 ? '' : substr($all, -$tailBytes),
                'size' => strlen($all),
            ];
        }
        $head = (string) stream_get_contents($file, $headBytes);
        $tail = $tailBytes === 0 ? '' : (string) stream_get_contents($file, $tailBytes, $size - $tailBytes);
        fclose($file);
        return ['head' => $head, 'tail' => $tail, 'size' => $size];
    }

    public function size(string $name): ?int
    {
        clearstatcache();
        $size = Quiet::call('filesize', $this->path($name));
        return $size === false ? null : $size;
    }

    public function writtenAt(string $name): ?int
    {
        clearstatcache();
        $seconds = Quiet::call('filemtime', $this->path($name));
        return $seconds === false ? null : $seconds * 1000;
    }

    public function append(string $name, string $bytes): bool
    {
        $file = $this->open($this->path($name), 'ab');
        if ($file === null) {
            return false;
        }
        $isWhole = self::put($file, $bytes, (int) fstat($file)['size']);
        fclose($file);
        return $isWhole;
    }

    public function grow(string $name, string $head, callable $bytes): bool
    {
        $file = $this->lockAs($this->path($name), 'a+b', true);
        if ($file === null) {
            return false;
        }
        try {
            $size = (int) fstat($file)['size'];
            if ($size > 0 && stream_get_contents($file, strlen($head), 0) !== $head) {
                ftruncate($file, 0);
                $size = 0;
            }
            $more = $bytes($size);
            return $more === '' || self::put($file, $size === 0 ? $head . $more : $more, $size);
        } finally {
            $this->unlock($file);
        }
    }

    /** Writes all of it or nothing. @param resource $file @param int $size the file's, before */
    private static function put($file, string $bytes, int $size): bool
    {
        $isWhole = Quiet::call('fwrite', $file, $bytes) === strlen($bytes) && fflush($file);
        if (!$isWhole) {
            ftruncate($file, $size);
        }
        return $isWhole;
    }

    public function write(string $name, string $bytes, bool $durably): bool
    {
        $path = $this->path($name);
        $new = $this->path($name . '.new');
        $file = $this->open($new, 'wb');
        if ($file === null) {
            return false;
        }
        $isWhole = Quiet::call('fwrite', $file, $bytes) === strlen($bytes) && fflush($file);
        // PHP can sync from 8.1 on; before, a power cut can take the last seconds.
        if ($isWhole && $durably && function_exists('fsync')) {
            $sync = 'fsync';
            $isWhole = $sync($file);
        }
        fclose($file);
        if ($isWhole && Quiet::call('rename', $new, $path)) {
            return true;
        }
        Quiet::call('unlink', $new);
        return false;
    }

    /** Opens a file for writing that is its owner's only, and is who the folder is, before anything is in it. @return resource|null */
    private function open(string $path, string $mode)
    {
        $file = Quiet::call('fopen', $path, $mode);
        if ($file === false) {
            return null;
        }
        if ((fstat($file)['mode'] & 0077) !== 0) {
            Quiet::call('chmod', $path, 0600);
        }
        $this->handOver($path);
        return $file;
    }

    public function rename(string $from, string $to): bool
    {
        return Quiet::call('rename', $this->path($from), $this->path($to));
    }

    public function delete(string $name): void
    {
        Quiet::call('unlink', $this->path($name));
    }

    public function identity(): string
    {
        $stat = Quiet::call('stat', $this->folder);
        return $stat === false ? '' : (string) $stat['ino'];
    }

    /** What a command makes as root belongs to whom the folder belongs to: the site could not go on with it otherwise. */
    private function handOver(string $path): void
    {
        if ($this->isRoot) {
            $folder = Quiet::call('stat', $this->folder);
            if ($folder !== false && $folder['uid'] !== 0) {
                Quiet::call('chown', $path, $folder['uid']);
                Quiet::call('chgrp', $path, $folder['gid']);
            }
        }
    }

    /**
     * Every name ends like a script: where a server hands files of the folder out, it runs them, and they say nothing.
     */
    private function path(string $name): string
    {
        return $this->folder . '/' . $name . '.php';
    }
}
