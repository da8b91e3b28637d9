<?php

/**
 * Stands for WP-CLI where that can't be had: what the plugin's command uses of it, by its documentation.
 *
 *   php wp_cli.php --path=FOLDER logystera COMMAND [ARGUMENT...] [--format=FORMAT]
 */

declare(strict_types=1);

namespace WP_CLI\Utils {
    function format_items(string $format, array $items, array $fields): void
    {
        $rows = array_map(static fn (array $item): array => array_intersect_key($item, array_flip($fields)), $items);
        if ($format === 'json') {
            echo json_encode($rows), "\n";
            return;
        }
        foreach (array_merge([array_combine($fields, $fields)], $rows) as $row) {
            echo implode("\t", $row), "\n";
        }
    }
}

namespace {
    define('WP_CLI', true);

    final class WP_CLI
    {
        public static array $commands = [];

        public static function add_command(string $name, string $class): void
        {
            self::$commands[$name] = new $class();
        }

        public static function success(string $message): void
        {
            echo "Success: $message\n";
        }

        public static function warning(string $message): void
        {
            fwrite(STDERR, "Warning: $message\n");
        }

        public static function error(string $message, bool $exit = true): void
        {
            fwrite(STDERR, "Error: $message\n");
            $exit && exit(1);
        }

        public static function halt(int $code): void
        {
            exit($code);
        }
    }

    [$arguments, $options] = [[], []];
    foreach (array_slice($argv, 1) as $word) {
        if (strncmp($word, '--', 2) === 0) {
            [$name, $value] = array_pad(explode('=', substr($word, 2), 2), 2, 'true');
            $options[$name] = $value;
        } else {
            $arguments[] = $word;
        }
    }
    $_SERVER += ['HTTP_HOST' => '', 'REQUEST_URI' => '/', 'SERVER_PROTOCOL' => 'HTTP/1.1'];
    require $options['path'] . '/wp-load.php';
    [$name, $command] = $arguments;
    WP_CLI::$commands[$name]->$command(array_slice($arguments, 2), $options);
}
