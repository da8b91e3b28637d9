<?php

declare(strict_types=1);

namespace Drupal\logystera;

use Drupal\Core\Config\BootstrapConfigStorageFactory;
use Drupal\Core\Database\Database;
use Drupal\Core\DependencyInjection\ContainerBuilder;
use Drupal\Core\DependencyInjection\ServiceProviderBase;

/**
 * Decides which services are in the container that Drupal builds.
 *
 * Before an administrator agrees none that watches or sends; after it, those of
 * the types that are on. Rebuild has the container built anew when either
 * changes. What is agreed to, and with which gateway, Runtime asks again in
 * each request.
 */
final class LogysteraServiceProvider extends ServiceProviderBase {
  public const TAG = 'logystera.source';

  /**
   * {@inheritdoc}
   */
  public function alter(ContainerBuilder $container): void {
    $isAgreed = self::isAgreed($container);
    $settings = BootstrapConfigStorageFactory::get()->read(Settings::CONFIG);
    $off = is_array($settings) ? (array) ($settings['off'] ?? []) : [];
    foreach ($container->findTaggedServiceIds(self::TAG) as $id => $tags) {
      if (!$isAgreed || in_array($tags[0]['type'], $off, TRUE)) {
        $container->removeDefinition($id);
      }
    }
  }

  /**
   * Whether there is an agreement with any gateway.
   *
   * There are no services yet that could be asked. Where the site keeps its
   * state elsewhere than in its database, yes: then Runtime alone decides.
   */
  private static function isAgreed(ContainerBuilder $container): bool {
    $backends = $container->hasParameter('factory.keyvalue') ? (array) $container->getParameter('factory.keyvalue') : [];
    $backend = $backends['state'] ?? $backends['default'] ?? 'keyvalue.database';
    if ($backend !== 'keyvalue.database') {
      return TRUE;
    }
    try {
      return (bool) Database::getConnection()->query(
        'SELECT 1 FROM {key_value} WHERE [collection] = :collection AND [name] = :name',
        [':collection' => 'state', ':name' => Settings::STATE_CONSENT]
      )->fetchField();
    }
    catch (\Exception $error) {
      // No database, or no table yet: the site is being installed.
      return FALSE;
    }
  }

}
