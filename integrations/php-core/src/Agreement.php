<?php

declare(strict_types=1);

namespace Logystera;

/** What a saved settings page means for the agreement. It is with one gateway, named by its host. */
final class Agreement
{
    /** Nothing changes. */
    public const STAYS = 'stays';
    /** Somebody agrees to this gateway. */
    public const MADE = 'made';
    /** The page is saved with another gateway: what was agreed to with the one before is over, and this one is agreed to anew. */
    public const OVER = 'over';
    /** The tick was taken away: who did that is asked whether to stop and delete what waits. */
    public const IN_QUESTION = 'in question';

    /**
     * @param string $before host of the gateway that was agreed to when the page was shown; empty for none. Its tick stood in the box
     * @param string $now host of the gateway that is saved; empty for none
     */
    public static function after(string $before, string $now, bool $isTicked): string
    {
        if ($before === '') {
            return $isTicked && $now !== '' ? self::MADE : self::STAYS;
        }
        if ($before !== $now) {
            return self::OVER;
        }
        return $isTicked ? self::STAYS : self::IN_QUESTION;
    }
}
