<?php

declare(strict_types=1);

namespace Logystera;

/** Whether the sending works, and if not why: facts as words of one kind, which each platform's page says in its own sentences. */
final class Standing
{
    /** Nothing was sent yet. */
    public const WAITS = 'waits';
    /** What happens gets there. */
    public const WORKS = 'works';
    /** It does, but somebody should look at something. */
    public const LOOK = 'look';
    /** It does not. */
    public const FAILS = 'fails';

    /** What an answer says. */
    public const NONE = 'none';
    public const TOOK = 'took';
    public const AGAIN = 'again';
    public const UNREAD = 'unread';
    public const KEY = 'key';
    public const ADDRESS = 'address';
    public const COPY = 'copy';
    public const CLOSED = 'closed';
    public const LARGE = 'large';
    public const QUOTA = 'quota';
    public const CLOCK = 'clock';
    public const BUSY = 'busy';
    public const STRANGER = 'stranger';
    public const UNREACHED = 'unreached';
    /** What is not an answer's to say: nothing is sent any more, the folder, scheduled jobs, a proxy that is all visitors. */
    public const SILENT = 'silent';
    public const DISK = 'disk';
    public const JOBS = 'jobs';
    public const PROXY = 'proxy';

    private const ANSWERS = [
        200 => self::AGAIN, 202 => self::TOOK, 400 => self::UNREAD, 401 => self::KEY, 404 => self::ADDRESS, 405 => self::ADDRESS,
        409 => self::COPY, 410 => self::CLOSED, 413 => self::LARGE, 415 => self::UNREAD, 422 => self::UNREAD, 429 => self::QUOTA,
    ];
    /** Answers that nobody has to do anything about. */
    private const FINE = [self::TOOK, self::AGAIN, self::COPY, self::LARGE];
    /** Answers that may be better at the next try. */
    private const PASSING = [self::UNREACHED, self::BUSY, self::QUOTA];

    /** @var string one of the first four constants */
    public $state;
    /** @var string[] why it is not WORKS, what ends the sending first */
    public $reasons;

    /** @param string[] $reasons */
    private function __construct(string $state, array $reasons)
    {
        [$this->state, $this->reasons] = [$state, $reasons];
    }

    /**
     * @param array<string, mixed> $values of State
     * @param bool $isDiskFailing whether the folder takes nothing, or took nothing and nobody has heard of it
     * @param string[] $hints what should be looked at although all is sent: JOBS, PROXY
     */
    public static function of(array $values, bool $isDiskFailing, array $hints, int $everyS, int $nowMs): self
    {
        $answer = $values['closed'] ? self::CLOSED : self::answer($values['last_answer']);
        $isSilent = $nowMs - $values['succeeded_at'] > max(Limits::SILENT_MS, 2000 * $everyS);
        $failures = $isDiskFailing ? [self::DISK] : [];
        if ($values['tried_at'] > 0 || $values['closed']) {
            if (in_array($answer, self::PASSING, true)) {
                $isSilent ? array_unshift($failures, $answer) : array_unshift($hints, $answer);
            } elseif (!in_array($answer, self::FINE, true)) {
                array_unshift($failures, $answer === self::NONE ? self::SILENT : $answer);
            } elseif ($isSilent) {
                array_unshift($failures, self::SILENT);
            }
        }
        if ($failures !== []) {
            return new self(self::FAILS, array_merge($failures, $hints));
        }
        if ($values['tried_at'] === 0) {
            return new self(self::WAITS, $hints);
        }
        return new self($hints === [] ? self::WORKS : self::LOOK, $hints);
    }

    /** What the last answer says, as State keeps it. */
    public static function answer(array $answer): string
    {
        $status = (int) ($answer['status'] ?? 0);
        if ($answer === []) {
            return self::NONE;
        }
        if ($status === 0) {
            return self::UNREACHED;
        }
        if (!($answer['is_gateway'] ?? false)) {
            return self::STRANGER;
        }
        return ($answer['code'] ?? '') === 'clock_skew' ? self::CLOCK : self::ANSWERS[$status] ?? self::BUSY;
    }

    /** Whether a reason may be none at the next try: nobody has to do anything yet. */
    public static function isPassing(string $reason): bool
    {
        return in_array($reason, self::PASSING, true);
    }

    /** Whether what was sent got there. */
    public static function isThrough(array $answer): bool
    {
        return in_array(self::answer($answer), [self::TOOK, self::AGAIN], true);
    }
}
