<?php

declare(strict_types=1);

namespace Drupal\logystera\Signals;

use Drupal\logystera\Runtime;
use Drupal\user\UserDataInterface;

/**
 * Notices that an account's second factor was taken off.
 *
 * The module Two-factor Authentication (tfa) keeps with each account's data
 * whether it has one, and tells nobody when it has none any more.
 */
final class SecondFactors implements UserDataInterface {
  private const TYPE = 'user.change';
  private const MODULE = 'tfa';
  private const NAME = 'tfa_user_settings';

  public function __construct(
    private readonly UserDataInterface $inner,
    private readonly UserChange $userChange,
    private readonly Runtime $runtime,
  ) {
  }

  /**
   * {@inheritdoc}
   */
  public function get($module, $uid = NULL, $name = NULL) {
    return $this->inner->get($module, $uid, $name);
  }

  /**
   * {@inheritdoc}
   */
  public function set($module, $uid, $name, $value) {
    $isOff = $module === self::MODULE && $name === self::NAME && !self::isOn($value);
    $had = $isOff ? $this->having([$uid]) : [];
    $result = $this->inner->set($module, $uid, $name, $value);
    $this->tell($had);
    return $result;
  }

  /**
   * {@inheritdoc}
   */
  public function delete($module = NULL, $uid = NULL, $name = NULL) {
    // Without a module it is the account that goes, and without an account the
    // module: both are told as what they are.
    $modules = array_map('strval', (array) $module);
    $names = array_map('strval', (array) $name);
    $isOff = in_array(self::MODULE, $modules, TRUE) && ($names === [] || in_array(self::NAME, $names, TRUE));
    $had = $isOff ? $this->having((array) $uid) : [];
    $result = $this->inner->delete($module, $uid, $name);
    $this->tell($had);
    return $result;
  }

  /**
   * Hands on what only the one inside knows.
   */
  public function __call(string $method, array $arguments): mixed {
    return $this->inner->$method(...$arguments);
  }

  /**
   * Those of the accounts that have a second factor.
   *
   * @param array<int|string> $uids
   *   Ids of accounts.
   *
   * @return int[]
   *   Ids of accounts.
   */
  private function having(array $uids): array {
    $having = [];
    $this->runtime->guard(self::TYPE, function () use ($uids, &$having): void {
      foreach ($this->runtime->emitter(self::TYPE) === NULL ? [] : $uids as $uid) {
        if (self::isOn($this->inner->get(self::MODULE, $uid, self::NAME))) {
          $having[] = (int) $uid;
        }
      }
    });
    return $having;
  }

  /**
   * Whether that is what is kept of an account with a second factor.
   */
  private static function isOn(mixed $kept): bool {
    return is_array($kept) && !empty($kept['status']);
  }

  /**
   * Tells of the accounts that have none any more.
   *
   * @param int[] $uids
   *   Ids of accounts.
   */
  private function tell(array $uids): void {
    foreach ($uids as $uid) {
      $this->userChange->secondFactorOff($uid);
    }
  }

}
