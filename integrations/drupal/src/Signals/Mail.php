<?php

declare(strict_types=1);

namespace Drupal\logystera\Signals;

use Drupal\Component\Plugin\Discovery\CachedDiscoveryInterface;
use Drupal\Component\Plugin\PluginManagerInterface;
use Drupal\Core\Cache\CacheableDependencyInterface;
use Drupal\Core\Config\ConfigFactoryInterface;
use Drupal\Core\Mail\MailManagerInterface;
use Drupal\logystera\Runtime;

/**
 * What became of each mail that went through Drupal's mail manager.
 *
 * A mailer says whether it took the mail, and not why not.
 */
final class Mail implements MailManagerInterface, CachedDiscoveryInterface, CacheableDependencyInterface {
  use Delegates;

  private const TYPE = 'mail.outcome';

  /**
   * How mail leaves the site.
   *
   * By a mailer's id, or the scheme that Symfony's mailer is set to.
   */
  private const TRANSPORTS = [
    'php_mail' => 'mail',
    'sendmail' => 'mail',
    'native' => 'mail',
    'smtp' => 'smtp',
    'smtps' => 'smtp',
    'SMTPMailSystem' => 'smtp',
    'phpmailer_smtp' => 'smtp',
  ];

  public function __construct(
    private readonly PluginManagerInterface $inner,
    private readonly Runtime $runtime,
    private readonly ConfigFactoryInterface $configFactory
  ) {
  }

  /**
   * {@inheritdoc}
   */
  public function mail($module, $key, $to, $langcode, $params = [], $reply = NULL, $send = TRUE) {
    try {
      $message = $this->inner->mail($module, $key, $to, $langcode, $params, $reply, $send);
    }
    catch (\Throwable $fault) {
      $this->tell('failed', (string) $module, (string) $key, $to);
      throw $fault;
    }
    if ($send) {
      // A module that takes a mail back sets `send`, and Drupal sets `result`
      // to null.
      $result = is_array($message) ? ($message['result'] ?? NULL) : NULL;
      $outcome = $result === NULL ? 'skipped' : ($result ? 'sent' : 'failed');
      $this->tell($outcome, (string) $module, (string) $key, $message['to'] ?? $to);
    }
    return $message;
  }

  /**
   * The manager that is decorated.
   */
  protected function manager(): PluginManagerInterface {
    return $this->inner;
  }

  /**
   * Makes the signal.
   */
  private function tell(string $outcome, string $module, string $key, mixed $to): void {
    $this->runtime->guard(self::TYPE, function () use ($outcome, $module, $key, $to): void {
      $recipients = is_array($to) ? $to : explode(',', (string) $to);
      $this->runtime->emitter(self::TYPE)?->emit([
        'outcome' => $outcome,
        'transport' => $this->transport($module, $key),
        'error_class' => $outcome === 'failed' ? 'other' : NULL,
        'recipients' => count(array_filter($recipients, static fn ($r): bool => is_string($r) && trim($r) !== '')),
      ]);
    });
  }

  /**
   * The most particular mailer wins, as in Drupal.
   */
  private function transport(string $module, string $key): string {
    $settings = $this->configFactory->get('system.mail');
    $mailers = (array) $settings->get('interface');
    $mailer = (string) ($mailers["{$module}_$key"] ?? $mailers[$module] ?? $mailers['default'] ?? '');
    if ($mailer === 'symfony_mailer') {
      $mailer = (string) ($settings->get('mailer_dsn')['scheme'] ?? '');
    }
    return self::TRANSPORTS[$mailer] ?? 'other';
  }

}
