<?php

declare(strict_types=1);

namespace Drupal\logystera;

/** The services that hooks hand on to; null where the type is off, or nobody agreed. */
final class Sources
{
    public static function auth(): ?Signals\Auth
    {
        return self::find('logystera.auth');
    }

    public static function component(): ?Signals\Component
    {
        return self::find('logystera.component');
    }

    public static function userChange(): ?Signals\UserChange
    {
        return self::find('logystera.user_change');
    }

    private static function find(string $id): ?object
    {
        return \Drupal::hasService($id) ? \Drupal::service($id) : null;
    }
}
