<?php

declare(strict_types=1);

namespace Drupal\logystera\Signals;

use Drupal\Component\Plugin\Discovery\CachedDiscoveryInterface;
use Drupal\Component\Plugin\PluginManagerInterface;
use Drupal\Core\Cache\Cache;
use Drupal\Core\Cache\CacheableDependencyInterface;

/**
 * What a decorator of a plugin manager hands on as it is. Drupal's plugin.cache_clearer takes each service that is called
 * plugin.manager.* for one whose definitions it can clear; others ask what a cached answer depends on; and a manager may have
 * methods of its own.
 */
trait Delegates
{
    abstract protected function manager(): PluginManagerInterface;

    public function getDefinition($plugin_id, $exception_on_invalid = true)
    {
        return $this->manager()->getDefinition($plugin_id, $exception_on_invalid);
    }

    public function getDefinitions()
    {
        return $this->manager()->getDefinitions();
    }

    public function hasDefinition($plugin_id)
    {
        return $this->manager()->hasDefinition($plugin_id);
    }

    public function createInstance($plugin_id, array $configuration = [])
    {
        return $this->manager()->createInstance($plugin_id, $configuration);
    }

    public function getInstance(array $options)
    {
        return $this->manager()->getInstance($options);
    }

    public function clearCachedDefinitions()
    {
        $manager = $this->manager();
        if ($manager instanceof CachedDiscoveryInterface) {
            $manager->clearCachedDefinitions();
        }
    }

    public function useCaches($use_caches = false)
    {
        $manager = $this->manager();
        if ($manager instanceof CachedDiscoveryInterface) {
            $manager->useCaches($use_caches);
        }
    }

    public function getCacheContexts()
    {
        $manager = $this->manager();
        return $manager instanceof CacheableDependencyInterface ? $manager->getCacheContexts() : [];
    }

    public function getCacheTags()
    {
        $manager = $this->manager();
        return $manager instanceof CacheableDependencyInterface ? $manager->getCacheTags() : [];
    }

    public function getCacheMaxAge()
    {
        $manager = $this->manager();
        return $manager instanceof CacheableDependencyInterface ? $manager->getCacheMaxAge() : Cache::PERMANENT;
    }

    public function __call(string $method, array $arguments): mixed
    {
        return $this->manager()->$method(...$arguments);
    }
}
