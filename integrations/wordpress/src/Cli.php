<?php

declare(strict_types=1);

namespace Logystera\WordPress;

use Logystera\Flushed;
use Logystera\Limits;
use WP_CLI;

/**
 * Shows and does from the command line what the settings page does.
 *
 * Run it as the user that the web server runs PHP as. Exit codes: 0 done, 1 nothing got through or something is wrong, 2 wrong use,
 * 3 not set up.
 */
final class Cli
{
    private const WRONG_USE = 2;
    private const NOT_SET_UP = 3;

    public static function register(): void
    {
        WP_CLI::add_command('logystera', self::class);
    }

    /**
     * Shows whether the sending works, what waits and what was lost.
     *
     * ## OPTIONS
     *
     * [--format=<format>]
     * : How to show it.
     * ---
     * default: table
     * options:
     *   - table
     *   - json
     *   - csv
     *   - yaml
     * ---
     *
     * @param string[] $arguments
     * @param array<string, string> $options
     */
    public function status(array $arguments, array $options): void
    {
        $site = $this->site();
        $waiting = $site->outbox->waiting();
        $values = $site->state()->values;
        $problems = Admin\Status::problems($site);
        $lost = [];
        foreach ($waiting['dropped'] as $key => [$count]) {
            $lost[] = str_replace('|', ' ', (string) $key) . ": $count";
        }
        $rows = [
            'gateway' => Settings::agreedHost(), 'works' => $problems === [] ? 'yes' : 'no', 'problems' => implode(' ', $problems),
            'types' => implode(', ', Plugin::typesOn()), 'waiting' => $waiting['signals'], 'lost' => implode(', ', $lost),
            'accepted' => $values['accepted'],
            'last_success' => $values['succeeded_at'] === 0 ? '' : gmdate('Y-m-d\TH:i:s\Z', intdiv($values['succeeded_at'], 1000)),
        ];
        $items = [];
        foreach ($rows as $name => $value) {
            $items[] = ['field' => $name, 'value' => $value];
        }
        self::show($options, $items, ['field', 'value']);
        WP_CLI::halt($problems === [] ? 0 : 1);
    }

    /**
     * Sends something now, whatever waits, and says what the gateway made of it.
     */
    public function test(): void
    {
        $site = $this->site();
        self::tell($site, $site->flush(Limits::CRON_BUDGET_MS, true));
    }

    /**
     * Sends what waits, as cron does it, and looks at what no hook tells.
     */
    public function flush(): void
    {
        self::tell($this->site(), Plugin::background(Limits::CRON_BUDGET_MS, true));
    }

    /**
     * Says what hashes stand for.
     *
     * ## OPTIONS
     *
     * <hash>...
     * : Hashes as alerts have them, 32 digits each.
     *
     * [--format=<format>]
     * : How to show it.
     * ---
     * default: table
     * options:
     *   - table
     *   - json
     *   - csv
     *   - yaml
     * ---
     *
     * @param string[] $arguments
     * @param array<string, string> $options
     */
    public function lookup(array $arguments, array $options): void
    {
        $site = $this->site();
        [$items, $isWhole] = [[], true];
        foreach ($arguments as $hash) {
            if (preg_match('/^[0-9a-f]{32}$/Di', $hash) !== 1) {
                WP_CLI::error('A hash has 32 digits of 0-9 and a-f; one of these has not.', false);
                WP_CLI::halt(self::WRONG_USE);
            }
            $found = $site->lookup->find($hash);
            $isWhole = $isWhole && $found !== null;
            // What strangers typed must not move a terminal's cursor.
            $meaning = (string) preg_replace('/[\x00-\x1f\x7f]|\xc2[\x80-\x9f]/', '?', $found['meaning'] ?? '');
            $items[] = [
                'hash' => strtolower($hash), 'kind' => $found['kind'] ?? 'unknown', 'meaning' => $meaning,
                'seen' => $found === null ? '' : gmdate('Y-m-d\TH:i:s\Z', $found['seen']),
            ];
        }
        self::show($options, $items, ['hash', 'kind', 'meaning', 'seen']);
        WP_CLI::halt($isWhole ? 0 : 1);
    }

    /** The site; ends the command where there is none. */
    private function site(): Site
    {
        $folder = SpoolFolder::known();
        $owner = $folder === null ? false : fileowner($folder);
        if (function_exists('posix_geteuid') && $owner !== false && !in_array(posix_geteuid(), [$owner, 0], true)) {
            WP_CLI::error("The signals belong to user $owner: run this as that user, or the site cannot read them.", false);
            WP_CLI::halt(self::WRONG_USE);
        }
        $site = Plugin::site();
        if ($site === null) {
            WP_CLI::error('Not set up here: agree on the settings page first.', false);
            WP_CLI::halt(self::NOT_SET_UP);
            exit((int) self::NOT_SET_UP);
        }
        return $site;
    }

    private static function tell(Site $site, Flushed $flushed): void
    {
        if ($flushed->outcome === Flushed::BUSY) {
            WP_CLI::warning('Another process is sending at this moment. Try again in some seconds.');
        } elseif ($flushed->isFailure()) {
            WP_CLI::error(implode(' ', Admin\Status::problems($site)) ?: 'Nothing got through. It is tried again later.', false);
        } else {
            WP_CLI::success($flushed->batches === 0 ? 'Nothing waits.' : "The gateway has it: $flushed->batches batches.");
        }
        WP_CLI::halt($flushed->isFailure() ? 1 : 0);
    }

    private static function show(array $options, array $items, array $fields): void
    {
        \WP_CLI\Utils\format_items($options['format'] ?? 'table', $items, $fields);
    }
}
