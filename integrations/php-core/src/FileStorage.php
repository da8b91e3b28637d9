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
        for ($try = 0; $try < self::LOCK_TRIES_MAX; $try++) {
            $file = self::open($path, 'c');
            if ($file === null) {
                return null;
            }
            $this->handOver($path);
            if (!flock($file, $waits ? LOCK_EX : LOCK_EX | LOCK_NB)) {
                fclose($file);
                return null;
            }
            // Who waited may hold a file that was removed meanwhile: others then lock the new one, and both would
            // write.
            clearstatcache(true, $path);
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

    public function size(string $name): ?int
    {
        $path = $this->path($name);
        clearstatcache(true, $path);
        $size = Quiet::call('filesize', $path);
        return $size === false ? null : $size;
    }

    public function writtenAt(string $name): ?int
    {
        $path = $this->path($name);
        clearstatcache(true, $path);
        $seconds = Quiet::call('filemtime', $path);
        return $seconds === false ? null : $seconds * 1000;
    }

    public function append(string $name, string $bytes): bool
    {
        $file = self::open($this->path($name), 'ab');
        if ($file === null) {
            return false;
        }
        $this->handOver($this->path($name));
        $size = fstat($file)['size'];
        $written = Quiet::call('fwrite', $file, $bytes);
        $isWhole = $written === strlen($bytes) && fflush($file);
        if (!$isWhole) {
            ftruncate($file, $size);
        }
        fclose($file);
        return $isWhole;
    }

    public function write(string $name, string $bytes, bool $durably): bool
    {
        $path = $this->path($name);
        $new = $this->path($name . '.new');
        $file = self::open($new, 'wb');
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
        $this->handOver($new);
        if ($isWhole && Quiet::call('rename', $new, $path)) {
            return true;
        }
        Quiet::call('unlink', $new);
        return false;
    }

    /** Opens a file for writing that is its owner's only, before anything is in it. @return resource|null */
    private static function open(string $path, string $mode)
    {
        $file = Quiet::call('fopen', $path, $mode);
        if ($file === false) {
            return null;
        }
        if ((fstat($file)['mode'] & 0077) !== 0) {
            Quiet::call('chmod', $path, 0600);
        }
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
