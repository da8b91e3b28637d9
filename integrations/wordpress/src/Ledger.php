<?php

declare(strict_types=1);

namespace Logystera\WordPress;

/**
 * Counts of lost signals among the options, a row for each type and reason and one for the time of the first. Past the options' own
 * functions: those read, add and write, and of two requests at the same time one would be lost.
 */
final class Ledger implements \Logystera\Ledger
{
    public const PREFIX = 'logystera_lost_';
    private const SINCE = self::PREFIX . 'since';

    /** @var string the options of the site, also while WordPress is at another one of the network */
    private $table;

    public function __construct()
    {
        global $wpdb;
        $this->table = (string) $wpdb->options;
    }

    public function add(array $counts): void
    {
        global $wpdb;
        foreach ($counts as $key => [$count, $since]) {
            $this->query($wpdb->prepare(
                "INSERT IGNORE INTO $this->table (option_name, option_value, autoload) VALUES (%s, %s, 'no')",
                self::SINCE,
                (string) $since
            ));
            $this->query($wpdb->prepare(
                "INSERT INTO $this->table (option_name, option_value, autoload) VALUES (%s, %d, 'no')"
                    . ' ON DUPLICATE KEY UPDATE option_value = option_value + VALUES(option_value)',
                self::PREFIX . $key,
                $count
            ));
        }
    }

    public function counts(): array
    {
        global $wpdb;
        $rows = (array) $wpdb->get_results($wpdb->prepare(
            "SELECT option_name, option_value FROM $this->table WHERE option_name LIKE %s",
            $wpdb->esc_like(self::PREFIX) . '%'
        ), ARRAY_A);
        $values = array_column($rows, 'option_value', 'option_name');
        $since = (int) ($values[self::SINCE] ?? 0);
        $counts = [];
        foreach ($values as $name => $count) {
            if ($name !== self::SINCE && (int) $count > 0) {
                $counts[substr((string) $name, strlen(self::PREFIX))] = [(int) $count, $since];
            }
        }
        return $counts;
    }

    public function take(array $counts): void
    {
        global $wpdb;
        foreach ($counts as $key => [$count]) {
            $this->query($wpdb->prepare(
                "UPDATE $this->table SET option_value = option_value - %d WHERE option_name = %s",
                $count,
                self::PREFIX . $key
            ));
        }
        // The time of the first goes with the last count; one that comes meanwhile brings its own.
        $this->query($wpdb->prepare(
            "DELETE FROM $this->table WHERE option_name LIKE %s AND (option_name = %s OR option_value + 0 <= 0)",
            $wpdb->esc_like(self::PREFIX) . '%',
            self::SINCE
        ));
    }

    /** Removes every row. */
    public static function remove(): void
    {
        global $wpdb;
        $wpdb->query($wpdb->prepare(
            "DELETE FROM $wpdb->options WHERE option_name LIKE %s",
            $wpdb->esc_like(self::PREFIX) . '%'
        ));
    }

    /** @throws \RuntimeException where the database does not take it either */
    private function query(string $sql): void
    {
        global $wpdb;
        // phpcs:ignore WordPress.DB.PreparedSQL.NotPrepared -- each caller prepares it
        if ($wpdb->query($sql) === false) {
            throw new \RuntimeException('the database took no count of lost signals');
        }
    }
}
