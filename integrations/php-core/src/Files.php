<?php

declare(strict_types=1);

namespace Logystera;

/** The site's own files, which are only looked at. No link is followed. */
interface Files
{
    /** Where a path leads through links; empty where nothing is there. */
    public function real(string $path): string;

    /**
     * Names in a folder, in the order of their bytes, so many at most; null where it is none or cannot be listed.
     *
     * @return string[]|null
     */
    public function names(string $folder, int $max): ?array;

    /**
     * What lies there; null if nothing does, or it cannot be asked.
     *
     * @return array{kind: string, size: int, stamp: string, changed_s: int, mode: int}|null `kind` is file, folder, link or other;
     * `stamp` differs once it was written or its rights were changed, which was at `changed_s`, in seconds since 1970
     */
    public function look(string $path): ?array;

    /** The file's beginning, so many bytes at most; of a link, where it leads; null where it cannot be read. */
    public function text(string $path, int $bytesMax): ?string;
}
