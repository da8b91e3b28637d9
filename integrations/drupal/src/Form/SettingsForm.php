<?php

declare(strict_types=1);

namespace Drupal\logystera\Form;

use Drupal\Core\DrupalKernelInterface;
use Drupal\Core\Form\FormBase;
use Drupal\Core\Form\FormStateInterface;
use Drupal\logystera\Admin\Drill;
use Drupal\logystera\Admin\Fields;
use Drupal\logystera\Admin\Panels;
use Drupal\logystera\Admin\Status;
use Drupal\logystera\Runtime;
use Drupal\logystera\Site;
use Drupal\logystera\SpoolFolder;
use Logystera\Agreement;
use Logystera\Dsn;
use Logystera\DsnError;
use Logystera\Limits;
use Logystera\Lookup;
use Symfony\Component\DependencyInjection\ContainerInterface;

/**
 * The settings page: whether it works, what it watches, then the rest.
 *
 * Its route wants the right `administer logystera`, and Drupal's forms want a
 * token. No field asks for a password of Drupal, and the secret of a DSN that
 * was saved is not shown again.
 *
 * What hashes stand for is also shown for a link,
 * `…/admin/config/system/logystera?hash=…,…`, which alerts and the console may
 * have. It needs no token, for it changes nothing, and who has not the right
 * sees nothing.
 */
final class SettingsForm extends FormBase {

  public function __construct(
    protected Runtime $runtime,
    protected SpoolFolder $folder,
    protected Status $status,
    protected Panels $panels,
    protected Fields $fields,
    protected Drill $drill,
    protected DrupalKernelInterface $kernel
  ) {
  }

  /**
   * {@inheritdoc}
   */
  public static function create(ContainerInterface $container): self {
    return new self(
      $container->get('logystera.runtime'),
      $container->get('logystera.spool_folder'),
      $container->get('logystera.status'),
      $container->get('logystera.panels'),
      $container->get('logystera.fields'),
      $container->get('logystera.drill'),
      $container->get('kernel')
    );
  }

  /**
   * {@inheritdoc}
   */
  public function getFormId(): string {
    return 'logystera_settings';
  }

  /**
   * {@inheritdoc}
   */
  public function buildForm(array $form, FormStateInterface $form_state): array {
    $site = $this->runtime->site();
    $form['#attached']['library'][] = 'logystera/page';
    $form['#attributes']['class'][] = 'logystera';
    $form['#cache']['max-age'] = 0;
    $save = ['#type' => 'submit', '#value' => $this->t('Save'), '#button_type' => 'primary'];
    // A browser presses the first button of a form where somebody presses Enter
    // in a field.
    $hidden = ['class' => ['visually-hidden'], 'tabindex' => '-1', 'aria-hidden' => 'true'];
    $form['enter'] = ['#weight' => -200, '#attributes' => $hidden] + $save;
    $form['headline'] = $this->panels->headline($site);
    if ($site !== NULL) {
      $form['now'] = $this->now((array) $form_state->get('steps'));
      $form['lookup'] = $this->codes($site, $this->asked($form_state));
    }
    $fault = (string) $form_state->get('dsn_fault');
    // What is to be done, or mended, stands first.
    $form['watch'] = ['#weight' => $site !== NULL && $fault === '' ? 1 : 3] + $this->fields->types($site !== NULL);
    $form['connection'] = ['#weight' => 2] + $this->fields->connection($fault);
    $form['agree'] = ['#weight' => 4] + $this->fields->agreement();
    $form['more'] = ['#weight' => 5] + $this->fields->more();
    $form['actions'] = ['#type' => 'actions', 'submit' => $save];
    if ($site !== NULL) {
      // Drupal gives actions a weight of 100, so that they would stand behind
      // all of this.
      $form['rest'] = ['#type' => 'container', '#weight' => 200] + $this->rest($site);
    }
    return $form;
  }

  /**
   * {@inheritdoc}
   *
   * A bad DSN is no error of the form: it must not keep the rest from being
   * saved.
   */
  public function submitForm(array &$form, FormStateInterface $form_state): void {
    $settings = $this->runtime->settings;
    $before = $settings->agreedHost();
    $fault = $settings->isDsnFixed() ? '' : $this->saveDsn(trim((string) $form_state->getValue('dsn')));
    $types = array_keys(array_filter((array) $form_state->getValue('types')));
    $settings->save($types, (int) $form_state->getValue('flush_every_s'));
    $this->kernel->invalidateContainer();
    if ($fault !== '') {
      // What was typed stays in the field, with what is wrong beside it. A tick
      // beside it agrees to nothing.
      $form_state->set('dsn_fault', $fault);
      $form_state->setRebuild();
      $this->messenger()->addError($this->t('The connection key was not saved. The rest was saved.'));
      return;
    }
    $dsn = $settings->dsn();
    $means = Agreement::after($before, $dsn === NULL ? '' : $dsn->host(), (bool) $form_state->getValue('agree'));
    if ($dsn !== NULL && $means === Agreement::MADE) {
      $settings->agree($dsn, (int) $this->currentUser()->id());
    }
    elseif ($means === Agreement::OVER) {
      $this->runtime->farewell();
      $settings->withdraw();
    }
    $this->tell($dsn, $means);
  }

  /**
   * Keeps a DSN, if it is one.
   *
   * @return string
   *   What is wrong with it: a constant of DsnError, or nothing.
   */
  private function saveDsn(string $text): string {
    try {
      if ($text !== '') {
        Dsn::parse($text);
        $this->runtime->settings->saveDsn($text);
      }
      return '';
    }
    catch (DsnError $error) {
      return $error->fault;
    }
  }

  /**
   * Says what holds now.
   */
  private function tell(?Dsn $dsn, string $means): void {
    if ($dsn === NULL) {
      $this->messenger()->addWarning($this->t('Saved. Nothing is sent without a connection key.'));
    }
    elseif ($means === Agreement::OVER) {
      $this->messenger()->addWarning($this->t(
        'Saved. This is another service: nothing is recorded or sent until you agree to @host.',
        ['@host' => $dsn->host()]
      ));
    }
    elseif ($means === Agreement::IN_QUESTION) {
      $this->askFirst();
    }
    elseif (!$this->runtime->settings->isAgreed($dsn)) {
      $this->messenger()->addWarning($this->t('Saved. Nothing is recorded or sent until you agree to it.'));
    }
    elseif ($this->runtime->reopen() === NULL) {
      $this->messenger()->addError($this->t(
        'Saved, but there is no folder for events that can be written. Ask your host for one.'
      ));
    }
    else {
      $this->messenger()->addStatus($this->t('Saved. Events are recorded from the next request on.'));
      if ($means === Agreement::MADE) {
        // Who has just agreed wants to know whether it works.
        $this->flush(Limits::WEB_BUDGET_MS);
      }
    }
  }

  /**
   * Sends what waits, or an empty batch, and tells what came of it.
   */
  public function sendTest(array &$form, FormStateInterface $form_state): void {
    $this->runtime->write();
    $this->flush(Limits::CRON_BUDGET_MS);
  }

  /**
   * Sends what waits, and tells what came of it.
   */
  private function flush(int $budgetMs): void {
    $flushed = $this->runtime->flush($budgetMs, TRUE);
    $text = $this->status->outcome($flushed);
    $this->status->isThrough($flushed) ? $this->messenger()->addStatus($text) : $this->messenger()->addError($text);
  }

  /**
   * Has mails fail, so that an alert comes of it.
   */
  public function tryAlert(array &$form, FormStateInterface $form_state): void {
    $form_state->set('steps', $this->drill->run($this->currentUser()->getPreferredLangcode()));
    $form_state->setRebuild();
  }

  /**
   * Shows what the hashes in the field stand for.
   */
  public function lookUp(array &$form, FormStateInterface $form_state): void {
    $form_state->set('asked', (string) $form_state->getValue('hashes'));
    $form_state->setRebuild();
  }

  /**
   * Stops, and removes what was recorded; who did not say yes to that is asked.
   */
  public function withdraw(array &$form, FormStateInterface $form_state): void {
    if (!$form_state->getValue('sure')) {
      $this->askFirst();
      return;
    }
    $this->runtime->silence();
    $this->folder->remove();
    $this->runtime->settings->withdraw();
    $this->kernel->invalidateContainer();
    $this->messenger()->addStatus($this->t('Nothing is recorded or sent any more.'));
  }

  /**
   * Before what cannot be undone.
   */
  private function askFirst(): void {
    $this->messenger()->addWarning($this->t(
      'Do you take the agreement back? What waits on this site is sent, with word that it was the last; after that nothing is recorded or sent any more. What the codes of earlier alerts stand for is forgotten: that cannot be undone. If so, say yes under "Stop", and press "Withdraw the agreement" there. Until then all goes on as before.'
    ));
  }

  /**
   * What hashes are asked for, by the form or by a link; null for none.
   */
  private function asked(FormStateInterface $form_state): ?string {
    $asked = $form_state->get('asked') ?? $this->getRequest()->query->all()['hash'] ?? NULL;
    return is_string($asked) ? $asked : NULL;
  }

  /**
   * A button that saves nothing of what stands in the fields.
   */
  private function button(string|\Stringable $label, string $does): array {
    return [
      '#type' => 'submit',
      '#value' => $label,
      '#name' => $does,
      '#submit' => ["::$does"],
      '#limit_validation_errors' => [['hashes'], ['sure']],
    ];
  }

  /**
   * What can be done at once, and what came of it.
   */
  private function now(array $steps): array {
    return [
      '#type' => 'container',
      '#weight' => -90,
      'steps' => $steps === [] ? [] : $this->panels->steps($steps),
      'buttons' => [
        '#type' => 'container',
        '#attributes' => ['class' => ['logystera-actions']],
        'test' => $this->button($this->t('Check now'), 'sendTest'),
        'drill' => $this->button($this->t('Try an alert'), 'tryAlert'),
      ],
      'what' => [
        '#type' => 'item',
        '#description' => $this->t(
        '"Try an alert" has @count mails fail on purpose (they go to nobody), so that you see the whole way: from this site to the service to you. Everybody who gets alerts for this site gets this one.',
        ['@count' => Limits::DRILL_MAILS]
        ),
      ],
    ];
  }

  /**
   * Where hashes are looked up.
   */
  private function codes(Site $site, ?string $asked): array {
    $hashes = $asked === NULL ? [] : Lookup::hashesIn($asked);
    return [
      // Who followed a link of an alert came for this.
      '#type' => 'details',
      '#open' => $asked !== NULL,
      '#weight' => $asked === NULL ? 190 : -80,
      '#title' => $this->t('Who and what is meant in an alert'),
      'answers' => $asked === NULL ? [] : $this->panels->meanings($site, $hashes),
      'hashes' => [
        '#type' => 'textarea',
        '#title' => $this->t('Codes (hashes) of an alert'),
        '#rows' => 3,
        '#default_value' => implode("\n", $hashes),
        '#description' => $this->t(
          'Alerts name people, addresses and files by codes of 32 letters and digits. Paste one, many, or the whole alert: this site alone knows what they stand for, and keeps it for 90 days.'
        ),
      ],
      'look_up' => $this->button($this->t('Look up'), 'lookUp'),
    ];
  }

  /**
   * What there is once somebody agreed.
   */
  private function rest(Site $site): array {
    return [
      'losses' => [
        '#type' => 'details',
        '#title' => $this->t('What was not kept'),
        'list' => $this->panels->losses($site),
      ],
      'details' => [
        '#type' => 'details',
        '#title' => $this->t('Details'),
        'state' => $this->panels->state($site),
        'last' => $this->panels->lastBatch($site),
      ],
      'stop' => [
        '#type' => 'details',
        '#title' => $this->t('Stop'),
        'sure' => [
          '#type' => 'checkbox',
          '#title' => $this->t('Yes, stop'),
          '#description' => $this->t(
            'Nothing is watched any more then, nobody is told if something happens, and what the codes of earlier alerts stand for is forgotten.'
          ),
        ],
        'withdraw' => $this->button($this->t('Withdraw the agreement'), 'withdraw'),
      ],
    ];
  }

}
