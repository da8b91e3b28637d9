<?php

declare(strict_types=1);

namespace Logystera;

/** A folder whose files are looked at. */
final class Watched
{
    /** @var string by what it is remembered: a-z and dashes */
    public $name;
    /** @var string */
    public $folder;
    /** @var bool whether folders in it are looked at, too */
    public $isDeep;
    /** @var string pattern of the names of files that count */
    public $pattern;
    /** @var string what a change of all its files goes with, such as the system's version: where that is another one, all is learnt anew */
    public $mark;
    /** @var bool whether strangers may put files there: then one that says nothing is none, and one that goes is nobody's loss */
    public $isPublic;
    /** @var string[] folders in it that are left out, relative to it */
    public $left;

    /** @param string[] $left */
    public function __construct(
        string $name,
        string $folder,
        bool $isDeep,
        string $pattern,
        string $mark = '',
        bool $isPublic = false,
        array $left = []
    ) {
        [$this->name, $this->folder, $this->isDeep, $this->pattern] = [$name, rtrim($folder, '/'), $isDeep, $pattern];
        [$this->mark, $this->isPublic, $this->left] = [$mark, $isPublic, $left];
    }
}
