<?php

declare(strict_types=1);

namespace Logystera\WordPress\Signals;

use Logystera\Hasher;
use Logystera\Redact;
use Logystera\WordPress\Emitter;

/**
 * Errors of the database, from the list that WordPress keeps in a request; slow queries where the site has
 * SAVEQUERIES on, for nothing else measures them. A database that cannot be reached at all ends WordPress before any
 * plugin runs.
 */
final class Database implements Source
{
    /** From this on a query is slow, in seconds. */
    private const SLOW_S = 1.0;
    /** MariaDB's and MySQL's error numbers, by what their messages say. */
    private const CODES = [
        "/doesn't exist/" => '1146', '/SQL syntax/' => '1064', '/Duplicate entry/' => '1062',
        '/Unknown column/' => '1054', '/gone away/' => '2006', '/Lost connection/' => '2013', '/Deadlock/' => '1213',
        '/Lock wait timeout/' => '1205', '/is full/' => '1114', '/read.only/i' => '1290', '/denied/' => '1142',
        '/marked as crashed/' => '1194', '/Data too long/' => '1406',
    ];

    /** @var Emitter */
    private $emitter;

    public function __construct(Emitter $emitter)
    {
        $this->emitter = $emitter;
    }

    public function register(): void
    {
        // Both lists are read when the request ends.
    }

    public function finish(): void
    {
        global $EZSQL_ERROR, $wpdb;
        foreach (is_array($EZSQL_ERROR) ? $EZSQL_ERROR : [] as $error) {
            $this->tellError((string) ($error['error_str'] ?? ''), (string) ($error['query'] ?? ''));
        }
        $EZSQL_ERROR = [];
        foreach (defined('SAVEQUERIES') && SAVEQUERIES ? (array) $wpdb->queries : [] as $query) {
            if (is_array($query) && (float) ($query[1] ?? 0) >= self::SLOW_S) {
                $this->emitter->emit([
                    'kind' => 'slow', 'duration_ms' => (int) round($query[1] * 1000),
                    'query_hash' => $this->shape((string) $query[0]), 'source' => $this->emitter->visitor(),
                ]);
            }
        }
    }

    private function tellError(string $message, string $query): void
    {
        if (!$this->emitter->takesOne()) {
            return;
        }
        $code = null;
        foreach (self::CODES as $pattern => $number) {
            if (preg_match($pattern, $message) === 1) {
                $code = $number;
                break;
            }
        }
        $isLost = in_array($code, ['2006', '2013'], true);
        $this->emitter->emit([
            'kind' => $isLost ? 'connection_lost' : 'error', 'code' => $code, 'query_hash' => $this->shape($query),
            'source' => $this->emitter->visitor(),
        ]);
    }

    private function shape(string $query): string
    {
        return $this->emitter->hash(Hasher::QUERY, Redact::query($query));
    }
}
