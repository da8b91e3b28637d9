<?php

declare(strict_types=1);

namespace Drupal\logystera;

use Drupal\Core\Config\ConfigFactoryInterface;
use Drupal\Core\Site\Settings as SiteSettings;
use Drupal\Core\State\StateInterface;
use Logystera\Dsn;
use Logystera\DsnError;
use Logystera\Limits;

/**
 * What an administrator decided.
 *
 * Types and intervals are configuration, which is exported and shared; the DSN
 * with its secret, the agreement and the key of hashes are state, which stays
 * in this site's database.
 */
final class Settings {
  public const CONFIG = 'logystera.settings';

  /**
   * The DSN, unless settings.php or the environment has it.
   */
  public const STATE_DSN = 'logystera.dsn';

  /**
   * The agreement: `gateway`, `at`, `by`. Without it nobody agreed.
   */
  public const STATE_CONSENT = 'logystera.consent';

  /**
   * The key of hashes, in hex.
   *
   * It never leaves the site.
   */
  public const STATE_KEY = 'logystera.key';

  /**
   * Where the spool lies: see SpoolFolder.
   */
  public const STATE_SPOOL = 'logystera.spool';

  /**
   * What Watch found when it looked last.
   */
  public const STATE_WATCH = 'logystera.watch';

  /**
   * Counts of signals that the spool's disk did not take: see Ledger.
   */
  public const STATE_LOST = 'logystera.lost';

  /**
   * Everything above; uninstalling removes each.
   */
  public const STATE_KEYS = [
    self::STATE_DSN, self::STATE_CONSENT, self::STATE_KEY, self::STATE_SPOOL, self::STATE_WATCH, self::STATE_LOST,
  ];

  /**
   * The signal types of Drupal, in the catalogue's order.
   */
  public const TYPES = [
    'auth.attempt', 'component.lifecycle', 'config.change', 'cron.run', 'db.event', 'file.edit', 'http.request',
    'mail.outcome', 'php.error', 'shop.order', 'user.change',
  ];

  private const SETTING = 'logystera_dsn';
  private const VARIABLE = 'LOGYSTERA_DSN';

  public function __construct(private readonly ConfigFactoryInterface $configFactory, private readonly StateInterface $state) {
    // The core's classes are not Drupal's to find.
    require_once dirname(__DIR__) . '/core/autoload.php';
  }

  /**
   * The types that are on, in the catalogue's order.
   *
   * @return string[]
   *   Types that are switched on, in the catalogue's order.
   */
  public function typesOn(): array {
    $off = (array) $this->configFactory->get(self::CONFIG)->get('off');
    return array_values(array_diff(self::TYPES, $off));
  }

  /**
   * How often the site promises to speak, in seconds.
   */
  public function flushEveryS(): int {
    $everyS = (int) ($this->configFactory->get(self::CONFIG)->get('flush_every_s') ?? Limits::FLUSH_EVERY_S_DEFAULT);
    return max(Limits::FLUSH_EVERY_S_MIN, min(Limits::FLUSH_EVERY_S_MAX, $everyS));
  }

  /**
   * Keeps which types are on, and how often the site speaks.
   *
   * @param string[] $typesOn
   *   By name.
   * @param int $flushEveryS
   *   In seconds.
   */
  public function save(array $typesOn, int $flushEveryS): void {
    $this->configFactory->getEditable(self::CONFIG)
      ->set('off', array_values(array_diff(self::TYPES, $typesOn)))
      ->set('flush_every_s', max(Limits::FLUSH_EVERY_S_MIN, min(Limits::FLUSH_EVERY_S_MAX, $flushEveryS)))
      ->save();
  }

  /**
   * Whether the DSN comes from settings.php or the environment.
   *
   * No field can change it then.
   */
  public function isDsnFixed(): bool {
    return self::fixedDsn() !== '';
  }

  /**
   * The DSN of settings.php or the environment, or nothing.
   */
  private static function fixedDsn(): string {
    $setting = SiteSettings::get(self::SETTING);
    return is_string($setting) && $setting !== '' ? $setting : (string) getenv(self::VARIABLE);
  }

  /**
   * Keeps a DSN that was typed.
   */
  public function saveDsn(string $text): void {
    $this->state->set(self::STATE_DSN, $text);
  }

  /**
   * The DSN; null if there is none, or one that cannot be used.
   */
  public function dsn(): ?Dsn {
    $text = self::fixedDsn();
    $text = $text === '' ? (string) $this->state->get(self::STATE_DSN, '') : $text;
    try {
      return $text === '' ? NULL : Dsn::parse($text);
    }
    catch (DsnError $error) {
      return NULL;
    }
  }

  /**
   * Whether an administrator agreed to send to this gateway.
   *
   * Another gateway needs another agreement.
   */
  public function isAgreed(?Dsn $dsn): bool {
    $consent = $dsn === NULL ? NULL : $this->state->get(self::STATE_CONSENT);
    return $dsn !== NULL && is_array($consent) && ($consent['gateway'] ?? NULL) === $dsn->host();
  }

  /**
   * Host of the gateway that is agreed to; empty for none.
   */
  public function agreedHost(): string {
    $dsn = $this->dsn();
    return $dsn !== NULL && $this->isAgreed($dsn) ? $dsn->host() : '';
  }

  /**
   * Keeps who agreed, when, and to which gateway.
   */
  public function agree(Dsn $dsn, int $userId): void {
    $this->state->set(self::STATE_CONSENT, ['gateway' => $dsn->host(), 'at' => time(), 'by' => $userId]);
  }

  /**
   * Takes the agreement back.
   */
  public function withdraw(): void {
    // What was seen last would be compared after another agreement.
    $this->state->deleteMultiple([self::STATE_CONSENT, self::STATE_WATCH]);
  }

  /**
   * Random bytes, drawn when they are first needed; 64 hex digits.
   */
  public function hashKey(): string {
    $hex = (string) $this->state->get(self::STATE_KEY, '');
    if (preg_match('/^[0-9a-f]{64}$/D', $hex) !== 1) {
      $hex = bin2hex(random_bytes(32));
      $this->state->set(self::STATE_KEY, $hex);
    }
    return (string) hex2bin($hex);
  }

}
