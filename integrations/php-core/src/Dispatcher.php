<?php

declare(strict_types=1);

namespace Logystera;

/** Carries claimed batches to the gateway, one after the other, by one process at a time. */
final class Dispatcher
{
    /** @var Storage */
    private $storage;
    /** @var Clock */
    private $clock;
    /** @var Randomness */
    private $randomness;
    /** @var Transport */
    private $transport;
    /** @var Claims */
    private $claims;

    public function __construct(Storage $storage, Clock $clock, Randomness $randomness, Transport $transport)
    {
        $this->storage = $storage;
        $this->clock = $clock;
        $this->randomness = $randomness;
        $this->transport = $transport;
        $this->claims = new Claims($storage, new Spool($storage, $clock), $clock);
    }

    /**
     * Sends what waits, and a heartbeat where one is due.
     *
     * @param int $budgetMs for all of it, in milliseconds
     * @param bool $isAsked an operator wants an answer now: no pause is kept, and something is sent in any case
     */
    public function flush(Dsn $dsn, Owner $owner, Frame $frame, int $budgetMs, bool $isAsked = false): Flushed
    {
        $lock = $this->storage->lock('flush', false);
        if ($lock === null) {
            return new Flushed($this->storage->size('flush') === null ? Flushed::UNWRITABLE : Flushed::BUSY);
        }
        try {
            $state = State::load($this->storage);
            $this->settleOwner($state, $owner);
            if ($state->values['closed']) {
                return new Flushed(Flushed::CLOSED);
            }
            $this->settleClock($state);
            $this->claims->expire($state);
            return $this->sendAll($state, $dsn, $frame, $budgetMs, $isAsked);
        } finally {
            $this->storage->unlock($lock);
        }
    }

    /** A spool that belongs to another one is a copy: it goes on under a new id, with all that lies in it. */
    private function settleOwner(State $state, Owner $owner): void
    {
        $before = $state->values['owner'];
        $isOwn = $owner->owns($before) && $state->values['spool'] !== '';
        if (!$isOwn) {
            if ($owner->isElsewhere($before)) {
                $state->values['closed'] = false;
                $state->values['clock_offset_ms'] = 0;
            }
            $state->health = new Health();
            $state->values['next_try_at'] = 0;
            $state->values['owner'] = $owner->toArray();
            $this->renew($state);
        } elseif ($before !== $owner->toArray()) {
            $state->values['owner'] = $owner->toArray();
            $state->save($this->storage);
        }
    }

    /** A clock that went back was wrong before, and what was learnt of it with it. */
    private function settleClock(State $state): void
    {
        $now = $this->clock->nowMs();
        if (max($state->values['claimed_at'], $state->values['tried_at']) > $now + Limits::CLOCK_BACK_MS) {
            $state->values['clock_offset_ms'] = 0;
            foreach (['claimed_at', 'succeeded_at', 'tried_at', 'cron_at', 'renewed_at'] as $time) {
                $state->values[$time] = min($state->values[$time], $now);
            }
            $state->values['claimed_at'] = 0;
        }
    }

    private function renew(State $state): void
    {
        $state->values['spool'] = bin2hex($this->randomness->bytes(8));
        $state->values['seq'] = 0;
        if ($state->values['batch'] !== null) {
            $this->claims->unclaim($state);
        } else {
            $state->save($this->storage);
        }
    }

    private function sendAll(State $state, Dsn $dsn, Frame $frame, int $budgetMs, bool $isAsked): Flushed
    {
        $end = $this->clock->monotonicMs() + $budgetMs;
        [$answer, $batches] = [null, 0];
        while (true) {
            if (!$isAsked && $state->waitMs($this->clock->nowMs()) > 0) {
                return new Flushed($answer === null ? Flushed::WAITING : Flushed::FAILED, $answer, $batches);
            }
            if ($state->values['batch'] === null) {
                $since = $this->clock->nowMs() - $state->values['claimed_at'];
                $isDue = $since < 0 || $since >= $frame->flushEveryS * 1000 - Limits::HEARTBEAT_SLACK_MS;
                $claimed = $this->claims->claim($state, $frame, $isDue || ($isAsked && $answer === null));
                if ($claimed === null) {
                    return new Flushed(Flushed::UNWRITABLE, $answer, $batches);
                }
                if (!$claimed) {
                    return new Flushed($batches > 0 ? Flushed::SENT : Flushed::IDLE, $answer, $batches);
                }
            }
            $left = $end - $this->clock->monotonicMs();
            if ($left < Limits::TRY_MS_MIN) {
                return new Flushed($batches > 0 ? Flushed::SENT : Flushed::FAILED, $answer, $batches);
            }
            $isFirst = $this->claims->mark($state);
            if ($isFirst === null) {
                return new Flushed(Flushed::UNWRITABLE, $answer, $batches);
            }
            $answer = $this->tryOnce($state, $dsn, $left);
            if ($answer === null) {
                continue;
            }
            $verdict = $this->judge($state, $answer, $isFirst);
            if ($verdict === Verdict::STOP) {
                return new Flushed(Flushed::CLOSED, $answer, $batches);
            }
            if ($verdict === Verdict::WAIT) {
                return new Flushed(Flushed::FAILED, $answer, $batches);
            }
            $batches += in_array($verdict, [Verdict::DONE, Verdict::DUPLICATE, Verdict::DROP], true) ? 1 : 0;
        }
    }

    /** One try; null where the claimed bytes are gone, and the signals are to be claimed anew. */
    private function tryOnce(State $state, Dsn $dsn, int $timeoutMs): ?Answer
    {
        $bytes = $this->claims->bytes($state);
        if ($bytes === null) {
            $this->claims->unclaim($state);
            return null;
        }
        $values = &$state->values;
        $batch = $values['spool'] . '.' . $values['batch']['seq'];
        $encoding = $values['batch']['encoding'];
        $sentAt = $this->clock->nowMs();
        $ts = intdiv($sentAt + $values['clock_offset_ms'], 1000);
        $headers = [
            'Content-Type' => 'application/json',
            'Logystera-Signature' => $dsn->sign($ts, $batch, $encoding, $bytes),
        ];
        if ($encoding !== 'identity') {
            $headers['Content-Encoding'] = $encoding;
        }
        $answer = $this->transport->post($dsn->url, $headers, $bytes, $timeoutMs);
        $values['tried_at'] = $this->clock->nowMs();
        if ($answer->body !== null) {
            // The middle of the request stands for the time at which the gateway looked at its clock.
            $middle = intdiv($sentAt + $values['tried_at'], 2);
            $values['clock_offset_ms'] = ClockOffset::learn(
                $values['clock_offset_ms'],
                $answer->body['server_time'],
                $middle
            );
        }
        return $answer;
    }

    /** Does what an answer asks for. @return string a constant of Verdict */
    private function judge(State $state, Answer $answer, bool $isFirst): string
    {
        $verdict = Verdict::of($answer, $state->health, $this->randomness, $isFirst);
        $values = &$state->values;
        $batch = $values['batch'];
        $values['last_answer'] = [
            'status' => $answer->status, 'code' => $answer->code(), 'failure' => $answer->failure,
            'is_gateway' => $answer->body !== null, 'refused' => $answer->refusedSignals(),
        ];
        $values['next_try_at'] = 0;
        switch ($verdict->next) {
            case Verdict::DONE:
            case Verdict::DUPLICATE:
                $values['succeeded_at'] = $values['tried_at'];
                $values['accepted'] += max(0, $batch['count'] - $answer->refusedSignals());
                $this->claims->settle($state);
                break;
            case Verdict::SPLIT:
                if ($batch['count'] > 1) {
                    $values['limit'] = max(1, intdiv($batch['count'], 2));
                    $this->claims->unclaim($state);
                    break;
                }
                // no break: one signal that is too large is dropped like any other that is refused
            case Verdict::DROP:
                $state->lose(Claims::reasoned($batch['counts'], 'refused'));
                $this->claims->settle($state);
                break;
            case Verdict::NEW_SPOOL:
                $values['renewed_at'] = $values['tried_at'];
                $this->renew($state);
                break;
            case Verdict::STOP:
                $values['closed'] = true;
                $state->save($this->storage);
                break;
            case Verdict::WAIT:
                $values['next_try_at'] = $values['tried_at'] + $verdict->waitMs;
                $state->save($this->storage);
                break;
        }
        return $verdict->next;
    }
}
