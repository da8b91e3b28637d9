<?php

/**
 * Plugin Name:       Logystera
 * Description:       Tells a Logystera gateway how this site behaves: sign-ins, mail, cron, errors, changes. Never content.
 * Version:           0.1.0
 * Requires at least: 5.9
 * Requires PHP:      7.4
 * License:           Apache-2.0
 * Text Domain:       logystera
 * Domain Path:       /languages
 *
 * Nothing is sent, and no signal is recorded, before an administrator has agreed to it on the settings page.
 */

declare(strict_types=1);

namespace Logystera\WordPress;

defined('ABSPATH') || exit;

const VERSION = '0.1.0';
const FILE = __FILE__;

require_once __DIR__ . '/load.php';

Plugin::boot();
