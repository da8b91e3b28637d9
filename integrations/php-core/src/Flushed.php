<?php

declare(strict_types=1);

namespace Logystera;

/** What came of a flush. */
final class Flushed
{
    /** Another process flushes. */
    public const BUSY = 'busy';
    /** The gateway closed the site. */
    public const CLOSED = 'closed';
    /** It is not time for the next try. */
    public const WAITING = 'waiting';
    /** Nothing waits. */
    public const IDLE = 'idle';
    /** What was sent got through. */
    public const SENT = 'sent';
    /** The last try did not. */
    public const FAILED = 'failed';
    /** The folder cannot be written. */
    public const UNWRITABLE = 'unwritable';

    /** What an operator has to hear of: nothing got through, or nothing can. */
    private const FAILURES = [self::FAILED, self::UNWRITABLE, self::CLOSED, self::WAITING];

    /** @var string one of the constants */
    public $outcome;
    /** @var Answer|null the last one */
    public $answer;
    /** @var int batches that got a final answer */
    public $batches;

    public function __construct(string $outcome, ?Answer $answer = null, int $batches = 0)
    {
        $this->outcome = $outcome;
        $this->answer = $answer;
        $this->batches = $batches;
    }

    /** Whether it is no success, so that a command exits with 1. Another process that sends, and nothing to send, are none. */
    public function isFailure(): bool
    {
        return in_array($this->outcome, self::FAILURES, true);
    }
}
