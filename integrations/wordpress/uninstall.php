<?php

/** Removes every option, event and file of the plugin, on every site of a network. */

declare(strict_types=1);

namespace Logystera\WordPress;

defined('WP_UNINSTALL_PLUGIN') || exit;

require_once __DIR__ . '/load.php';

// Where it was active until this request, it still watches.
Plugin::silence();
$logysteraRemove = static function (): void {
    SpoolFolder::remove();
    wp_clear_scheduled_hook(Settings::EVENT);
    Ledger::remove();
    foreach (Settings::OPTIONS as $option) {
        delete_option($option);
    }
};
delete_metadata('user', 0, Admin\Notice::SEEN, '', true);
if (is_multisite()) {
    foreach (get_sites(['fields' => 'ids', 'number' => 0]) as $logysteraSite) {
        switch_to_blog((int) $logysteraSite);
        $logysteraRemove();
        restore_current_blog();
    }
} else {
    $logysteraRemove();
}
