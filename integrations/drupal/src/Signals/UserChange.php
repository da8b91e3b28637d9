<?php

declare(strict_types=1);

namespace Drupal\logystera\Signals;

use Drupal\Core\Entity\EntityTypeManagerInterface;
use Drupal\Core\Session\AccountInterface;
use Drupal\logystera\Runtime;
use Logystera\Redact;

/**
 * Accounts and their roles, by whatever saves an account through Drupal.
 *
 * Not by writing to the database itself.
 */
final class UserChange {
  private const TYPE = 'user.change';

  /**
   * The role that is told of an account that has no other.
   */
  private const NO_ROLE = 'authenticated';

  /**
   * What makes an account another's.
   */
  private const TAKES_OVER = ['created', 'role_granted', 'password_changed', 'email_changed', 'second_factor_off'];

  public function __construct(
    private readonly Runtime $runtime,
    private readonly EntityTypeManagerInterface $entityTypeManager,
  ) {
  }

  /**
   * An account was made.
   */
  public function created(AccountInterface $account): void {
    $this->runtime->guard(self::TYPE, function () use ($account): void {
      $roles = self::roles($account);
      $this->tell('created', array_shift($roles) ?? self::NO_ROLE, $account);
      foreach ($roles as $role) {
        $this->tell('role_granted', $role, $account);
      }
    });
  }

  /**
   * An account was saved.
   */
  public function updated(AccountInterface $account): void {
    $this->runtime->guard(self::TYPE, function () use ($account): void {
      // Drupal 11.2 has a method for it, and complains of the property.
      $original = method_exists($account, 'getOriginal') ? $account->getOriginal() : ($account->original ?? NULL);
      if (!$original instanceof AccountInterface) {
        return;
      }
      foreach (array_diff(self::roles($original), self::roles($account)) as $role) {
        $this->tell('role_revoked', $role, $account);
      }
      foreach (array_diff(self::roles($account), self::roles($original)) as $role) {
        $this->tell('role_granted', $role, $account);
      }
      foreach (['pass' => 'password_changed', 'mail' => 'email_changed'] as $field => $action) {
        if (self::value($original, $field) !== self::value($account, $field)) {
          $this->tell($action, self::roles($account)[0] ?? self::NO_ROLE, $account);
        }
      }
    });
  }

  /**
   * An account was deleted.
   */
  public function deleted(AccountInterface $account): void {
    $this->runtime->guard(self::TYPE, function () use ($account): void {
      $this->tell('deleted', self::roles($account)[0] ?? self::NO_ROLE, $account);
    });
  }

  /**
   * An account has no second factor any more.
   */
  public function secondFactorOff(int $uid): void {
    $this->runtime->guard(self::TYPE, function () use ($uid): void {
      $account = $this->entityTypeManager->getStorage('user')->load($uid);
      if ($account instanceof AccountInterface) {
        $this->tell('second_factor_off', self::roles($account)[0] ?? self::NO_ROLE, $account);
      }
    });
  }

  /**
   * The value of an account's field.
   */
  private static function value(AccountInterface $account, string $field): string {
    return method_exists($account, 'get') ? (string) $account->get($field)->value : '';
  }

  /**
   * The roles of an account.
   *
   * @return string[]
   *   The roles that somebody gave.
   */
  private static function roles(AccountInterface $account): array {
    return array_values(array_unique(array_map('strval', $account->getRoles(TRUE))));
  }

  /**
   * Makes the signal.
   */
  private function tell(string $action, string $role, AccountInterface $account): void {
    $emitter = $this->runtime->emitter(self::TYPE);
    $isVital = in_array($action, self::TAKES_OVER, TRUE) && $account->hasPermission(Auth::PRIVILEGE);
    if ($emitter === NULL || (!$isVital && !$emitter->takesOne())) {
      return;
    }
    $name = (string) $account->getAccountName();
    $emitter->emit([
      'action' => $action,
      'role' => Redact::slug($role),
      'user_hash' => $emitter->user($name),
      'user_length' => $emitter->userLength($name),
      'actor_hash' => $emitter->actor(),
    ], $isVital);
  }

}
