<?php

declare(strict_types=1);

namespace Drupal\logystera\Admin;

use Drupal\Core\Datetime\DateFormatterInterface;
use Drupal\Core\StringTranslation\StringTranslationTrait;
use Drupal\logystera\Site;
use Drupal\logystera\SpoolFolder;

/** What the settings page shows besides its fields. The secret is never among it. */
final class Panels
{
    use StringTranslationTrait;

    public function __construct(
        private readonly SpoolFolder $folder,
        private readonly Status $status,
        private readonly DateFormatterInterface $dates
    ) {
    }

    /** How the sending goes. */
    public function state(Site $site): array
    {
        $state = $site->outbox->state();
        $values = $state->values;
        $waiting = $site->outbox->waiting();
        $folder = (string) $this->folder->known();
        $rows = [
            [$this->t('Buffered'), sprintf('%d (%d bytes)', $waiting['signals'], $waiting['bytes'])],
            [$this->t('Dropped'), $this->dropped($waiting['dropped'])],
            [$this->t('Last success'), $this->time($values['succeeded_at'])],
            [$this->t('Last answer'), $this->status->answer($values['last_answer'])],
            [$this->t('Numbers used by a copy or before a backup'), $values['renewed_at'] > 0
                ? $this->t('@time: what was refused went out anew, nothing was lost', ['@time' => $this->time($values['renewed_at'])])
                : $this->time(0)],
            [$this->t('Next try'), $values['next_try_at'] > 0 ? $this->time($values['next_try_at']) : $this->t('when due')],
            [$this->t('Circuit'), $state->health->isCircuitOpen() ? $this->t('open: tried once an hour') : $this->t('closed')],
            [$this->t('Cron'), $this->status->isCronLate() ? $this->t('overdue: have the system call it') : $this->t('in time')],
            [$this->t('Folder'), $this->folder->isOutsideWebRoot($folder)
                ? $this->t('@folder, outside the web root', ['@folder' => $folder])
                : $this->t('@folder, below the web root, unreadable by URL', ['@folder' => $folder])],
        ];
        return ['#type' => 'table', '#caption' => $this->t('State'), '#rows' => $rows];
    }

    /** What a hash stands for, as text. */
    public function meaning(Site $site, string $hash): string|\Stringable
    {
        $found = $site->lookup->find($hash);
        return $found === null ? $this->t('@hash is not known here.', ['@hash' => $hash]) : $this->t('@hash is @kind: @meaning (@time)', [
            '@hash' => $hash, '@kind' => $found['kind'], '@meaning' => $found['meaning'],
            '@time' => $this->time($found['seen'] * 1000),
        ]);
    }

    /** The last batch, exactly as it was sent. */
    public function lastBatch(Site $site): array
    {
        return [
            '#type' => 'textarea', '#title' => $this->t('The last batch, exactly as it was sent'), '#rows' => 12,
            '#value' => $site->outbox->lastBatch(), '#attributes' => ['readonly' => 'readonly'],
        ];
    }

    private function time(int $ms): string|\Stringable
    {
        return $ms > 0 ? $this->dates->format(intdiv($ms, 1000), 'custom', 'Y-m-d H:i:s') : $this->t('never');
    }

    private function dropped(array $counts): string|\Stringable
    {
        $parts = [];
        foreach ($counts as $key => [$count]) {
            [$type, $reason] = explode('|', (string) $key);
            $parts[] = "$type: $count ($reason)";
        }
        return $parts === [] ? $this->t('none') : implode(', ', $parts);
    }
}
