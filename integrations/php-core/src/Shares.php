<?php

declare(strict_types=1);

namespace Logystera;

/**
 * How the room of a spool is shared: each type has a part of its own that no other takes, those by which an attack shows a larger one;
 * the rest is for whoever comes first. So a flood of one type never pushes out another.
 */
final class Shares
{
    /** The spool's room has so many units. */
    public const UNITS = 64;
    /** Units that are somebody's own. */
    public const RESERVED_UNITS = 22;
    /** Sign-ins of accounts that run the site have a share besides `auth.attempt`. */
    public const PRIVILEGED = 'auth.attempt privileged';
    private const OWN_UNITS = [
        'user.change' => 3, 'component.lifecycle' => 3, 'file.edit' => 3, 'config.change' => 3, self::PRIVILEGED => 3,
        'auth.attempt' => 1, 'cron.run' => 1, 'db.event' => 1, 'http.request' => 1, 'mail.outcome' => 1, 'php.error' => 1,
        'shop.order' => 1,
    ];
    /** What passes any share may go beyond the room by so many units. */
    private const VITAL_UNITS = 2;

    /** @var int */
    private $unit;
    /** @var int */
    private $room;
    /** @var int bytes that are used by all */
    private $used;
    /** @var callable(): array<string, int> */
    private $tally;
    /** @var array<string, int>|null bytes by share; null while nobody had to know */
    private $bytes = null;
    /** @var array<string, int> what was taken in before the tally was asked for */
    private $taken = [];

    /**
     * @param int $room bytes of the whole spool
     * @param int $used bytes that it holds now
     * @param callable(): array<string, int> $tally bytes by share; asked for once, and only if the common room is used up
     */
    public function __construct(int $room, int $used, callable $tally)
    {
        $this->unit = intdiv($room, self::UNITS);
        [$this->room, $this->used, $this->tally] = [$room, $used, $tally];
    }

    public static function units(string $share): int
    {
        return self::OWN_UNITS[$share] ?? 0;
    }

    /** Takes a line in, if there is room for it. $isVital: it passes any share. */
    public function take(string $line, bool $isVital): bool
    {
        $length = strlen($line);
        $share = self::of($line);
        if ($this->used + $length > $this->unit * (self::UNITS - self::RESERVED_UNITS) && !$this->hasRoom($share, $length, $isVital)) {
            return false;
        }
        $this->used += $length;
        if ($this->bytes === null) {
            $this->taken[$share] = ($this->taken[$share] ?? 0) + $length;
        } else {
            $this->bytes[$share] = ($this->bytes[$share] ?? 0) + $length;
        }
        return true;
    }

    /** @return array<string, int>|null bytes by share with what was taken in; null if nobody had to know */
    public function bytes(): ?array
    {
        return $this->bytes;
    }

    /** @return array<string, int> bytes by share of lines */
    public static function tally(string $lines): array
    {
        $bytes = [];
        foreach (explode("\n", $lines) as $line) {
            if ($line !== '') {
                $share = self::of($line);
                $bytes[$share] = ($bytes[$share] ?? 0) + strlen($line) + 1;
            }
        }
        return $bytes;
    }

    /** @param array<string, int> $bytes @param array<string, int> $more @return array<string, int> */
    public static function sum(array $bytes, array $more): array
    {
        foreach ($more as $share => $count) {
            $bytes[$share] = ($bytes[$share] ?? 0) + $count;
        }
        return $bytes;
    }

    private function hasRoom(string $share, int $length, bool $isVital): bool
    {
        $vital = $isVital ? $this->unit * self::VITAL_UNITS : 0;
        if ($this->used + $length > $this->room + $vital) {
            return false;
        }
        $this->bytes = $this->bytes ?? self::sum(($this->tally)(), $this->taken);
        $own = $this->unit * self::units($share);
        if ($isVital || ($this->bytes[$share] ?? 0) + $length <= $own) {
            return true;
        }
        $common = max(0, ($this->bytes[$share] ?? 0) + $length - $own);
        foreach ($this->bytes as $other => $count) {
            $common += $other === $share ? 0 : max(0, $count - $this->unit * self::units((string) $other));
        }
        return $common <= $this->unit * (self::UNITS - self::RESERVED_UNITS);
    }

    private static function of(string $line): string
    {
        $from = strpos($line, '{"type":"');
        $type = $from === false ? '' : substr($line, $from + 9, (int) strpos($line, '"', $from + 9) - $from - 9);
        return $type === 'auth.attempt' && strpos($line, '"privileged":true') !== false ? self::PRIVILEGED : $type;
    }
}
