<?php

declare(strict_types=1);

namespace Logystera;

/** What a sender learns of its clock from the gateway's `server_time`. */
final class ClockOffset
{
    /**
     * The offset to keep, in milliseconds: server minus sender, rounded to a second; the kept one unless the measured
     * one differs by more than two seconds, so that the way's jitter does not move the signals' times.
     */
    public static function learn(int $keptMs, int $serverMs, int $senderMs): int
    {
        $bound = Limits::CLOCK_OFFSET_MS_MAX;
        $measured = max(-$bound, min($bound, $serverMs - $senderMs));
        if (abs($measured - $keptMs) <= Limits::CLOCK_STEP_MS) {
            return $keptMs;
        }
        return (int) floor(($measured + 500) / 1000) * 1000;
    }
}
