<?php

declare(strict_types=1);

namespace Logystera;

/**
 * What an answer means for the batch and for the sender: the contract of docs/sending-batches.md as one function over
 * facts.
 */
final class Verdict
{
    /** The batch is in the log, as far as it was acceptable. */
    public const DONE = 'done';
    /** The batch is in the log from an earlier try. */
    public const DUPLICATE = 'duplicate';
    /** The batch will never be taken: it is dropped and counted. */
    public const DROP = 'drop';
    /** Too large: its number is retired, its signals go out in two. */
    public const SPLIT = 'split';
    /** Somebody else used this spool's numbers: a new spool is drawn. */
    public const NEW_SPOOL = 'new_spool';
    /** The site is closed: nothing more is sent. */
    public const STOP = 'stop';
    /** The clock was off and is corrected: again, at once. */
    public const RETRY_NOW = 'retry_now';
    /** Again, after `waitMs`. */
    public const WAIT = 'wait';

    /** @var string one of the constants */
    public $next;
    /** @var int pause before the next try, in milliseconds */
    public $waitMs;

    private function __construct(string $next, int $waitMs = 0)
    {
        $this->next = $next;
        $this->waitMs = $waitMs;
    }

    /**
     * What $answer means; changes $health.
     *
     * @param bool $isFirst whether it answers the first try of the batch. Then there is no earlier one that a
     * `duplicate` could mean: where the gateway did not compare the bytes, the number was used by somebody else.
     */
    public static function of(Answer $answer, Health $health, Randomness $randomness, bool $isFirst): self
    {
        $wasSkewed = $health->skewed;
        $health->skewed = false;
        $code = $answer->code();
        $isUsed = $answer->status === 409 || ($answer->status === 200 && $isFirst && !$answer->isSame());
        $next = $isUsed ? null : self::finalMeaning($answer);
        if ($next !== null) {
            [$health->failures, $health->conflicts, $health->strange] = [0, 0, 0];
            return new self($next);
        }
        if ($answer->body !== null) {
            if ($isUsed && $health->conflicts < Limits::CONFLICTS_MAX) {
                $health->conflicts++;
                return new self(self::NEW_SPOOL);
            }
            if ($answer->status === 401 && $code === 'clock_skew' && !$wasSkewed) {
                $health->skewed = true;
                return new self(self::RETRY_NOW);
            }
            // 404 and 405: a gateway, but not at this address.
            if (in_array($answer->status, [401, 404, 405], true) && $code !== 'clock_skew') {
                $health->strange++;
                // A key that was made a moment ago may not have reached this gateway yet.
                $isNew = $health->strange <= Limits::NEW_KEY_TRIES;
                return new self(self::WAIT, $isNew ? Limits::NEW_KEY_MS : Limits::PAUSE_MS_MAX);
            }
        }
        if (in_array($answer->status, [429, 503], true) && $answer->retryAfterS !== null) {
            // The gateway lives and says when: that opens no circuit.
            return new self(self::WAIT, min(max(1000, $answer->retryAfterS * 1000), Limits::PAUSE_MS_MAX));
        }
        $health->failures++;
        return new self(self::WAIT, self::pauseMs($health->failures, $randomness));
    }

    /** What ends the batch, or null. What has no `server_time` was not said by a gateway, whatever its status. */
    private static function finalMeaning(Answer $answer): ?string
    {
        // A proxy in between has its own limit, and does not answer in our JSON.
        if ($answer->status === 413) {
            return self::SPLIT;
        }
        if ($answer->body === null) {
            return null;
        }
        $meanings = [
            202 => self::DONE, 200 => self::DUPLICATE, 400 => self::DROP, 415 => self::DROP, 422 => self::DROP,
            410 => self::STOP,
        ];
        return $meanings[$answer->status] ?? null;
    }

    /**
     * The pause after so many failures in a row, in milliseconds: full jitter over 30 s · 2ⁿ⁻¹, so that senders which
     * failed together do not return together; an hour once the circuit is open.
     */
    private static function pauseMs(int $failures, Randomness $randomness): int
    {
        if ($failures >= Limits::FAILURES_MAX) {
            return Limits::PAUSE_MS_MAX;
        }
        return $randomness->upTo(min(Limits::BACKOFF_MS << ($failures - 1), Limits::PAUSE_MS_MAX));
    }
}
