<?php

/** Doubles of what a Drupal has: as much as the module and the tests ask of it. */

declare(strict_types=1);

namespace Logystera\Tests\Drupal;

use Drupal\Core\Config\BootstrapConfigStorageFactory;
use Drupal\Core\Config\ConfigCrudEvent;
use Drupal\Core\Config\ConfigEvents;
use Drupal\Core\Config\ConfigFactoryInterface;
use Drupal\Core\Entity\EntityTypeManagerInterface;
use Drupal\Core\Flood\FloodInterface;
use Drupal\Core\Form\FormStateInterface;
use Drupal\Core\Lock\LockBackendInterface;
use Drupal\Core\Session\AccountInterface;
use Drupal\Core\State\StateInterface;
use Symfony\Contracts\EventDispatcher\EventDispatcherInterface;

final class State implements StateInterface
{
    public array $values = [];

    public function get($key, $default = null)
    {
        return $this->values[$key] ?? $default;
    }

    public function set($key, $value)
    {
        $this->values[$key] = $value;
    }

    public function delete($key)
    {
        unset($this->values[$key]);
    }

    public function deleteMultiple(array $keys)
    {
        array_map([$this, 'delete'], $keys);
    }
}

/** Locks of this process; one that somebody else has is never free. */
final class Locks implements LockBackendInterface
{
    /** @var string[] */
    public array $held = [];

    public function acquire($name, $timeout = 30.0)
    {
        $isFree = !in_array($name, $this->held, true);
        $this->held[] = $name;
        return $isFree;
    }

    public function wait($name, $delay = 30)
    {
        return in_array($name, $this->held, true);
    }

    public function release($name)
    {
        $this->held = array_values(array_diff($this->held, [$name]));
    }
}

/** One configuration object, which tells of its saving as Drupal's does: the old data are still there then. */
final class Config
{
    private array $original;

    public function __construct(private string $name, private array $data, private ConfigFactory $factory)
    {
        $this->original = $data;
    }

    public function getName()
    {
        return $this->name;
    }

    public function get($key = '')
    {
        return $key === '' ? $this->data : ($this->data[$key] ?? null);
    }

    public function getOriginal($key = '', $apply_overrides = true)
    {
        return $key === '' ? $this->original : ($this->original[$key] ?? null);
    }

    public function getRawData()
    {
        return $this->data;
    }

    public function set($key, $value): self
    {
        $this->data[$key] = $value;
        return $this;
    }

    public function save(): self
    {
        $this->factory->write($this->name, $this->data);
        $this->factory->dispatcher->dispatch(new ConfigCrudEvent($this), ConfigEvents::SAVE);
        $this->original = $this->data;
        return $this;
    }

    public function delete(): self
    {
        $this->data = [];
        $this->factory->write($this->name, null);
        $this->factory->dispatcher->dispatch(new ConfigCrudEvent($this), ConfigEvents::DELETE);
        return $this;
    }
}

final class ConfigFactory implements ConfigFactoryInterface
{
    public function __construct(public EventDispatcherInterface $dispatcher)
    {
    }

    public function get($name)
    {
        return new Config($name, BootstrapConfigStorageFactory::$stored[$name] ?? [], $this);
    }

    public function getEditable($name)
    {
        return $this->get($name);
    }

    public function write(string $name, ?array $data): void
    {
        BootstrapConfigStorageFactory::$stored = array_filter(
            [$name => $data] + BootstrapConfigStorageFactory::$stored,
            static fn ($stored): bool => $stored !== null
        );
    }
}

final class Account implements AccountInterface
{
    public ?Account $original = null;
    /** Values of fields by name. */
    public array $fields = [];

    /** A field, as Drupal's entities have it. */
    public function get(string $name): object
    {
        return (object) ['value' => $this->fields[$name] ?? null];
    }

    public function __construct(public int $id, public string $name, public array $roles = [], public bool $isBlocked = false)
    {
    }

    public function id()
    {
        return $this->id;
    }

    public function getRoles($exclude_locked_roles = false)
    {
        return $exclude_locked_roles ? $this->roles : array_merge(['authenticated'], $this->roles);
    }

    public function hasPermission(string $permission)
    {
        return $this->id === 1;
    }

    public function isAuthenticated()
    {
        return $this->id > 0;
    }

    public function isBlocked()
    {
        return $this->isBlocked;
    }

    public function getAccountName()
    {
        return $this->name;
    }

    public function getPreferredLangcode()
    {
        return 'en';
    }
}

/** Entities of one type, users here. */
final class Users implements EntityTypeManagerInterface
{
    /** @var Account[] */
    public array $accounts = [];
    /** Whether the database is away. */
    public bool $isBroken = false;

    public function getStorage($entity_type_id)
    {
        if ($this->isBroken) {
            throw new \RuntimeException('planted');
        }
        return $this;
    }

    public function load($id)
    {
        return current(array_filter($this->accounts, static fn (Account $a): bool => $a->id === (int) $id)) ?: null;
    }

    public function loadByProperties(array $values)
    {
        // The database compares names without regard to case.
        $isNamed = static fn (Account $a): bool => strcasecmp($a->name, (string) $values['name']) === 0;
        return array_filter($this->accounts, $isNamed);
    }
}

final class Flood implements FloodInterface
{
    /** @var string[] names of events that are not allowed any more */
    public array $full = [];

    public function isAllowed($name, $threshold, $window = 3600, $identifier = null)
    {
        return !in_array($name, $this->full, true);
    }
}

final class FormState implements FormStateInterface
{
    public bool $isRebuilt = false;

    public function __construct(private array $values, private array $storage = [])
    {
    }

    public function getValue($key, $default = null)
    {
        return $this->values[$key] ?? $default;
    }

    public function get($property)
    {
        return $this->storage[$property] ?? null;
    }

    public function set($property, $value)
    {
        $this->storage[$property] = $value;
        return $this;
    }

    public function setRebuild($rebuild = true)
    {
        $this->isRebuilt = $rebuild;
        return $this;
    }
}
