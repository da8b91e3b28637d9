<?php

declare(strict_types=1);

namespace Drupal\logystera\Admin;

/**
 * A mail that was meant to fail: see Drill.
 */
final class DrillFailure extends \RuntimeException {
}
