<?php

/**
 * What the module uses of Drupal 10.3, of Guzzle 7 and of psr/log 3, by contract: names and signatures, written for these tests. Drupal cannot
 * be had from Debian; and its psr/log is older than Drupal's, so that the package's own interface would not do.
 */

declare(strict_types=1);

namespace Drupal\Component\Plugin\Discovery {
    interface DiscoveryInterface
    {
        public function getDefinition($plugin_id, $exception_on_invalid = true);
        public function getDefinitions();
        public function hasDefinition($plugin_id);
    }
    interface CachedDiscoveryInterface extends DiscoveryInterface
    {
        public function clearCachedDefinitions();
        public function useCaches($use_caches = false);
    }
}

namespace Drupal\Component\Plugin {
    interface PluginManagerInterface extends Discovery\DiscoveryInterface
    {
        public function createInstance($plugin_id, array $configuration = []);
        public function getInstance(array $options);
    }
    interface PluginInspectionInterface
    {
        public function getPluginId();
        public function getPluginDefinition();
    }
}

namespace Drupal\Component\Utility {
    final class Bytes
    {
        public static function toNumber($size): float
        {
            return (float) $size * (stripos((string) $size, 'M') ? 1048576 : 1);
        }
    }
}

namespace Drupal\Core {
    interface CronInterface
    {
        public function run();
    }
    interface DrupalKernelInterface
    {
        public function invalidateContainer();
    }
}

namespace Drupal\Core\Cache {
    interface CacheableDependencyInterface
    {
        public function getCacheContexts();
        public function getCacheTags();
        public function getCacheMaxAge();
    }
    final class Cache
    {
        public const PERMANENT = -1;
    }
}

namespace Drupal\Core\Config {
    interface ConfigFactoryInterface
    {
        public function get($name);
        public function getEditable($name);
    }
    final class ConfigEvents
    {
        public const SAVE = 'config.save';
        public const DELETE = 'config.delete';
        public const RENAME = 'config.rename';
    }
    class ConfigCrudEvent
    {
        public function __construct(protected $config)
        {
        }

        public function getConfig()
        {
            return $this->config;
        }

        public function isChanged($key)
        {
            return $this->config->get($key) !== $this->config->getOriginal($key);
        }
    }
    class ConfigRenameEvent extends ConfigCrudEvent
    {
        public function __construct($config, protected $oldName)
        {
            parent::__construct($config);
        }

        public function getOldName()
        {
            return $this->oldName;
        }
    }
    final class BootstrapConfigStorageFactory
    {
        public static array $stored = [];

        public static function get(): object
        {
            return new class (self::$stored) {
                public function __construct(private array $stored)
                {
                }

                public function read($name)
                {
                    return $this->stored[$name] ?? false;
                }
            };
        }
    }
}

namespace Drupal\Core\Database {
    interface DatabaseException
    {
    }
    class DatabaseExceptionWrapper extends \RuntimeException implements DatabaseException
    {
    }
    final class Database
    {
        /** Answers a query: (text, arguments) => first field. */
        public static ?\Closure $answers = null;

        public static function getConnection(): object
        {
            return new class (self::$answers) {
                private $field;

                public function __construct(private ?\Closure $answers)
                {
                }

                public function query($text, array $arguments = []): self
                {
                    $this->field = ($this->answers ?? throw new DatabaseExceptionWrapper('no table'))($text, $arguments);
                    return $this;
                }

                public function fetchField()
                {
                    return $this->field;
                }
            };
        }
    }
}

namespace Drupal\Core\Database\Event {
    class StatementExecutionEndEvent
    {
        public function __construct(public readonly string $queryString, public readonly array $args, private float $seconds)
        {
        }

        public function getElapsedTime(): float
        {
            return $this->seconds;
        }
    }
}

namespace Drupal\Core\Datetime {
    interface DateFormatterInterface
    {
        public function format($timestamp, $type = 'medium', $format = '', $timezone = null, $langcode = null);
        public function formatTimeDiffSince($timestamp, $options = []);
    }
}

namespace Drupal\Core\DependencyInjection {
    class ContainerBuilder extends \Symfony\Component\DependencyInjection\ContainerBuilder
    {
    }
    abstract class ServiceProviderBase
    {
    }
    interface ContainerInjectionInterface
    {
        public static function create(\Symfony\Component\DependencyInjection\ContainerInterface $container);
    }
}

namespace Drupal\Core\Entity {
    interface EntityTypeManagerInterface
    {
        public function getStorage($entity_type_id);
    }
}

namespace Drupal\user {
    interface UserDataInterface
    {
        public function get($module, $uid = null, $name = null);
        public function set($module, $uid, $name, $value);
        public function delete($module = null, $uid = null, $name = null);
    }
}

namespace Drupal\Core\Extension {
    interface ModuleHandlerInterface
    {
        public function moduleExists($module);
        public function alter($type, &$data, &$context1 = null, &$context2 = null);
    }
    interface InfoParserInterface
    {
        public function parse($filename);
    }
    class ExtensionDiscovery
    {
        /** @var array<string, array<string, object>> what lies there, by kind and name */
        public static array $files = [];

        public function __construct(string $root, $use_file_cache = true, ?array $profile_directories = null, ?string $site_path = null)
        {
        }

        public function scan($type, $include_tests = null)
        {
            return self::$files[$type] ?? [];
        }
    }
    class ModuleExtensionList
    {
        public array $extensions = [];

        public function getAllAvailableInfo()
        {
            return array_map(static fn ($extension) => $extension->info, $this->extensions);
        }
    }
    class ThemeExtensionList extends ModuleExtensionList
    {
    }
}

namespace Drupal\Core\Flood {
    interface FloodInterface
    {
        public function isAllowed($name, $threshold, $window = 3600, $identifier = null);
    }
}

namespace Drupal\Core\Form {
    interface FormStateInterface
    {
        public function getValue($key, $default = null);
        public function get($property);
        public function set($property, $value);
        public function setRebuild($rebuild = true);
    }
    abstract class FormBase implements \Drupal\Core\DependencyInjection\ContainerInjectionInterface
    {
        use \Drupal\Core\StringTranslation\StringTranslationTrait;

        /** @var string[] what the person was told */
        public array $said = [];

        protected function messenger()
        {
            return new class ($this) {
                public function __construct(private FormBase $form)
                {
                }

                public function __call(string $kind, array $arguments): void
                {
                    $this->form->said[] = (string) $arguments[0];
                }
            };
        }

        protected function currentUser()
        {
            return \Drupal::service('current_user');
        }

        protected function getRequest()
        {
            return \Drupal::service('request_stack')->getCurrentRequest();
        }
    }
}

namespace Drupal\Core\Lock {
    interface LockBackendInterface
    {
        public function acquire($name, $timeout = 30.0);
        public function wait($name, $delay = 30);
        public function release($name);
    }
}

namespace Drupal\Core\Mail {
    interface MailManagerInterface extends \Drupal\Component\Plugin\PluginManagerInterface
    {
        public function mail($module, $key, $to, $langcode, $params = [], $reply = null, $send = true);
    }
}

namespace Drupal\Core\Queue {
    interface QueueWorkerInterface extends \Drupal\Component\Plugin\PluginInspectionInterface
    {
        public function processItem($data);
    }
    interface QueueWorkerManagerInterface extends \Drupal\Component\Plugin\PluginManagerInterface
    {
    }
    class RequeueException extends \RuntimeException
    {
    }
    class DelayedRequeueException extends \RuntimeException
    {
    }
    class SuspendQueueException extends \RuntimeException
    {
    }
}

namespace Drupal\Core\Render {
    final class RenderContext
    {
    }
    interface RendererInterface
    {
        public function executeInRenderContext(RenderContext $context, callable $callable);
    }
}

namespace Drupal\Core\Session {
    interface AccountInterface
    {
        public function id();
        public function getRoles($exclude_locked_roles = false);
        public function hasPermission(string $permission);
        public function isAuthenticated();
        public function getAccountName();
    }
}

namespace Drupal\Core\Site {
    final class Settings
    {
        public static array $values = [];

        public static function get($name, $default = null)
        {
            return self::$values[$name] ?? $default;
        }
    }
}

namespace Drupal\Core\State {
    interface StateInterface
    {
        public function get($key, $default = null);
        public function set($key, $value);
        public function delete($key);
        public function deleteMultiple(array $keys);
    }
}

namespace Drupal\Core\StringTranslation {
    class TranslatableMarkup
    {
        public function __construct(private $string, private array $arguments = [])
        {
        }

        public function __toString(): string
        {
            return strtr($this->string, array_map('strval', $this->arguments));
        }
    }
    trait StringTranslationTrait
    {
        protected function t($string, array $args = [], array $options = [])
        {
            return new TranslatableMarkup($string, $args);
        }
    }
}
