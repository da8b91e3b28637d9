<?php

declare(strict_types=1);

namespace Drupal\probe\Plugin\QueueWorker;

use Drupal\Core\Queue\QueueWorkerBase;

/**
 * Works on items, or fails.
 *
 * @QueueWorker(id = "probe", title = "Probe", cron = {"time" = 5})
 */
final class Probe extends QueueWorkerBase
{
    public function processItem($data)
    {
        if ($data === 'throws') {
            throw new \RuntimeException('the probe fails');
        }
    }
}
