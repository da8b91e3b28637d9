<?php

declare(strict_types=1);

namespace Drupal\logystera\Signals;

use Drupal\Core\Config\ConfigFactoryInterface;
use Drupal\Core\Entity\EntityTypeManagerInterface;
use Drupal\Core\Flood\FloodInterface;
use Drupal\Core\Form\FormStateInterface;
use Drupal\Core\Session\AccountInterface;
use Drupal\logystera\Runtime;
use Logystera\Limits;
use Symfony\Component\EventDispatcher\EventSubscriberInterface;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpKernel\Event\ExceptionEvent;
use Symfony\Component\HttpKernel\Event\RequestEvent;
use Symfony\Component\HttpKernel\Event\ResponseEvent;
use Symfony\Component\HttpKernel\Exception\HttpExceptionInterface;
use Symfony\Component\HttpKernel\KernelEvents;

/**
 * Sign-ins: by the form, the login route of REST, HTTP Basic, a one-time link.
 *
 * One signal for each attempt. It looks at what Drupal decided; no password
 * comes by here.
 */
final class Auth implements EventSubscriberInterface {
  private const TYPE = 'auth.attempt';

  /**
   * Who has this right runs the site.
   */
  public const PRIVILEGE = 'administer site configuration';
  private const REST_ROUTE = 'user.login.http';
  private const RESET_ROUTES = ['user.reset', 'user.reset.login', 'user.reset.form'];
  private const BASIC_MODULE = 'basic_auth';

  /**
   * Bytes of a REST sign-in that are read.
   */
  private const BODY_BYTES_MAX = 65536;

  /**
   * Whether this request posted the sign-in form.
   */
  private bool $isForm = FALSE;

  /**
   * Whether HTTP Basic is locked for who asks now.
   */
  private bool $isBasicLocked = FALSE;

  public function __construct(
    private readonly Runtime $runtime,
    private readonly EntityTypeManagerInterface $entityTypeManager,
    private readonly AccountInterface $currentUser,
    private readonly FloodInterface $flood,
    private readonly ConfigFactoryInterface $configFactory,
    private readonly array $modules
  ) {
  }

  /**
   * {@inheritdoc}
   */
  public static function getSubscribedEvents(): array {
    return [
      // Drupal looks at HTTP Basic at 300.
      KernelEvents::REQUEST => [['basicBegins', 301], ['basicEnds', 299]],
      // Before Drupal makes an answer of the exception.
      KernelEvents::EXCEPTION => ['restFailed', 100],
      KernelEvents::RESPONSE => 'linkFailed',
    ];
  }

  /**
   * Somebody is signed in, whatever way: hook_user_login().
   */
  public function signedIn(AccountInterface $account): void {
    $this->runtime->guard(self::TYPE, function () use ($account): void {
      $this->tell('success', $this->method(), NULL, (string) $account->getAccountName(), $account);
    });
  }

  /**
   * Drupal has looked at the form: `uid` is set where it accepts the password.
   */
  public function formValidated(FormStateInterface $state): void {
    $this->runtime->guard(self::TYPE, function () use ($state): void {
      $this->isForm = TRUE;
      $name = (string) $state->getValue('name');
      $hasPassword = trim((string) $state->getValue('pass')) !== '';
      if ($name === '' || !$hasPassword || $state->get('uid')) {
        return;
      }
      $account = $this->account($name);
      if ($state->get('flood_control_triggered')) {
        $this->tell('lockout', 'form', 'blocked', $name, $account);
      }
      else {
        $this->tell('failure', 'form', self::reason($account), $name, $account);
      }
    });
  }

  /**
   * Drupal sends a link, or would if there were such an account.
   *
   * It looks at the name in the form's validation, and says the same to whoever
   * asks.
   */
  public function resetRequested(FormStateInterface $state): void {
    $this->runtime->guard(self::TYPE, function () use ($state): void {
      $name = trim((string) $state->getValue('name'));
      if ($name === '') {
        return;
      }
      $found = $state->getValue('account');
      $account = $found instanceof AccountInterface ? $found : $this->account($name);
      $this->tell('reset_requested', 'form', $account === NULL ? 'unknown_user' : NULL, $name, $account);
    });
  }

  /**
   * The login route of REST says by exceptions that it refuses.
   */
  public function restFailed(ExceptionEvent $event): void {
    $this->runtime->guard(self::TYPE, function () use ($event): void {
      $error = $event->getThrowable();
      $request = $event->getRequest();
      if ($request->attributes->get('_route') !== self::REST_ROUTE || !$error instanceof HttpExceptionInterface) {
        return;
      }
      $text = (string) $request->getContent();
      $isLong = strlen($text) > self::BODY_BYTES_MAX;
      $body = $isLong ? NULL : json_decode($text, TRUE);
      $name = is_array($body) && is_string($body['name'] ?? NULL) ? $body['name'] : '';
      if (!$isLong && ($name === '' || !is_string($body['pass'] ?? NULL))) {
        return;
      }
      $account = $this->account($name);
      if ($error->getStatusCode() === 429 || $error->getCode() === 429) {
        $this->tell('lockout', 'rest', 'blocked', $name, $account);
      }
      else {
        // Nobody's sign-in is so long: it is told, and not read once more.
        $this->tell('failure', 'rest', $isLong ? 'other' : self::reason($account), $name, $account);
      }
    });
  }

  /**
   * Asked before Drupal counts this try.
   */
  public function basicBegins(RequestEvent $event): void {
    $this->runtime->guard(self::TYPE, function () use ($event): void {
      if (!$this->isBasic($event)) {
        return;
      }
      $account = $this->account(self::basicName($event->getRequest()));
      $limits = $this->configFactory->get('user.flood');
      $who = $account === NULL ? '' : $account->id() . ($limits->get('uid_only') ? '' : '-' . $event->getRequest()->getClientIp());
      $this->isBasicLocked =
        !$this->flood->isAllowed('basic_auth.failed_login_ip', $limits->get('ip_limit'), $limits->get('ip_window'))
        || ($who !== '' && !$this->flood->isAllowed(
          'basic_auth.failed_login_user',
          $limits->get('user_limit'),
          $limits->get('user_window'),
          $who
        ));
    });
  }

  /**
   * Asked after Drupal looked at HTTP Basic.
   */
  public function basicEnds(RequestEvent $event): void {
    $this->runtime->guard(self::TYPE, function () use ($event): void {
      if (!$this->isBasic($event)) {
        return;
      }
      $name = self::basicName($event->getRequest());
      $account = $this->account($name);
      if ($this->currentUser->isAuthenticated()) {
        $this->tell('success', 'rest', NULL, $name, $account);
      }
      elseif ($this->isBasicLocked) {
        $this->tell('lockout', 'rest', 'blocked', $name, $account);
      }
      else {
        $this->tell('failure', 'rest', self::reason($account), $name, $account);
      }
    });
  }

  /**
   * A one-time link is not good any more.
   *
   * Drupal leads to the form that sends another then.
   */
  public function linkFailed(ResponseEvent $event): void {
    $this->runtime->guard(self::TYPE, function () use ($event): void {
      $attributes = $event->getRequest()->attributes;
      $target = (string) parse_url((string) $event->getResponse()->headers->get('Location'), PHP_URL_PATH);
      $isRefused = in_array($attributes->get('_route'), self::RESET_ROUTES, TRUE) && str_ends_with($target, '/user/password');
      if ($event->isMainRequest() && $isRefused) {
        $account = $this->entityTypeManager->getStorage('user')->load($attributes->get('uid'));
        $name = $account === NULL ? '' : (string) $account->getAccountName();
        $this->tell('failure', 'one_time_link', 'expired', $name, $account);
      }
    });
  }

  /**
   * Whether somebody signs in by HTTP Basic.
   */
  private function isBasic(RequestEvent $event): bool {
    $headers = $event->getRequest()->headers;
    return $event->isMainRequest() && isset($this->modules[self::BASIC_MODULE])
      && $headers->has('PHP_AUTH_USER') && (string) $headers->get('PHP_AUTH_PW') !== '';
  }

  /**
   * The name that HTTP Basic gives.
   */
  private static function basicName(Request $request): string {
    return (string) $request->headers->get('PHP_AUTH_USER');
  }

  /**
   * How somebody came in.
   *
   * What is neither a form, nor REST, nor a link by mail has asked elsewhere.
   */
  private function method(): string {
    if ($this->isForm) {
      return 'form';
    }
    $request = $this->runtime->request();
    if ($request?->attributes->get('_route') === self::REST_ROUTE) {
      return 'rest';
    }
    if (in_array($request?->attributes->get('_route'), self::RESET_ROUTES, TRUE)) {
      return 'one_time_link';
    }
    return PHP_SAPI === 'cli' && $request?->attributes->get('_route') === NULL ? 'cli' : 'sso';
  }

  /**
   * The account of this name, if there is one.
   */
  private function account(string $name): ?AccountInterface {
    $isName = $name !== '' && strlen($name) <= Limits::LOGIN_BYTES_MAX;
    $found = $isName ? $this->entityTypeManager->getStorage('user')->loadByProperties(['name' => $name]) : [];
    $account = reset($found);
    return $account instanceof AccountInterface ? $account : NULL;
  }

  /**
   * Why a sign-in failed.
   */
  private static function reason(?AccountInterface $account): string {
    if ($account === NULL) {
      return 'unknown_user';
    }
    return $account->isBlocked() ? 'blocked' : 'bad_password';
  }

  /**
   * Makes the signal.
   */
  private function tell(string $outcome, string $method, ?string $reason, string $name, ?AccountInterface $account): void {
    $emitter = $this->runtime->emitter(self::TYPE);
    $login = $account === NULL ? $name : (string) $account->getAccountName();
    $isPrivileged = $account === NULL ? NULL : (bool) $account->hasPermission(self::PRIVILEGE);
    $emitter?->emit([
      'outcome' => $outcome,
      'method' => $method,
      'reason' => $reason,
      'user_hash' => $login === '' ? NULL : $emitter->user($login),
      'user_length' => $login === '' ? NULL : $emitter->userLength($name),
      'source' => $emitter->source(),
      'privileged' => $isPrivileged,
      'network' => $emitter->network(),
    ], $outcome === 'success' && $isPrivileged === TRUE);
  }

}
