<?php

declare(strict_types=1);

namespace Logystera;

/** The signals of the next batch, cut from the text of a segment. */
final class Cut
{
    /** @var string[] JSON of each signal */
    public $signals = [];
    /** @var array<string, array{0: int, 1: int}> by type: how many, and the first one's time */
    public $counts = [];
    /** @var array<string, array{0: int, 1: int}> what was passed over: too old, or torn by a crash; `type|reason` */
    public $lost = [];
    /** @var array<string, array{0: int, 1: int}> the part of it that lies before the first signal */
    public $lostBefore = [];
    /** @var int where the first of the signals begins, and where the last one ends */
    public $from = 0;
    /** @var int */
    public $to = 0;
    /** @var int|null time of the first signal, of the last one (0 without any), and of the first one that stays behind */
    public $oldest = null;
    /** @var int */
    public $newest = 0;
    /** @var int|null */
    public $nextAt = null;

    private function __construct()
    {
    }

    /** No signals. */
    public static function none(): self
    {
        return new self();
    }

    /**
     * @param string $text lines of a segment, which begin at $offset of it
     * @param int $limit signals at most
     * @param int $tooOld signals before this time are given up
     * @param int $now the clock; a signal that is far ahead of it has its time from a clock that was wrong, and gets
     * @param int $latest instead, or the time of the signal before it
     */
    public static function of(string $text, int $offset, int $limit, int $tooOld, int $now, int $latest): self
    {
        $cut = new self();
        $cut->from = $cut->to = $offset;
        [$place, $bytes] = [0, 0];
        while (($end = strpos($text, "\n", $place)) !== false) {
            $line = substr($text, $place, $end - $place);
            $place = $end + 1;
            if (preg_match('/^(\d+) (\{"type":"([a-z._]+)".*\})$/D', $line, $m) !== 1) {
                $cut->lost = $line === '' ? $cut->lost : Spool::sum($cut->lost, [self::tornKey($line) => [1, 0]]);
                $cut->passOver($offset + $place);
                continue;
            }
            [, $at, $json, $type] = $m;
            $at = (int) $at;
            if ($at > $now + Limits::CLOCK_BACK_MS) {
                $at = max($cut->newest, $latest);
                $json = (string) preg_replace('/"at":\d+/', "\"at\":$at", $json, 1);
            }
            if ($at < $tooOld) {
                $cut->lost = Spool::sum($cut->lost, ["$type|expired" => [1, $at]]);
                $cut->passOver($offset + $place);
                continue;
            }
            $bytes += strlen($json) + 1;
            if (count($cut->signals) >= max(1, $limit) || ($cut->signals !== [] && $bytes > Limits::BATCH_BYTES_MAX)) {
                $cut->nextAt = $at;
                return $cut;
            }
            $cut->signals[] = $json;
            $cut->counts = Spool::sum($cut->counts, [$type => [1, $at]]);
            $cut->oldest = $cut->oldest ?? $at;
            $cut->newest = $at;
            $cut->to = $offset + $place;
        }
        if ($place < strlen($text)) {
            $cut->lost = Spool::sum($cut->lost, [self::tornKey(substr($text, $place)) => [1, 0]]);
            $cut->passOver($offset + strlen($text));
        }
        $cut->to = $offset + strlen($text);
        return $cut;
    }

    /** Counts of lines that nobody can use any more. */
    public static function torn(string $lines): array
    {
        $lost = [];
        foreach (explode("\n", $lines) as $line) {
            $lost = $line === '' ? $lost : Spool::sum($lost, [self::tornKey($line) => [1, 0]]);
        }
        return $lost;
    }

    private function passOver(int $to): void
    {
        $this->to = $to;
        if ($this->signals === []) {
            $this->from = $to;
            $this->lostBefore = $this->lost;
        }
    }

    private static function tornKey(string $line): string
    {
        return (preg_match('/"type":"([a-z._]+)"/', $line, $m) === 1 ? $m[1] : 'unknown') . '|disk';
    }
}
