<?php

declare(strict_types=1);

namespace Drupal\logystera\Admin;

use Drupal\Core\Config\ConfigFactoryInterface;
use Drupal\Core\Extension\ModuleHandlerInterface;
use Drupal\Core\State\StateInterface;
use Drupal\Core\StringTranslation\StringTranslationTrait;
use Drupal\logystera\Runtime;
use Drupal\logystera\Site;
use Logystera\Address;
use Logystera\Flushed;
use Logystera\Standing;

/**
 * Whether it works, in words for who owns the site: what is, and what to do.
 */
final class Status {
  use StringTranslationTrait;

  private const DAY_S = 86400;

  /**
   * Before so many signals a site with one visitor is a new one.
   */
  private const ACCEPTED_MIN = 500;

  /**
   * The interval of Drupal's automated cron if nobody changed it, in seconds.
   */
  private const CRON_EVERY_S = 10800;

  /**
   * Cron is overdue when it is so much later, in seconds.
   */
  private const CRON_LATE_S = 3600;

  public function __construct(
    private readonly Runtime $runtime,
    private readonly StateInterface $state,
    private readonly ConfigFactoryInterface $configFactory,
    private readonly ModuleHandlerInterface $moduleHandler
  ) {
  }

  /**
   * Whether it works, and if not, why.
   */
  public function standing(Site $site): Standing {
    $hints = $this->isCronLate() ? [Standing::JOBS] : [];
    if ($this->onlySource($site) !== '') {
      $hints[] = Standing::PROXY;
    }
    $values = $site->outbox->state()->values;
    $everyS = $this->runtime->settings->flushEveryS();
    return Standing::of($values, self::isDiskFailing($site), $hints, $everyS, 1000 * time());
  }

  /**
   * What is wrong, or should be looked at.
   *
   * @return array<int, string|\Stringable>
   *   Why it does not work, or what should be looked at, a sentence or two
   *   each.
   */
  public function problems(): array {
    $site = $this->runtime->site();
    return $site === NULL
      ? [$this->t('Logystera is not set up: nothing is recorded and nothing is sent.')]
      : array_map(fn (string $reason) => $this->say($reason), $this->standing($site)->reasons);
  }

  /**
   * Whether it works, in some words.
   *
   * $reason: the first one why not, if there is one.
   */
  public function title(string $state, string $reason = ''): \Stringable {
    return match ($state) {
      Standing::WORKS => $this->t('It works.'),
      Standing::LOOK => Standing::isPassing($reason)
        ? $this->t('It did not get through just now.') : $this->t('It works, but look at this:'),
      Standing::FAILS => $this->t('It does not work.'),
      default => $this->t('Set up. Nothing was sent yet.'),
    };
  }

  /**
   * Whether the folder takes nothing.
   *
   * Or took nothing, and the gateway has not heard of it.
   */
  public static function isDiskFailing(Site $site): bool {
    return !$site->outbox->isWritable() || $site->ledger->counts() !== [] || $site->outbox->isDiskLossUntold();
  }

  /**
   * The one address that all visitors of the last day had.
   *
   * Where that is a proxy's by all appearance; else empty.
   */
  private function onlySource(Site $site): string {
    $isNew = $site->outbox->state()->values['accepted'] < self::ACCEPTED_MIN;
    $sources = $isNew ? [] : $site->lookup->sources(self::DAY_S);
    return count($sources) === 1 && Address::isPrivate($sources[0]) ? $sources[0] : '';
  }

  /**
   * Whether Drupal's cron has not run for long.
   */
  public function isCronLate(): bool {
    $everyS = $this->moduleHandler->moduleExists('automated_cron')
      ? (int) $this->configFactory->get('automated_cron.settings')->get('interval')
      : 0;
    // A new Drupal may not have run it yet.
    $since = time() - (int) $this->state->get('system.cron_last', $this->state->get('install_time', 0));
    return $since > max($everyS, self::CRON_EVERY_S) + self::CRON_LATE_S;
  }

  /**
   * Whether what was asked for got through.
   */
  public function isThrough(Flushed $flushed): bool {
    return !in_array($flushed->outcome, [Flushed::BUSY, Flushed::UNWRITABLE, Flushed::CLOSED], TRUE)
      && Standing::isThrough($this->lastAnswer());
  }

  /**
   * What a flush came to, for who asked for it.
   */
  public function outcome(Flushed $flushed): string|\Stringable {
    if ($flushed->outcome === Flushed::BUSY) {
      return $this->t('Something is being sent at this moment. Try again in some seconds.');
    }
    if ($flushed->outcome === Flushed::UNWRITABLE) {
      return $this->say(Standing::DISK);
    }
    if ($this->isThrough($flushed)) {
      return $this->title(Standing::WORKS) . ' ' . $this->say(Standing::TOOK);
    }
    $reason = $flushed->outcome === Flushed::CLOSED ? Standing::CLOSED : Standing::answer($this->lastAnswer());
    $state = Standing::isPassing($reason) ? Standing::LOOK : Standing::FAILS;
    return $this->title($state, $reason) . ' ' . $this->say($reason);
  }

  /**
   * What the gateway answered last.
   */
  private function lastAnswer(): array {
    return (array) $this->runtime->site()?->outbox->state()->values['last_answer'];
  }

  /**
   * A constant of Standing in words: what is, and what to do.
   */
  public function say(string $reason): \Stringable {
    $host = ['@host' => $this->runtime->settings->agreedHost()];
    return match ($reason) {
      Standing::NONE => $this->t('Nothing was sent yet.'),
      Standing::TOOK, Standing::AGAIN => $this->t('The service that watches for you has what this site sent.'),
      Standing::UNREAD => $this->t('The service does not understand what this module sends. Update the module.'),
      Standing::KEY => $this->t(
        'The service does not accept your connection key: it may have been replaced. Ask whoever runs the service for a new one, and paste it below.'
      ),
      Standing::ADDRESS => $this->t(
        'The service is not at the address that your connection key names. Paste the key again, or ask whoever runs the service for a new one.'
      ),
      Standing::COPY => $this->t('A copy of this site had sent under its name. All is sent again; there is nothing to do.'),
      Standing::CLOSED => $this->t(
        'The service has closed the account of this site. Ask whoever runs it for a new connection key, and paste it below.'
      ),
      Standing::LARGE => $this->t('It was much at once, and goes out in two parts. There is nothing to do.'),
      Standing::QUOTA => $this->t(
        'More happens here than the service takes from this site. The rest waits on the site. If you read this often, ask whoever runs the service for more room.'
      ),
      Standing::CLOCK => $this->t(
        "The clock of this site's server is wrong by more than five minutes. Ask your host to set it."
      ),
      Standing::STRANGER => $this->t(
        'Something else answers in place of the service, such as a firewall. Ask your host to let this site reach @host.',
        $host
      ),
      Standing::UNREACHED => $this->t(
        'The service at @host cannot be reached. What happens here waits, and is sent later. If it lasts, ask your host to let this site reach that address.',
        $host
      ),
      Standing::SILENT => $this->t("Nothing was sent for a long while. Ask your host to run Drupal's cron every minute."),
      Standing::JOBS => $this->t("Drupal's cron is late. Ask your host to run it regularly."),
      Standing::DISK => $this->t(
        'The folder in which events wait cannot be written, so that events are lost. Ask your host to look at the disk space and at the rights of the folder that is named below, under "Details".'
      ),
      Standing::PROXY => $this->t(
        "All visitors of the last day seem to have one address, @address, which is a proxy's. An attack could not be told from your visitors then. Ask your host to name the proxy in settings.php (reverse_proxy).",
        ['@address' => $this->runtime->site() === NULL ? '' : $this->onlySource($this->runtime->site())]
      ),
      default => $this->t(
        'The service cannot take anything at the moment. What happens here waits, and is sent later. If it lasts, tell whoever runs the service.'
      ),
    };
  }

}
