<?php

/**
 * Plugin Name:       Logystera
 * Plugin URI:        https://logystera.example/wordpress
 * Description:       You hear of it when mail fails, jobs stop, passwords are guessed or an administrator appears. Not before you agree.
 * Version:           0.1.0
 * Requires at least: 5.9
 * Requires PHP:      7.4
 * Author:            The Logystera authors
 * Author URI:        https://logystera.example
 * License:           GPL-2.0-or-later
 * License URI:       https://www.gnu.org/licenses/old-licenses/gpl-2.0.html
 * Update URI:        https://logystera.example/wordpress
 * Text Domain:       logystera
 * Domain Path:       /languages
 *
 * Under the GPL, version 2 or later, or the Apache License 2.0, at your choice: LICENSE.md. Update URI: no other plugin of this name, from
 * whatever catalogue, is taken for an update of this one.
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
