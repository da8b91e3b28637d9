<?php

declare(strict_types=1);

namespace Logystera;

/**
 * Tells what was saved anew from what was saved as it was, as far as a request's work for it goes: who saves thousands of large objects
 * that stay as they are waits no longer for us than who saves a few.
 */
final class Comparison
{
    /** So many bytes of a text are compared for the price of one value. */
    private const TEXT_BYTES = 256;

    /** @var Clock */
    private $clock;
    /** @var int values that may be compared until the next minute, and when this one began, in ms */
    private $left = 0;
    /** @var int */
    private $since = 0;

    public function __construct(Clock $clock)
    {
        $this->clock = $clock;
    }

    /**
     * Whether two trees of arrays and scalars differ, also in the order of their keys. Null where a request, or a minute of a process that
     * runs for longer, has compared so much that nobody can say it any more.
     */
    public function differ(array $before, array $after): ?bool
    {
        $now = $this->clock->nowMs();
        if ($now - $this->since >= Limits::REQUEST_MS_MAX || $now < $this->since) {
            [$this->left, $this->since] = [Limits::REQUEST_COMPARED_MAX, $now];
        }
        // Functions of PHP by their full names: PHP does not look for ours first, and this is done for each value.
        for ($pairs = []; true; [$before, $after] = \array_pop($pairs)) {
            $count = \count($before);
            if ($count !== \count($after)) {
                return true;
            }
            if ($count >= $this->left) {
                // Not begun, so that what is smaller has its room.
                return null;
            }
            $this->left -= 1 + $count;
            if (\array_keys($before) !== \array_keys($after)) {
                return true;
            }
            foreach ($before as $key => $value) {
                if (\is_array($value)) {
                    if (!\is_array($after[$key])) {
                        return true;
                    }
                    $pairs[] = [$value, $after[$key]];
                } elseif (\is_string($value) && isset($value[self::TEXT_BYTES - 1]) && !$this->mayCompareTexts($value, $after[$key])) {
                    return null;
                } elseif ($value !== $after[$key]) {
                    return true;
                }
            }
            if ($pairs === []) {
                return false;
            }
        }
    }

    /**
     * Whether a long text is compared with another one, which costs more than a value if both are as long.
     *
     * @param mixed $other
     */
    private function mayCompareTexts(string $one, $other): bool
    {
        $price = is_string($other) && strlen($one) === strlen($other) ? intdiv(strlen($one), self::TEXT_BYTES) : 0;
        if ($price > $this->left) {
            return false;
        }
        $this->left -= $price;
        return true;
    }
}
