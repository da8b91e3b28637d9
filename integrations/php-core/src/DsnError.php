<?php

declare(strict_types=1);

namespace Logystera;

/**
 * A DSN that cannot be used. The message says what is wrong without repeating it, for it holds a secret; `fault` is what a page says in
 * its own words, one of the constants of this class.
 */
final class DsnError extends \InvalidArgumentException
{
    public const SHAPE = 'shape';
    public const IDS = 'ids';
    public const SECRET = 'secret';
    public const AUDIENCE = 'audience';
    public const PATH = 'path';
    public const PLAIN = 'plain';
    /** Of who runs the site, and not of the text. */
    public const HOST = 'host';

    /** Faults of the text, in the order in which they are looked for: src/assets/page.js does the same. */
    public const FAULTS = [self::SHAPE, self::IDS, self::SECRET, self::AUDIENCE, self::PATH, self::PLAIN];

    /** @var string */
    public $fault;

    public function __construct(string $message, string $fault = self::SHAPE)
    {
        parent::__construct($message);
        $this->fault = $fault;
    }
}
