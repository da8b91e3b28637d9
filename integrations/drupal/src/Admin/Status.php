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

/** What the operator is told of the sending, in words. */
final class Status
{
    use StringTranslationTrait;

    /** Nothing got through for so long, in seconds. */
    private const SILENT_S = 1800;
    private const DAY_S = 86400;
    /** Before so many signals a site with one visitor is a new one. */
    private const ACCEPTED_MIN = 500;
    /** The interval of Drupal's own automated cron if nobody changed it, in seconds. */
    private const CRON_EVERY_S = 10800;
    /** Cron is overdue when it is so much later, in seconds. */
    private const CRON_LATE_S = 3600;

    public function __construct(
        private readonly Runtime $runtime,
        private readonly StateInterface $state,
        private readonly ConfigFactoryInterface $configFactory,
        private readonly ModuleHandlerInterface $moduleHandler
    ) {
    }

    /** @return array<int, string|\Stringable> what is wrong, a sentence each */
    public function problems(): array
    {
        $site = $this->runtime->site();
        if ($site === null) {
            return [$this->t('Logystera is not set up: nothing is recorded and nothing is sent.')];
        }
        $state = $site->outbox->state();
        $values = $state->values;
        $problems = [];
        if ($values['closed']) {
            $problems[] = $this->t('The gateway closed this site. Ask who runs it, and paste the DSN that they give you.');
        } elseif ($state->health->isCircuitOpen()) {
            $problems[] = $this->t('The gateway cannot be reached or refuses us; it is tried once an hour. @answer', [
                '@answer' => $this->answer($values['last_answer']),
            ]);
        } elseif ($values['tried_at'] > 0 && time() - intdiv($values['succeeded_at'], 1000) > self::SILENT_S) {
            $problems[] = $this->t('Nothing got through for over half an hour. @answer', [
                '@answer' => $this->answer($values['last_answer']),
            ]);
        }
        if (self::isDiskFailing($site)) {
            $problems[] = $this->unwritable();
        }
        $sources = $values['accepted'] < self::ACCEPTED_MIN ? [] : $site->lookup->sources(self::DAY_S);
        if (count($sources) === 1 && Address::isPrivate($sources[0])) {
            $problems[] = $this->t(
                'All visitors of the last day had one address, @address: a proxy\'s? Then a guesser of passwords is all of them. Name it '
                . 'in settings.php (reverse_proxy).',
                ['@address' => $sources[0]]
            );
        }
        if ($this->isCronLate()) {
            $problems[] = $this->t('Drupal\'s cron is overdue. Have the system call it.');
        }
        return $problems;
    }

    /** Whether the folder takes nothing, or took nothing and the gateway has not heard of it. */
    public static function isDiskFailing(Site $site): bool
    {
        return !$site->outbox->isWritable() || $site->ledger->counts() !== [] || $site->outbox->isDiskLossUntold();
    }

    private function unwritable(): \Stringable
    {
        return $this->t('The folder for signals cannot be written, and signals are lost. Check its rights and the disk.');
    }

    public function isCronLate(): bool
    {
        $everyS = $this->moduleHandler->moduleExists('automated_cron')
            ? (int) $this->configFactory->get('automated_cron.settings')->get('interval')
            : 0;
        $since = time() - (int) $this->state->get('system.cron_last', 0);
        return $since > max($everyS, self::CRON_EVERY_S) + self::CRON_LATE_S;
    }

    /** What a flush came to, for who asked for it. */
    public function outcome(Flushed $flushed): string|\Stringable
    {
        return match ($flushed->outcome) {
            Flushed::BUSY => $this->t('Another process is sending at this moment. Try again in some seconds.'),
            Flushed::UNWRITABLE => $this->unwritable(),
            default => $this->answer((array) $this->runtime->site()?->outbox->state()->values['last_answer']),
        };
    }

    /** What an answer of the gateway means, and what to do. */
    public function answer(array $answer): string|\Stringable
    {
        $status = (int) ($answer['status'] ?? 0);
        $code = (string) ($answer['code'] ?? '');
        if ($answer === []) {
            return $this->t('Nothing was sent yet.');
        }
        if ($status === 0) {
            return $this->t('The gateway did not answer: @why', ['@why' => (string) ($answer['failure'] ?? '')]);
        }
        if (!($answer['is_gateway'] ?? false)) {
            return $this->t('Something answered with status @status, but it is no gateway: a proxy or a firewall?', [
                '@status' => $status,
            ]);
        }
        $text = $code === 'clock_skew'
            ? $this->t('This machine\'s clock is wrong by more than five minutes.')
            : $this->meaning($status);
        return "$text ($status" . ($code === '' ? '' : " $code") . ')';
    }

    private function meaning(int $status): \Stringable
    {
        return match ($status) {
            200 => $this->t('The gateway has the batch from an earlier try.'),
            202 => $this->t('The gateway took the batch and has it on disk.'),
            400 => $this->t('The gateway could not read the batch. Update this module.'),
            401 => $this->t('The gateway does not accept the key. Was it revoked? Paste a new DSN.'),
            404 => $this->t('The gateway does not take batches at this address. Check the DSN.'),
            409 => $this->t('A copy of this site used the same numbers. A new spool was drawn.'),
            410 => $this->t('The gateway closed this site.'),
            413 => $this->t('The batch was too large; it goes out in two.'),
            422 => $this->t('The gateway accepted none of the signals. Update this module.'),
            429 => $this->t('The site sends more than it may. The gateway says when to go on.'),
            default => $this->t('The gateway cannot take batches at the moment; they wait here.'),
        };
    }
}
