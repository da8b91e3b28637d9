<?php

declare(strict_types=1);

namespace Drupal\logystera\Admin;

use Drupal\Core\Datetime\DateFormatterInterface;
use Drupal\Core\StringTranslation\StringTranslationTrait;
use Drupal\logystera\Settings;
use Logystera\DsnError;
use Logystera\Hasher;

/**
 * Names of the machine in words for who owns the site.
 */
final class Words {
  use StringTranslationTrait;

  public function __construct(private readonly DateFormatterInterface $dates) {
  }

  /**
   * The types, in words for an owner.
   *
   * @return array<string, array{0: string|\Stringable, 1: string|\Stringable}>
   *   By type: what it is, and what is told of it.
   */
  public function types(): array {
    return [
      'auth.attempt' => [$this->t('Sign-ins'), $this->t('who signs in, who fails, who is locked out')],
      'user.change' => [$this->t('Accounts'), $this->t('new and deleted users, changed roles and passwords')],
      'component.lifecycle' => [
        $this->t('Modules, themes and Drupal'), $this->t('installed, updated, switched on or off, deleted'),
      ],
      'file.edit' => [
        $this->t('Files'), $this->t("Drupal's own files and settings that change, scripts among the public files"),
      ],
      'config.change' => [$this->t('Configuration'), $this->t('which configuration was changed; never its value')],
      'mail.outcome' => [$this->t('Mail'), $this->t('whether mail goes out; never what is in it')],
      'cron.run' => [$this->t('Cron'), $this->t('whether it and its jobs run, and how long they take')],
      'php.error' => [$this->t('Faults of the site'), $this->t('errors of PHP, and which module has them')],
      'db.event' => [$this->t('Database'), $this->t('errors and slow queries')],
      'shop.order' => [$this->t('Orders of a shop'), $this->t('paid, failed, taken back; never what or whose')],
      'http.request' => [$this->t('Visits'), $this->t('which pages are asked for, and which fail')],
    ];
  }

  /**
   * What this module watches, in words for an owner.
   *
   * @return array<string, array{0: string|\Stringable, 1: string|\Stringable}>
   *   The types that this module has.
   */
  public function watched(): array {
    $known = array_intersect_key($this->types(), array_flip(Settings::TYPES));
    foreach (array_diff(Settings::TYPES, array_keys($known)) as $type) {
      $known[$type] = [$type, ''];
    }
    return $known;
  }

  /**
   * A type in words; one that is not ours as it is.
   */
  public function type(string $type): string|\Stringable {
    return $this->types()[$type][0] ?? $type;
  }

  /**
   * Why something was lost.
   */
  public function reason(string $reason): string|\Stringable {
    return match ($reason) {
      'overflow' => $this->t('There were more than there was room for.'),
      'disk' => $this->t('The disk took nothing.'),
      'expired' => $this->t('They could not be sent for six days.'),
      'refused' => $this->t('They were not accepted: update this module.'),
      default => $reason,
    };
  }

  /**
   * What a hash stands for, as a kind.
   */
  public function kind(string $kind): string|\Stringable {
    return match ($kind) {
      Hasher::USER => $this->t('user'),
      Hasher::ADDRESS => $this->t('address on the internet'),
      Hasher::FILE => $this->t('file'),
      Hasher::MESSAGE => $this->t('message'),
      Hasher::VALUE => $this->t('configuration'),
      Hasher::QUERY => $this->t('query'),
      default => $kind,
    };
  }

  /**
   * The faults of a connection key, in words for an owner.
   *
   * @return array<string, string>
   *   What is wrong with a DSN, by constant of DsnError.
   */
  public function faults(): array {
    return array_map('strval', [
      DsnError::SHAPE => $this->t(
        'This is no connection key. It is one line that begins with https:// and ends with ?audience= and a name. Copy it whole.'
      ),
      DsnError::IDS => $this->t('The part behind https:// is not complete. Copy the whole line again.'),
      DsnError::SECRET => $this->t('The secret in the middle was cut or changed on the way. Copy the whole line again.'),
      DsnError::AUDIENCE => $this->t('The end is missing: ?audience= and a name. Copy the whole line again.'),
      DsnError::PATH => $this->t('The end should be /v1/batches?audience= and a name. Copy the whole line again.'),
      DsnError::PLAIN => $this->t('It has to begin with https://. Ask whoever runs the service for such a key.'),
    ]);
  }

  /**
   * A time in ms, as the site writes times.
   */
  public function time(int $ms): string|\Stringable {
    return $ms > 0 ? $this->dates->format(intdiv($ms, 1000), 'medium') : $this->t('never');
  }

  /**
   * How long ago a time in ms is.
   */
  public function ago(int $ms): string|\Stringable {
    return $this->dates->formatTimeDiffSince(intdiv($ms, 1000), ['granularity' => 1]);
  }

}
