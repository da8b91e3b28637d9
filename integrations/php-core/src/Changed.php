<?php

declare(strict_types=1);

namespace Logystera;

/** A file that is not what it was. */
final class Changed
{
    /** @var Watched */
    public $where;
    /** @var string below its folder, without a slash before it */
    public $name;
    /** @var int bytes that it grew by */
    public $sizeDelta;
    /** @var array<string, bool> heuristics of `file.edit` that the file itself decides */
    public $heuristics;

    /** @param array<string, bool> $heuristics */
    public function __construct(Watched $where, string $name, int $sizeDelta, array $heuristics)
    {
        [$this->where, $this->name, $this->sizeDelta, $this->heuristics] = [$where, $name, $sizeDelta, $heuristics];
    }

    /** The path as `file.edit` has it. $below: path of the folder below the site's root */
    public function path(string $below): string
    {
        // What ends the path of a request does not end a file's.
        return Redact::path(strtr(rtrim($below, '/') . '/' . $this->name, '?#;', '___'));
    }
}
