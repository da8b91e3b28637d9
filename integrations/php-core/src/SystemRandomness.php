<?php

declare(strict_types=1);

namespace Logystera;

/** The machine's random numbers. */
final class SystemRandomness implements Randomness
{
    public function bytes(int $count): string
    {
        return random_bytes($count);
    }

    public function upTo(int $max): int
    {
        return random_int(0, $max);
    }
}
