<?php

/**
 * Made from schemas/avsc/signals by generate.php; a test compares. Don't edit: change the schema and run
 * `php integrations/php-core/generate.php`.
 */

declare(strict_types=1);

namespace Logystera;

/** The catalogue's signal types and what each field may hold, in the catalogue's order. */
final class CatalogueData
{
    /**
     * Type => field => [whether a signal may lack it, kind, what bounds it]: `enum` and `list` name their
     * symbols, `int` its smallest and largest value, `ident` its class of characters and its length.
     */
    public const TYPES = [
        'auth.attempt' => [
            'outcome' => [false, 'enum', ['success', 'failure', 'lockout', 'reset_requested']],
            'method' => [false, 'enum', [
                'form',
                'xmlrpc',
                'rest',
                'app_password',
                'cookie',
                'sso',
                'cli',
                'one_time_link',
            ]],
            'reason' => [true, 'enum', ['unknown_user', 'bad_password', 'blocked', 'expired', 'other']],
            'user_hash' => [true, 'hash'],
            'user_length' => [true, 'int', 0, 1024],
            'source' => [false, 'hash'],
            'privileged' => [true, 'bool'],
            'network' => [true, 'hash'],
            'repeats' => [true, 'int', 1, 1000000000],
        ],
        'component.lifecycle' => [
            'kind' => [false, 'enum', ['plugin', 'module', 'theme', 'core']],
            'slug' => [false, 'ident', 'slug', 128],
            'action' => [false, 'enum', ['installed', 'activated', 'deactivated', 'updated', 'deleted']],
            'from_version' => [true, 'ident', 'version', 64],
            'to_version' => [true, 'ident', 'version', 64],
            'actor_hash' => [true, 'hash'],
            'direction' => [true, 'enum', ['up', 'down']],
            'repeats' => [true, 'int', 1, 1000000000],
        ],
        'config.change' => [
            'key' => [false, 'ident', 'name', 191],
            'action' => [false, 'enum', ['added', 'updated', 'deleted']],
            'before_hash' => [true, 'hash'],
            'after_hash' => [true, 'hash'],
            'actor_hash' => [true, 'hash'],
            'flags' => [true, 'list', ['registration_opened', 'powerful_default_role', 'debug_on', 'file_editor_on']],
            'repeats' => [true, 'int', 1, 1000000000],
        ],
        'cron.run' => [
            'job' => [false, 'ident', 'name', 191],
            'outcome' => [false, 'enum', ['ok', 'failed', 'missed']],
            'late_s' => [true, 'int', 0, 31536000],
            'duration_ms' => [true, 'int', 0, 604800000],
            'repeats' => [true, 'int', 1, 1000000000],
        ],
        'db.event' => [
            'kind' => [false, 'enum', ['error', 'slow', 'connection_lost']],
            'code' => [true, 'ident', 'slug', 16],
            'duration_ms' => [true, 'int', 0, 604800000],
            'query_hash' => [true, 'hash'],
            'source' => [true, 'hash'],
            'repeats' => [true, 'int', 1, 1000000000],
        ],
        'file.edit' => [
            'path' => [false, 'ident', 'path', 256],
            'size_delta' => [false, 'int', -2147483648, 2147483647],
            'heuristics' => [false, 'list', [
                'php_in_uploads',
                'obfuscated',
                'encoded_payload',
                'permission_change',
                'core_file',
            ]],
            'actor_hash' => [true, 'hash'],
            'repeats' => [true, 'int', 1, 1000000000],
        ],
        'http.request' => [
            'method' => [false, 'enum', ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'OTHER']],
            'path' => [false, 'ident', 'path', 256],
            'status' => [false, 'int', 100, 599],
            'route_group' => [false, 'ident', 'slug', 64],
            'user_agent' => [true, 'ident', 'printable', 256],
            'duration_ms' => [true, 'int', 0, 604800000],
            'source' => [true, 'hash'],
            'action' => [true, 'ident', 'action', 64],
            'flags' => [true, 'list', ['sqli', 'xss', 'traversal', 'rfi', 'php_wrapper']],
            'bot' => [true, 'enum', ['verified', 'unverified']],
            'network' => [true, 'hash'],
            'repeats' => [true, 'int', 1, 1000000000],
        ],
        'integration.dropped' => [
            'dropped_type' => [false, 'ident', 'name', 64],
            'count' => [false, 'int', 1, 1000000000],
            'since' => [false, 'int', 0, 253402300799999],
            'reason' => [false, 'enum', ['overflow', 'expired', 'disk', 'refused']],
        ],
        'mail.outcome' => [
            'outcome' => [false, 'enum', ['sent', 'failed', 'skipped']],
            'transport' => [true, 'enum', ['smtp', 'mail', 'api', 'other']],
            'error_class' => [true, 'enum', ['auth', 'connect', 'rejected', 'timeout', 'other']],
            'recipients' => [true, 'int', 0, 1000000],
            'repeats' => [true, 'int', 1, 1000000000],
        ],
        'php.error' => [
            'level' => [false, 'enum', ['fatal', 'parse', 'warning', 'notice', 'deprecated']],
            'component' => [false, 'ident', 'slug', 128],
            'file_hash' => [false, 'hash'],
            'line' => [true, 'int', 0, 10000000],
            'message_hash' => [false, 'hash'],
            'source' => [true, 'hash'],
            'repeats' => [true, 'int', 1, 1000000000],
        ],
        'shop.order' => [
            'outcome' => [false, 'enum', ['paid', 'failed', 'refunded', 'cancelled']],
            'gateway' => [false, 'ident', 'slug', 64],
            'repeats' => [true, 'int', 1, 1000000000],
        ],
        'user.change' => [
            'action' => [false, 'enum', [
                'created',
                'role_granted',
                'role_revoked',
                'deleted',
                'password_changed',
                'email_changed',
                'second_factor_off',
                'app_password_created',
            ]],
            'role' => [false, 'ident', 'slug', 64],
            'user_hash' => [false, 'hash'],
            'user_length' => [true, 'int', 0, 1024],
            'actor_hash' => [true, 'hash'],
            'repeats' => [true, 'int', 1, 1000000000],
        ],
    ];
}
