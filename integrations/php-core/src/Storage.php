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

    /**
     * The beginning and the end of a file, so many bytes of each at most, and its size, in one go; null if there is no such file.
     *
     * @return array{head: string, tail: string, size: int}|null
     */
    public function ends(string $name, int $headBytes, int $tailBytes): ?array;

    /** Bytes of the file; null if there is none. */
    public function size(string $name): ?int;

    /** When the file was written last, in ms since 1970 to the second; null if there is none. */
    public function writtenAt(string $name): ?int;

    /** Appends all of it or nothing. */
    public function append(string $name, string $bytes): bool;

    /**
     * Appends to a file under a lock of its own, all of it or nothing, so that nobody renames it meanwhile (`lock` takes the same one). A
     * file that is not there, or does not begin with $head, begins anew with it.
     *
     * @param callable(int): string $bytes what to append, by the file's size; nothing is done for an empty text
     */
    public function grow(string $name, string $head, callable $bytes): bool;

    /** Replaces the file whole or not at all; $durably also through a power cut. */
    public function write(string $name, string $bytes, bool $durably): bool;

    public function rename(string $from, string $to): bool;

    public function delete(string $name): void;

    /** What tells this folder from a copy of it; the same for all who share it. */
    public function identity(): string;
}
