<?php

declare(strict_types=1);

namespace Drupal\logystera\Signals;

use Drupal\logystera\Runtime;
use Logystera\Redact;
use Psr\Log\LoggerInterface;
use Psr\Log\LoggerTrait;

/**
 * The jobs of a cron run: each module's hook_cron(), and each queue that something was taken from. Drupal's cron tells where it is
 * by its log alone, as long as its detailed logging is on; without it only the queues and the run as a whole are known.
 */
final class CronJobs implements LoggerInterface
{
    use LoggerTrait;

    private const TYPE = 'cron.run';
    private const CHANNEL = 'cron';

    private ?float $runStart = null;
    /** The module whose hook runs, since when, and whether it threw. */
    private ?string $module = null;
    private float $start = 0.0;
    private bool $hasFailed = false;
    /** @var array<string, array{0: float, 1: bool}> seconds, and whether an item failed, by queue */
    private array $queues = [];

    public function __construct(private readonly Runtime $runtime)
    {
    }

    public function runBegins(): void
    {
        $this->runtime->guard(self::TYPE, function (): void {
            $this->runStart = microtime(true);
            // A run that a fault ends, or exit(), comes no further.
            $this->runtime->atEnd(fn () => $this->runEnds('cron', 'failed'));
        });
    }

    public function runEnds(string $job, string $outcome): void
    {
        $this->runtime->guard(self::TYPE, function () use ($job, $outcome): void {
            if ($this->runStart === null) {
                return;
            }
            $start = $this->runStart;
            $this->runStart = null;
            $this->hasFailed = $this->hasFailed || $outcome === 'failed';
            $this->moduleEnds();
            foreach ($this->queues as $queue => [$seconds, $hasFailed]) {
                $this->tell("queue:$queue", $hasFailed ? 'failed' : 'ok', $seconds);
            }
            $this->queues = [];
            $this->tell($job, $outcome, microtime(true) - $start);
        });
    }

    /** An item of a queue was worked on. */
    public function itemEnds(string $queue, float $seconds, bool $hasFailed): void
    {
        $this->runtime->guard(self::TYPE, function () use ($queue, $seconds, $hasFailed): void {
            [$before, $hadFailed] = $this->queues[$queue] ?? [0.0, false];
            $this->queues[$queue] = [$before + $seconds, $hadFailed || $hasFailed];
            if ($this->runStart === null) {
                // A queue that something else than cron works on.
                $this->runtime->atEnd(function () use ($queue): void {
                    if (isset($this->queues[$queue])) {
                        [$seconds, $hasFailed] = $this->queues[$queue];
                        unset($this->queues[$queue]);
                        $this->tell("queue:$queue", $hasFailed ? 'failed' : 'ok', $seconds);
                    }
                });
            }
        });
    }

    public function log($level, string|\Stringable $message, array $context = []): void
    {
        $this->runtime->guard(self::TYPE, function () use ($context): void {
            if (($context['channel'] ?? '') !== self::CHANNEL || $this->runStart === null) {
                return;
            }
            if (isset($context['exception'])) {
                $this->hasFailed = true;
                return;
            }
            if (isset($context['@module']) || isset($context['@module_previous'])) {
                $this->moduleEnds();
                $this->module = isset($context['@module']) ? (string) $context['@module'] : null;
                $this->start = microtime(true);
            }
        });
    }

    private function moduleEnds(): void
    {
        if ($this->module !== null) {
            $this->tell($this->module . '_cron', $this->hasFailed ? 'failed' : 'ok', microtime(true) - $this->start);
        }
        $this->module = null;
        $this->hasFailed = false;
    }

    private function tell(string $job, string $outcome, float $seconds): void
    {
        $this->runtime->emitter(self::TYPE)?->emit([
            'job' => Redact::name($job), 'outcome' => $outcome, 'duration_ms' => (int) round($seconds * 1000),
        ]);
    }
}
