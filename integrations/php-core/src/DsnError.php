<?php

declare(strict_types=1);

namespace Logystera;

/** A DSN that cannot be used. The message says what is wrong without repeating it, for it holds a secret. */
final class DsnError extends \InvalidArgumentException
{
}
