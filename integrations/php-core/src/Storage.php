<?php

declare(strict_types=1);

namespace Logystera;

/** A folder of few files with short names. Everything that a spool does on disk goes through here. */
interface Storage
{
    /**
     * Takes an exclusive lock that no other process has, and that is still the one others will take: the file that
     * was locked is the one that now has the name.
     *
     * @return resource|null what `unlock` wants; null where it is taken and $waits is false, or the folder cannot be
     * written
     */
    public function lock(string $name, bool $waits);

    /** @param resource $lock */
    public function unlock($lock): void;

    /** Bytes from $offset on, at most $length; null if there is no such file. */
    public function read(string $name, int $offset = 0, int $length = PHP_INT_MAX): ?string;

    /** Bytes of the file; null if there is none. */
    public function size(string $name): ?int;

    /** When the file was written last, in ms since 1970 to the second; null if there is none. */
    public function writtenAt(string $name): ?int;

    /** Appends all of it or nothing. */
    public function append(string $name, string $bytes): bool;

    /** Replaces the file whole or not at all; $durably also through a power cut. */
    public function write(string $name, string $bytes, bool $durably): bool;

    public function rename(string $from, string $to): bool;

    public function delete(string $name): void;

    /** What tells this folder from a copy of it; the same for all who share it. */
    public function identity(): string;
}
