<?php

declare(strict_types=1);

namespace Drupal\logystera;

use Drupal\Core\Config\ConfigCrudEvent;
use Drupal\Core\DrupalKernelInterface;
use Symfony\Component\EventDispatcher\EventSubscriberInterface;

/**
 * Has Drupal build its container anew.
 *
 * Where another set of services is wanted; also after an import of
 * configuration.
 */
final class Rebuild implements EventSubscriberInterface {

  public function __construct(private readonly DrupalKernelInterface $kernel) {
  }

  /**
   * {@inheritdoc}
   */
  public static function getSubscribedEvents(): array {
    return ['config.save' => 'saved'];
  }

  /**
   * Configuration was saved.
   */
  public function saved(ConfigCrudEvent $event): void {
    $config = $event->getConfig();
    if ($config->getName() === Settings::CONFIG && $event->isChanged('off')) {
      $this->kernel->invalidateContainer();
    }
  }

}
