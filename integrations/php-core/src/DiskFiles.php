<?php

declare(strict_types=1);

namespace Logystera;

/** Files of the machine. */
final class DiskFiles implements Files
{
    private const KINDS = [0100000 => 'file', 0040000 => 'folder', 0120000 => 'link'];
    private const KIND_MASK = 0170000;

    public function real(string $path): string
    {
        return (string) realpath($path);
    }

    public function names(string $folder, int $max): ?array
    {
        $handle = Quiet::call('opendir', $folder);
        if ($handle === false) {
            return null;
        }
        $names = [];
        while (count($names) < $max && ($name = readdir($handle)) !== false) {
            if ($name !== '.' && $name !== '..') {
                $names[] = $name;
            }
        }
        closedir($handle);
        sort($names, SORT_STRING);
        return $names;
    }

    public function look(string $path): ?array
    {
        clearstatcache(true, $path);
        $stat = Quiet::call('lstat', $path);
        if ($stat === false) {
            return null;
        }
        return [
            'kind' => self::KINDS[$stat['mode'] & self::KIND_MASK] ?? 'other', 'size' => $stat['size'],
            // Who writes a file may set its time of writing, and not that of its last change.
            'stamp' => "{$stat['mtime']}.{$stat['ctime']}.{$stat['ino']}", 'changed_s' => $stat['ctime'], 'mode' => $stat['mode'] & 07777,
        ];
    }

    public function text(string $path, int $bytesMax): ?string
    {
        $text = is_link($path) ? Quiet::call('readlink', $path) : Quiet::call('file_get_contents', $path, false, null, 0, $bytesMax);
        return is_string($text) ? $text : null;
    }
}
