<?php

declare(strict_types=1);

namespace Drupal\logystera\Admin;

use Drupal\Core\StringTranslation\StringTranslationTrait;
use Drupal\logystera\Settings;
use Logystera\Limits;

/**
 * The fields of the settings page.
 */
final class Fields {
  use StringTranslationTrait;

  public function __construct(private readonly Settings $settings, private readonly Words $words) {
  }

  /**
   * What is watched, in plain words.
   *
   * Who sets it up sees that there is a choice; who comes later sees it open.
   */
  public function types(bool $isSetUp): array {
    $options = [];
    foreach ($this->words->watched() as $type => [$name, $text]) {
      $options[$type] = $this->t('<strong>@name:</strong> @text <small><code>@type</code></small>', [
        '@name' => $name,
        '@text' => $text,
        '@type' => $type,
      ]);
    }
    return [
      '#type' => 'details',
      '#open' => $isSetUp,
      '#title' => $isSetUp ? $this->t('What it watches') : $this->t('What it watches: all of it, unless you choose'),
      'types' => [
        '#type' => 'checkboxes',
        '#title' => $this->t('What it watches'),
        '#title_display' => 'invisible',
        '#options' => $options,
        '#default_value' => $this->settings->typesOn(),
        '#description' => $this->t(
          'It tells what happened and when. Who did it and from where is told as codes, which only this page can read. Names, mail addresses, passwords, texts and values of settings are never told.'
        ),
      ],
    ];
  }

  /**
   * The field for the connection key.
   *
   * @param string $fault
   *   What is wrong with what was typed: a constant of DsnError, or nothing.
   */
  public function connection(string $fault): array {
    $dsn = $this->settings->dsn();
    $texts = $this->words->faults() + ['good' => (string) $this->t('This looks right: the service is at %s.')];
    $says = [
      '#type' => 'html_tag',
      '#tag' => 'p',
      '#attributes' => [
        'id' => 'logystera-dsn-says',
        'role' => 'status',
        'aria-live' => 'polite',
        'class' => $fault === '' ? ['logystera-says'] : ['logystera-says', 'logystera-bad'],
      ],
      'text' => ['#plain_text' => $fault === '' ? '' : ($texts[$fault] ?? reset($texts))],
    ];
    $fields = ['#type' => 'fieldset', '#title' => $this->t('Connection')];
    $fields += $this->settings->isDsnFixed()
      ? [
        'dsn' => [
          '#type' => 'item',
          '#markup' => $this->t('The connection key comes from settings.php or the environment.'),
        ],
      ]
      : [
        'dsn' => [
          '#type' => 'textfield',
          '#title' => $this->t('Connection key (DSN)'),
          '#maxlength' => 2048,
          '#placeholder' => 'https://…',
          '#attributes' => [
            'autocomplete' => 'off',
            'autocapitalize' => 'none',
            'spellcheck' => 'false',
            'aria-invalid' => $fault === '' ? 'false' : 'true',
            'data-logystera-says' => 'logystera-dsn-says',
            'data-logystera-texts' => (string) json_encode($texts),
          ] + ($fault === '' ? [] : ['class' => ['error'], 'aria-describedby' => 'logystera-dsn-says']),
          '#description_display' => 'before',
          '#description' => $this->t(
          'One line that whoever runs the service gives you when they add your site. It holds the address of the service, the name of your site there, and a secret by which the service knows it: treat it as a password. Who runs the service themselves has it from the command "logystera site add".'
          ),
        ],
        'says' => $says,
      ];
    if ($dsn !== NULL) {
      $fields['known'] = [
        '#type' => 'item',
        '#markup' => $this->t(
        'Saved: site @site, key @key, service at @host. It is not shown again; leave the field empty to keep it.',
        ['@site' => $dsn->site, '@key' => $dsn->key, '@host' => $dsn->host()]
        ),
      ];
    }
    return $fields;
  }

  /**
   * The question whether to agree, and what to.
   */
  public function agreement(): array {
    $dsn = $this->settings->dsn();
    return [
      '#type' => 'checkbox',
      '#default_value' => $this->settings->isAgreed($dsn),
      '#title' => $this->t(
        'I agree that this site sends what is ticked to the service of the connection key: what happened, when, and codes for who and from where. No names, addresses, passwords, texts or values of settings.'
      ),
      '#description' => $dsn === NULL ? '' : $this->t('The agreement is with @host. Another service needs another one.', [
        '@host' => $dsn->host(),
      ]),
    ];
  }

  /**
   * What few need.
   */
  public function more(): array {
    return [
      '#type' => 'details',
      '#title' => $this->t('More: how often it speaks'),
      'flush_every_s' => [
        '#type' => 'number',
        '#title' => $this->t('Say that all is well every (seconds)'),
        '#min' => Limits::FLUSH_EVERY_S_MIN,
        '#max' => Limits::FLUSH_EVERY_S_MAX,
        '#default_value' => $this->settings->flushEveryS(),
        '#required' => TRUE,
      ],
    ];
  }

}
