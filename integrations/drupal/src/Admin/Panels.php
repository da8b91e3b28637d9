<?php

declare(strict_types=1);

namespace Drupal\logystera\Admin;

use Drupal\Core\StringTranslation\StringTranslationTrait;
use Drupal\logystera\Runtime;
use Drupal\logystera\Site;
use Drupal\logystera\SpoolFolder;
use Logystera\Limits;
use Logystera\Standing;

/**
 * What the settings page shows besides its fields.
 *
 * The secret is never among it.
 */
final class Panels {
  use StringTranslationTrait;

  private const MARKS = [Standing::WORKS => '✓', Standing::FAILS => '✕', Standing::LOOK => '!', Standing::WAITS => '…'];

  /**
   * Up to when something has just happened, in seconds.
   */
  private const NOW_S = 5;

  public function __construct(
    private readonly Runtime $runtime,
    private readonly SpoolFolder $folder,
    private readonly Status $status,
    private readonly Words $words
  ) {
  }

  /**
   * The first thing on the page: whether it works, and what to do.
   *
   * By shape, word and colour together.
   */
  public function headline(?Site $site): array {
    $standing = $site === NULL ? NULL : $this->status->standing($site);
    $state = $standing === NULL ? Standing::WAITS : $standing->state;
    $isKnown = $this->runtime->settings->dsn() !== NULL;
    $title = $isKnown ? $this->t('One step is missing: agree') : $this->t('Not set up yet');
    $text = [
      'title' => self::element('h2', $standing === NULL ? $title
      : $this->status->title($state, $standing->reasons[0] ?? '')),
    ];
    if ($site === NULL && $isKnown) {
      $text['what'] = self::element('p', $this->t(
        'The connection key is saved. Nothing is recorded or sent before you tick below that you agree, and save.'
      ));
    }
    elseif ($site === NULL) {
      $text['what'] = self::element('p', $this->t(
        'Websites break quietly: mail is refused, cron stops, somebody guesses passwords, an administrator appears. Logystera notices that here, and a service of your choice tells you. Nothing is recorded or sent before you agree.'
      ));
      $text['steps'] = [
        '#theme' => 'item_list',
        '#list_type' => 'ol',
        '#items' => [
          $this->t('Paste the connection key that whoever runs the service gave you.'),
          $this->t('Agree, and save.'),
          $this->t('Try an alert: the button for it appears here.'),
        ],
      ];
    }
    else {
      foreach ($this->status->problems() as $i => $problem) {
        $text["problem_$i"] = self::element('p', $problem);
      }
      $text['heard'] = $this->heard($site, $standing->state);
    }
    return [
      '#type' => 'container',
      '#weight' => -100,
      '#attributes' => ['class' => ['logystera-state', "logystera-$state"]],
      'mark' => self::mark($state),
      'text' => ['#type' => 'container'] + $text,
    ];
  }

  /**
   * When the service was last heard of.
   */
  private function heard(Site $site, string $state): array {
    $succeeded = $site->outbox->state()->values['succeeded_at'];
    if ($succeeded > 0) {
      $words = ['@host' => $this->runtime->settings->agreedHost(), '@span' => $this->words->ago($succeeded)];
      if ($state === Standing::WORKS && time() - intdiv($succeeded, 1000) < self::NOW_S) {
        return self::element('p', $this->t('The service at @host has just heard from this site.', $words));
      }
      return self::element('p', $state === Standing::WORKS
        ? $this->t('The service at @host has heard from this site @span ago.', $words)
        : $this->t('It last heard from this site @span ago.', $words));
    }
    return $state !== Standing::WAITS ? [] : self::element('p', $this->t(
      'Press "Check now": it takes a moment, and says whether the connection works.'
    ));
  }

  /**
   * What came of trying an alert: see Drill.
   */
  public function steps(array $steps): array {
    $items = [];
    foreach ($steps as [$state, $text]) {
      $items[] = [
        '#wrapper_attributes' => ['class' => ["logystera-$state"]],
        'mark' => self::mark($state),
        'text' => self::element('span', $text),
      ];
    }
    return [
      '#theme' => 'item_list',
      '#list_type' => 'ol',
      '#attributes' => ['class' => ['logystera-steps']],
      '#items' => $items,
    ];
  }

  /**
   * A mark that says the state by its shape.
   *
   * Whoever hears the page hears the words beside it.
   */
  private static function mark(string $state): array {
    return ['#attributes' => ['class' => ['logystera-mark'], 'aria-hidden' => 'true']] + self::element('span', self::MARKS[$state]);
  }

  /**
   * A part of the page that holds a text.
   */
  private static function element(string $tag, string|\Stringable $text): array {
    // Of plain text and no markup: Drupal escapes it.
    return ['#type' => 'html_tag', '#tag' => $tag, 'text' => ['#plain_text' => (string) $text]];
  }

  /**
   * What hashes stand for.
   *
   * @param \Drupal\logystera\Site $site
   *   The site, which knows them.
   * @param string[] $hashes
   *   What is looked up.
   */
  public function meanings(Site $site, array $hashes): array {
    if ($hashes === []) {
      $says = self::element('p', $this->t('There is no code in this. A code has 32 digits and letters from a to f.'));
      return ['#attributes' => ['class' => ['logystera-says', 'logystera-bad'], 'role' => 'status']] + $says;
    }
    $rows = [];
    foreach ($site->lookup->findAll($hashes) as $i => $found) {
      $rows[] = $found === NULL
        ? [$hashes[$i], $this->t('not known here, or not any more'), '—', '—']
        : [
          $hashes[$i],
          $found['meaning'],
          $this->words->kind($found['kind']),
          $this->words->time(1000 * $found['seen']),
        ];
    }
    $heads = [$this->t('Code'), $this->t('Stands for'), $this->t('What it is'), $this->t('Last seen')];
    $table = $this->table($heads, $rows, ['class' => ['logystera-code']]);
    if (count($hashes) === Limits::LOOKUP_ASKED_MAX) {
      $table['#caption'] = $this->t('The first @count codes are shown.', ['@count' => Limits::LOOKUP_ASKED_MAX]);
    }
    return $table;
  }

  /**
   * What was lost, when and why.
   *
   * Where nothing was, that is said too.
   */
  public function losses(Site $site): array {
    $losses = $site->outbox->losses($site->ledger->counts());
    if ($losses === []) {
      return self::element('p', $this->t('Nothing was lost: all that happened was told, or waits to be.'));
    }
    $rows = array_map(fn (array $loss): array => [
      $this->words->time($loss['since']), $this->words->type($loss['type']), $loss['count'], $this->words->reason($loss['reason']),
    ], $losses);
    $heads = [$this->t('From'), $this->t('What'), $this->t('How many'), $this->t('Why')];
    return [
      'text' => self::element('p', $this->t('These events happened and were not told in detail. How many they were is told.')),
      'table' => $this->table($heads, $rows),
    ];
  }

  /**
   * For whoever helps.
   */
  public function state(Site $site): array {
    $state = $site->outbox->state();
    $values = $state->values;
    $waiting = $site->outbox->waiting();
    $folder = (string) $this->folder->known();
    $answer = $values['last_answer'];
    $rows = [
      [$this->t('Waits to be sent'), $this->t('@count events, @bytes bytes', [
        '@count' => $waiting['signals'],
        '@bytes' => $waiting['bytes'],
      ]),
      ],
      [$this->t('Last success'), $this->words->time($values['succeeded_at'])],
      [$this->t('Last answer'), $answer === [] ? $this->t('none yet')
          : trim(($answer['status'] ?? 0) . ' ' . ($answer['code'] ?? '') . ' ' . ($answer['failure'] ?? '')),
      ],
      [$this->t('Next try'), $values['next_try_at'] > 0
          ? $this->words->time($values['next_try_at']) : $this->t('when something is to be sent'),
      ],
      [$this->t('Tries'), $state->health->isCircuitOpen()
          ? $this->t('once an hour, after many failures') : $this->t('as usual'),
      ],
      [$this->t('Sent anew because of a copy or a backup'), $values['renewed_at'] > 0
          ? $this->t('@time: what was refused went out anew, nothing was lost', [
            '@time' => $this->words->time($values['renewed_at']),
          ])
          : $this->words->time(0),
      ],
      [$this->t('Cron'), $this->status->isCronLate() ? $this->t('late: have the system run it') : $this->t('in time')],
      [$this->t('Folder'), $this->folder->isOutsideWebRoot($folder)
          ? $this->t('@folder, outside the web root', ['@folder' => $folder])
          : $this->t('@folder, below the web root, unreadable by URL', ['@folder' => $folder]),
      ],
    ];
    return ['#type' => 'table', '#rows' => $rows, '#attributes' => ['class' => ['logystera-table']]];
  }

  /**
   * The last batch, exactly as it was sent.
   */
  public function lastBatch(Site $site): array {
    return [
      '#type' => 'textarea',
      '#title' => $this->t('What was sent last, exactly as it was sent'),
      '#rows' => 12,
      '#value' => $site->outbox->lastBatch(),
      '#attributes' => ['readonly' => 'readonly'],
    ];
  }

  /**
   * A table whose cells say on a narrow screen which column they are of.
   *
   * $first: attributes of each row's first cell.
   */
  private function table(array $heads, array $rows, array $first = []): array {
    $cells = static function (array $row) use ($heads, $first): array {
      $made = [['data' => array_shift($row), 'header' => TRUE, 'scope' => 'row'] + $first];
      foreach (array_values($row) as $i => $cell) {
        $made[] = ['data' => ['#plain_text' => (string) $cell], 'data-logystera-head' => (string) $heads[$i + 1]];
      }
      return $made;
    };
    return [
      '#type' => 'table',
      '#header' => $heads,
      '#rows' => array_map($cells, $rows),
      '#attributes' => ['class' => ['logystera-table']],
    ];
  }

}
