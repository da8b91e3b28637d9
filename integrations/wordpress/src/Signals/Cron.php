<?php

declare(strict_types=1);

namespace Logystera\WordPress\Signals;

use Logystera\Redact;
use Logystera\WordPress\Emitter;
use Logystera\WordPress\Guard;

/**
 * Jobs of WP-Cron. It takes each event off its list right before it runs the event's hook: from then on the job is
 * watched, and what began and did not end when the request ends has failed.
 */
final class Cron implements Source
{
    /** @var Emitter */
    private $emitter;
    /** @var array<string, int> due time of the event that was taken off the list last, by hook */
    private $due = [];
    /** @var array<string, array{0: float, 1: int}> start and due time of what runs, by hook */
    private $running = [];
    /** @var array<string, true> */
    private $watched = [];

    public function __construct(Emitter $emitter)
    {
        $this->emitter = $emitter;
    }

    public function register(): void
    {
        Guard::watch('pre_unschedule_event', [$this, 'taken'], PHP_INT_MAX, 3);
    }

    public function finish(): void
    {
        foreach (array_keys($this->running) as $hook) {
            $this->tell($hook, 'failed');
        }
    }

    /**
     * @param mixed $result
     * @param mixed $timestamp
     * @param mixed $hook
     */
    public function taken($result, $timestamp, $hook)
    {
        if (wp_doing_cron() && is_string($hook) && (int) $timestamp <= time()) {
            $this->due = [$hook => (int) $timestamp];
            if (!isset($this->watched[$hook])) {
                $this->watched[$hook] = true;
                Guard::watch($hook, [$this, 'begin'], -PHP_INT_MAX, 0);
                Guard::watch($hook, [$this, 'end'], PHP_INT_MAX, 0);
            }
        }
        return $result;
    }

    public function begin(): void
    {
        $hook = (string) current_filter();
        if (isset($this->due[$hook])) {
            $this->running[$hook] = [microtime(true), $this->due[$hook]];
            unset($this->due[$hook]);
        }
    }

    public function end(): void
    {
        $hook = (string) current_filter();
        if (isset($this->running[$hook])) {
            $this->tell($hook, 'ok');
        }
    }

    private function tell(string $hook, string $outcome): void
    {
        [$start, $due] = $this->running[$hook];
        unset($this->running[$hook]);
        $this->emitter->emit([
            'job' => Redact::name($hook), 'outcome' => $outcome, 'late_s' => max(0, (int) $start - $due),
            'duration_ms' => (int) round((microtime(true) - $start) * 1000),
        ]);
    }
}
