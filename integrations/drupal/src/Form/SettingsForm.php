<?php

declare(strict_types=1);

namespace Drupal\logystera\Form;

use Drupal\Core\DrupalKernelInterface;
use Drupal\Core\Form\FormBase;
use Drupal\Core\Form\FormStateInterface;
use Drupal\logystera\Admin\Panels;
use Drupal\logystera\Admin\Status;
use Drupal\logystera\Runtime;
use Drupal\logystera\Settings;
use Drupal\logystera\Site;
use Drupal\logystera\SpoolFolder;
use Logystera\Agreement;
use Logystera\Dsn;
use Logystera\DsnError;
use Logystera\Limits;
use Symfony\Component\DependencyInjection\ContainerInterface;

/**
 * The settings page. Its route wants the right `administer logystera`, and Drupal's forms want a token. No field asks for a password
 * of Drupal, and the field of the DSN shows none.
 */
final class SettingsForm extends FormBase
{
    public function __construct(
        protected Runtime $runtime,
        protected SpoolFolder $folder,
        protected Status $status,
        protected Panels $panels,
        protected DrupalKernelInterface $kernel
    ) {
    }

    public static function create(ContainerInterface $container): self
    {
        return new self(
            $container->get('logystera.runtime'),
            $container->get('logystera.spool_folder'),
            $container->get('logystera.status'),
            $container->get('logystera.panels'),
            $container->get('kernel')
        );
    }

    public function getFormId(): string
    {
        return 'logystera_settings';
    }

    public function buildForm(array $form, FormStateInterface $form_state): array
    {
        $settings = $this->runtime->settings;
        $dsn = $settings->dsn();
        $form['dsn'] = $settings->isDsnFixed()
            ? ['#type' => 'item', '#title' => 'DSN', '#markup' => $this->t('It comes from settings.php or the environment.')]
            : [
                '#type' => 'password', '#title' => 'DSN', '#maxlength' => 1024, '#attributes' => ['autocomplete' => 'off'],
                '#description' => $this->t(
                    'Who runs the gateway gives it to you. It holds a secret and is not shown again; leave the field empty to keep it.'
                ),
            ];
        if ($dsn !== null) {
            $form['known'] = ['#type' => 'item', '#markup' => $this->t('Site @site, key @key, gateway @host.', [
                '@site' => $dsn->site, '@key' => $dsn->key, '@host' => $dsn->host(),
            ])];
        }
        $form['types'] = [
            '#type' => 'checkboxes', '#title' => $this->t('Signals'), '#options' => $this->types(),
            '#default_value' => $settings->typesOn(), '#description' => $this->t('A type that is off has no service.'),
        ];
        $form['flush_every_s'] = [
            '#type' => 'number', '#title' => $this->t('Speak every (seconds)'), '#min' => Limits::FLUSH_EVERY_S_MIN,
            '#max' => Limits::FLUSH_EVERY_S_MAX, '#default_value' => $settings->flushEveryS(), '#required' => true,
        ];
        $form['agree'] = [
            '#type' => 'checkbox', '#default_value' => $settings->isAgreed($dsn),
            '#title' => $this->t(
                'I agree that this site sends the signals above to the gateway of the DSN: what happened, when, and keyed hashes of '
                . 'who and where from. No names, addresses, passwords, texts or values of settings.'
            ),
            '#description' => $dsn === null ? '' : $this->t('The agreement is with @host. Another gateway needs another one.', [
                '@host' => $dsn->host(),
            ]),
        ];
        $form['actions'] = ['#type' => 'actions', 'submit' => [
            '#type' => 'submit', '#value' => $this->t('Save'), '#button_type' => 'primary',
        ]];
        $site = $this->runtime->site();
        if ($site !== null) {
            // Drupal gives actions a weight of 100, so that they would stand behind all of this.
            $form['rest'] = ['#type' => 'container', '#weight' => 200] + $this->rest($site);
        }
        return $form;
    }

    public function validateForm(array &$form, FormStateInterface $form_state): void
    {
        $text = trim((string) $form_state->getValue('dsn'));
        try {
            if ($text !== '') {
                Dsn::parse($text);
            }
        } catch (DsnError $error) {
            $form_state->setErrorByName('dsn', $this->t('The DSN was not saved: @why', ['@why' => $error->getMessage()]));
        }
    }

    public function submitForm(array &$form, FormStateInterface $form_state): void
    {
        $settings = $this->runtime->settings;
        $before = $settings->agreedHost();
        $text = trim((string) $form_state->getValue('dsn'));
        if ($text !== '' && !$settings->isDsnFixed()) {
            $settings->saveDsn($text);
        }
        $types = array_keys(array_filter((array) $form_state->getValue('types')));
        $settings->save($types, (int) $form_state->getValue('flush_every_s'));
        $dsn = $settings->dsn();
        $means = Agreement::after($before, $dsn === null ? '' : $dsn->host(), (bool) $form_state->getValue('agree'));
        if ($dsn !== null && $means === Agreement::MADE) {
            $settings->agree($dsn, (int) $this->currentUser()->id());
        } elseif ($means === Agreement::OVER) {
            $this->runtime->farewell();
            $settings->withdraw();
        }
        $this->kernel->invalidateContainer();
        if ($dsn === null) {
            $this->messenger()->addWarning($this->t('Saved. Nothing is sent without a DSN.'));
        } elseif ($means === Agreement::OVER) {
            $this->messenger()->addWarning($this->t(
                'Saved. This is another gateway: nothing is recorded or sent until you agree to @host.',
                ['@host' => $dsn->host()]
            ));
        } elseif ($means === Agreement::IN_QUESTION) {
            $this->askFirst();
        } elseif (!$settings->isAgreed($dsn)) {
            $this->messenger()->addWarning($this->t('Saved. Nothing is recorded or sent until you agree to it.'));
        } elseif ($this->runtime->reopen() === null) {
            $this->messenger()->addError($this->t('Saved, but there is no folder for signals that can be written.'));
        } else {
            $this->messenger()->addStatus($this->t('Saved. Signals are recorded from the next request on.'));
        }
    }

    /** Sends what waits, or an empty batch, and tells what the gateway said. */
    public function sendTest(array &$form, FormStateInterface $form_state): void
    {
        $this->runtime->write();
        $flushed = $this->runtime->flush(Limits::CRON_BUDGET_MS, true);
        $this->messenger()->addStatus($this->status->outcome($flushed));
    }

    public function lookUp(array &$form, FormStateInterface $form_state): void
    {
        $site = $this->runtime->site();
        $hash = strtolower(trim((string) $form_state->getValue('hash')));
        if ($site !== null && $hash !== '') {
            $this->messenger()->addStatus($this->panels->meaning($site, $hash));
        }
    }

    /** Stops, and removes what was recorded; who did not say yes to that is asked. */
    public function withdraw(array &$form, FormStateInterface $form_state): void
    {
        if (!$form_state->getValue('sure')) {
            $this->askFirst();
            return;
        }
        $this->runtime->silence();
        $this->folder->remove();
        $this->runtime->settings->withdraw();
        $this->kernel->invalidateContainer();
        $this->messenger()->addStatus($this->t('Nothing is recorded or sent any more. What waited here was deleted.'));
    }

    /** Before what cannot be undone. */
    private function askFirst(): void
    {
        $this->messenger()->addWarning($this->t(
            'Do you take the agreement back? Nothing is recorded or sent any more then, and what waits here is deleted. If so, say yes '
            . 'beside "Withdraw and delete what waits", and press that. Until then all goes on as before.'
        ));
    }

    /** What there is once somebody agreed. */
    private function rest(Site $site): array
    {
        // None of these saves what stands in the fields above.
        $button = static fn ($label, string $does): array => [
            '#type' => 'submit', '#value' => $label, '#name' => $does, '#submit' => ["::$does"], '#validate' => [],
            '#limit_validation_errors' => [['hash'], ['sure']],
        ];
        return [
            'state' => $this->panels->state($site),
            'test' => $button($this->t('Send a test'), 'sendTest'),
            'hash' => [
                '#type' => 'textfield', '#title' => $this->t('What does a hash stand for?'), '#maxlength' => 32, '#size' => 40,
            ],
            'look_up' => $button($this->t('Look up'), 'lookUp'),
            'last' => $this->panels->lastBatch($site),
            'sure' => ['#type' => 'checkbox', '#title' => $this->t('Yes, stop, and delete what waits here')],
            'stop' => $button($this->t('Withdraw and delete what waits'), 'withdraw'),
        ];
    }

    /** @return array<string, string|\Stringable> */
    private function types(): array
    {
        return [
            'auth.attempt' => $this->t('auth.attempt: sign-ins and failed sign-ins'),
            'component.lifecycle' => $this->t('component.lifecycle: modules, themes and Drupal itself: installed, updated, deleted'),
            'config.change' => $this->t('config.change: which configuration was changed'),
            'cron.run' => $this->t('cron.run: cron, its jobs and queues'),
            'db.event' => $this->t('db.event: errors of the database'),
            'file.edit' => $this->t('file.edit: scripts among the public files'),
            'http.request' => $this->t('http.request: requests: method, path, status'),
            'mail.outcome' => $this->t('mail.outcome: whether mail went out'),
            'php.error' => $this->t('php.error: errors of PHP'),
            'user.change' => $this->t('user.change: accounts and roles'),
        ];
    }
}
