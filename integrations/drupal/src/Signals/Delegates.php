<?php

declare(strict_types=1);

namespace Drupal\logystera\Signals;

use Drupal\Component\Plugin\Discovery\CachedDiscoveryInterface;
use Drupal\Component\Plugin\PluginManagerInterface;
use Drupal\Core\Cache\Cache;
use Drupal\Core\Cache\CacheableDependencyInterface;

/**
 * What a decorator of a plugin manager hands on as it is.
 *
 * Drupal's plugin.cache_clearer takes each service that is called
 * plugin.manager.* for one whose definitions it can clear; others ask what a
 * cached answer depends on; and a manager may have methods of its own.
 */
trait Delegates {

  /**
   * The manager that is decorated.
   */
  abstract protected function manager(): PluginManagerInterface;

  /**
   * {@inheritdoc}
   */
  public function getDefinition($plugin_id, $exception_on_invalid = TRUE) {
    return $this->manager()->getDefinition($plugin_id, $exception_on_invalid);
  }

  /**
   * {@inheritdoc}
   */
  public function getDefinitions() {
    return $this->manager()->getDefinitions();
  }

  /**
   * {@inheritdoc}
   */
  public function hasDefinition($plugin_id) {
    return $this->manager()->hasDefinition($plugin_id);
  }

  /**
   * {@inheritdoc}
   */
  public function createInstance($plugin_id, array $configuration = []) {
    return $this->manager()->createInstance($plugin_id, $configuration);
  }

  /**
   * {@inheritdoc}
   */
  public function getInstance(array $options) {
    return $this->manager()->getInstance($options);
  }

  /**
   * {@inheritdoc}
   */
  public function clearCachedDefinitions() {
    $manager = $this->manager();
    if ($manager instanceof CachedDiscoveryInterface) {
      $manager->clearCachedDefinitions();
    }
  }

  /**
   * {@inheritdoc}
   */
  public function useCaches($use_caches = FALSE) {
    $manager = $this->manager();
    if ($manager instanceof CachedDiscoveryInterface) {
      $manager->useCaches($use_caches);
    }
  }

  /**
   * {@inheritdoc}
   */
  public function getCacheContexts() {
    $manager = $this->manager();
    return $manager instanceof CacheableDependencyInterface ? $manager->getCacheContexts() : [];
  }

  /**
   * {@inheritdoc}
   */
  public function getCacheTags() {
    $manager = $this->manager();
    return $manager instanceof CacheableDependencyInterface ? $manager->getCacheTags() : [];
  }

  /**
   * {@inheritdoc}
   */
  public function getCacheMaxAge() {
    $manager = $this->manager();
    return $manager instanceof CacheableDependencyInterface ? $manager->getCacheMaxAge() : Cache::PERMANENT;
  }

  /**
   * Hands on what only the one inside knows.
   */
  public function __call(string $method, array $arguments): mixed {
    return $this->manager()->$method(...$arguments);
  }

}
