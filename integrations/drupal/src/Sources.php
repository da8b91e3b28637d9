<?php

declare(strict_types=1);

namespace Drupal\logystera;

use Drupal\logystera\Signals\Auth;
use Drupal\logystera\Signals\Component;
use Drupal\logystera\Signals\UserChange;

/**
 * The services that hooks hand on to.
 *
 * Null where the type is off, or nobody agreed.
 */
final class Sources {

  /**
   * Who tells of sign-ins.
   */
  public static function auth(): ?Auth {
    return self::find('logystera.auth');
  }

  /**
   * Who tells of modules and themes.
   */
  public static function component(): ?Component {
    return self::find('logystera.component');
  }

  /**
   * Who tells of accounts.
   */
  public static function userChange(): ?UserChange {
    return self::find('logystera.user_change');
  }

  /**
   * The service, where it is there.
   */
  private static function find(string $id): ?object {
    return \Drupal::hasService($id) ? \Drupal::service($id) : NULL;
  }

}
