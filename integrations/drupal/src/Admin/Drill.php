<?php

declare(strict_types=1);

namespace Drupal\logystera\Admin;

use Drupal\Core\Mail\MailManagerInterface;
use Drupal\Core\Render\RenderContext;
use Drupal\Core\Render\RendererInterface;
use Drupal\Core\StringTranslation\StringTranslationTrait;
use Drupal\logystera\Runtime;
use Logystera\Limits;
use Logystera\Standing;

/**
 * Tries the whole way from a mail that fails to an alert.
 *
 * The mails are real ones for Drupal, but they fail while they are written (see
 * logystera_mail()), so that nothing leaves the site but the signals.
 */
final class Drill {
  use StringTranslationTrait;

  /**
   * The mails' key in hook_mail().
   */
  public const KEY = 'drill';
  private const TYPE = 'mail.outcome';
  private const NOBODY = 'nobody@example.invalid';

  public function __construct(
    private readonly Runtime $runtime,
    private readonly MailManagerInterface $mail,
    private readonly RendererInterface $renderer,
    private readonly Status $status
  ) {
  }

  /**
   * Has mails fail, and sends what came of it.
   *
   * @return array<int, array{0: string, 1: string|\Stringable}>
   *   How far it came: a state and a sentence each.
   */
  public function run(string $language): array {
    if (!in_array(self::TYPE, $this->runtime->settings->typesOn(), TRUE)) {
      return [[Standing::FAILS, $this->t('Mail is not watched. Tick "Mail", save, and try again.')]];
    }
    $failed = 0;
    for ($i = 0; $i < Limits::DRILL_MAILS; $i++) {
      $failed += $this->fails($language) ? 1 : 0;
    }
    if ($failed === 0) {
      $text = $this->t('No mail failed that Drupal knows of: something else seems to send the mail.');
      return [[Standing::FAILS, $text]];
    }
    $text = $this->t('@count mails failed on this site, as they were meant to.', ['@count' => $failed]);
    $steps = [[Standing::WORKS, $text]];
    $this->runtime->write();
    $flushed = $this->runtime->flush(Limits::CRON_BUDGET_MS, TRUE);
    if (!$this->status->isThrough($flushed)) {
      $steps[] = [Standing::FAILS, $this->status->outcome($flushed)];
      return $steps;
    }
    $steps[] = [Standing::WORKS, $this->t('The service that watches for you has been told.')];
    $steps[] = [Standing::WAITS, $this->t(
      'Within some minutes an alert comes to where alerts for this site go, by mail or chat: "Mail delivery is failing", and later its end; within an hour of another try none may come. If none comes at all, ask whoever runs the service where alerts for this site go to.'
      ),
    ];
    return $steps;
  }

  /**
   * Whether a mail failed as it was meant to.
   */
  private function fails(string $language): bool {
    // Drupal leaves a context of rendering behind where a mail throws.
    return $this->renderer->executeInRenderContext(new RenderContext(), function () use ($language): bool {
      try {
        $this->mail->mail('logystera', self::KEY, self::NOBODY, $language);
        return FALSE;
      }
      catch (DrillFailure $failure) {
        return TRUE;
      }
    });
  }

}
