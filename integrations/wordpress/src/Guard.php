<?php

declare(strict_types=1);

namespace Logystera\WordPress;

/**
 * Stands between WordPress's hooks and what watches them: others call hooks with too few arguments or odd ones, and a fault that comes of
 * it must not end their page. It is counted as a signal that could not be made, and told once in the server's log.
 */
final class Guard
{
    /** @var bool */
    private static $isTold = false;

    /** @var callable */
    private $watch;
    /** @var string the signals' type; empty for none */
    private $type;

    private function __construct(callable $watch, string $type)
    {
        [$this->watch, $this->type] = [$watch, $type];
    }

    /** $watch is called with what the hook has; what it returns is nobody's. Of a filter the value stays as it is. */
    public static function watch(string $hook, callable $watch, int $priority = 10, int $count = 1): void
    {
        add_filter($hook, [new self($watch, self::typeOf($watch)), 'pass'], $priority, $count);
    }

    /** A filter whose value is what $change returns. */
    public static function filter(string $hook, callable $change, int $priority = 10, int $count = 1): void
    {
        add_filter($hook, [new self($change, ''), 'change'], $priority, $count);
    }

    /**
     * @param mixed ...$arguments
     * @return mixed the first of them
     */
    public function pass(...$arguments)
    {
        try {
            ($this->watch)(...$arguments);
        } catch (\Throwable $fault) {
            self::tell($fault, $this->type);
        }
        return $arguments[0] ?? null;
    }

    /**
     * @param mixed ...$arguments
     * @return mixed
     */
    public function change(...$arguments)
    {
        try {
            return ($this->watch)(...$arguments);
        } catch (\Throwable $fault) {
            self::tell($fault, $this->type);
            return $arguments[0] ?? null;
        }
    }

    /** Does something of ours within what others do, and never throws. $type: of the signal that is lost if it fails */
    public static function run(callable $act, string $type = ''): void
    {
        (new self($act, $type))->pass();
    }

    /** The class that watches. */
    public function watcher(): string
    {
        $object = is_array($this->watch) ? $this->watch[0] : $this->watch;
        return is_object($object) ? get_class($object) : (string) $object;
    }

    /** A fault of ours that was caught. $type: of the signal that is lost by it; empty for none */
    public static function tell(\Throwable $fault, string $type): void
    {
        $site = Plugin::site();
        if ($type !== '' && $site !== null) {
            $site->recorder->drop($type, 'refused');
        }
        if (!self::$isTold) {
            self::$isTold = true;
            // Its message could hold what somebody said.
            error_log('logystera: ' . get_class($fault) . ' in ' . basename($fault->getFile()) . ':' . $fault->getLine());
        }
    }

    private static function typeOf(callable $watch): string
    {
        $class = is_array($watch) && is_object($watch[0]) ? get_class($watch[0]) : '';
        return (string) array_search($class, Plugin::SOURCES, true);
    }
}
