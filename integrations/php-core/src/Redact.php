<?php

declare(strict_types=1);

namespace Logystera;

/** What a signal may have of a text that strangers wrote: nothing that a person or a secret could be read from. */
final class Redact
{
    private const PATH_CHARS_MAX = 256;
    private const AGENT_CHARS_MAX = 256;
    /** Letters and digits in a row from which a run is taken for a token; the same for hex digits and for digits. */
    private const TOKEN_CHARS_MIN = 20;
    private const HEX_TOKEN_CHARS_MIN = 16;
    private const NUMBER_CHARS_MIN = 9;
    /** A long run that changes between small and capital letters so often is nobody's word. */
    private const CASE_CHANGES_MIN = 4;
    private const MIXED_CHARS_MIN = 12;
    /**
     * Base64 for URLs has marks in it that cut it into short runs. Such a text changes from small letters to capitals within its
     * words, which titles do not; of random ones with 43 characters two in ten thousand pass all rules here.
     */
    private const URL_BASE64 = '/^(?=.*[-_])[0-9A-Za-z_-]{24,}$/D';
    private const INNER_CHANGES_MIN = 2;
    /** Stands for a segment that is not told. */
    private const HIDDEN = '*';
    /** The segment after one of these names a person, a search or a one-time link. */
    private const NAMES_A_PERSON = [
        'author', 'user', 'users', 'member', 'members', 'profile', 'profiles', 'search', 'reset', 'reset-password',
        'password-reset', 'lostpassword', 'activate', 'activation', 'confirm', 'verify', 'invite', 'invitation', 'token',
        'magic', 'magic-link', 'unsubscribe', 'share', 'key', 'login',
    ];

    /**
     * The path of a request target, without query, and with `*` for what looks like a token, an address or a one-time
     * link.
     */
    public static function path(string $target): string
    {
        if ($target === '' || $target[0] !== '/') {
            $isUrl = preg_match('~^[a-z]+://[^/?#]*~i', $target, $origin) === 1;
            $target = $isUrl ? '/' . ltrim(substr($target, strlen($origin[0])), '/') : '/*';
        }
        $target = substr($target, 0, strcspn($target, '?#;'));
        $segments = explode('/', $target);
        $hides = false;
        foreach ($segments as $i => $segment) {
            $decoded = rawurldecode($segment);
            $isHidden = $segment !== '' && ($hides || self::isPersonal($decoded));
            $hides = in_array(strtolower($decoded), self::NAMES_A_PERSON, true) || ($hides && $segment !== '');
            $segments[$i] = $isHidden ? self::HIDDEN : (string) preg_replace('/[^\x21-\x7e]/', '_', $segment);
        }
        $path = implode('/', $segments);
        return substr($path === '' ? '/' : $path, 0, self::PATH_CHARS_MAX);
    }

    /** Whether a text looks like a token, an address or a one-time link. Rather one too many than one too few. */
    public static function isPersonal(string $text): bool
    {
        if (strpos($text, '@') !== false || filter_var($text, FILTER_VALIDATE_IP) !== false) {
            return true;
        }
        if (preg_match('/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/Di', $text) === 1) {
            return true;
        }
        if (preg_match(self::URL_BASE64, $text) === 1 && preg_match_all('/[a-z](?=[A-Z])/', $text) >= self::INNER_CHANGES_MIN) {
            return true;
        }
        foreach (preg_split('/[^0-9A-Za-z]+/', $text, -1, PREG_SPLIT_NO_EMPTY) ?: [] as $run) {
            if (self::isToken($run)) {
                return true;
            }
        }
        return false;
    }

    private static function isToken(string $run): bool
    {
        $length = strlen($run);
        $digits = (int) preg_match_all('/[0-9]/', $run);
        if ($digits === $length) {
            return $length >= self::NUMBER_CHARS_MIN;
        }
        if ($digits > 0 && $length >= self::HEX_TOKEN_CHARS_MIN && ctype_xdigit($run)) {
            return true;
        }
        // The one-time keys of WordPress are 20 letters and digits, and one in thirty has no digit at all.
        $changes = (int) preg_match_all('/[a-z](?=[A-Z])|[A-Z](?=[a-z])/', $run);
        return ($digits >= 2 && $length >= self::TOKEN_CHARS_MIN)
            || ($changes >= self::CASE_CHANGES_MIN && $length >= self::MIXED_CHARS_MIN);
    }

    /**
     * A client's name for itself: visible ASCII, cut, without words that hold an `@` or look like a token. Null if
     * nothing is left.
     */
    public static function userAgent(string $agent): ?string
    {
        $words = preg_split('/[^\x21-\x7e]+/', $agent, -1, PREG_SPLIT_NO_EMPTY) ?: [];
        foreach ($words as $i => $word) {
            $words[$i] = strpos($word, '@') !== false || self::hasToken($word) ? self::HIDDEN : $word;
        }
        $text = substr(implode(' ', $words), 0, self::AGENT_CHARS_MAX);
        return $text === '' ? null : $text;
    }

    private static function hasToken(string $word): bool
    {
        foreach (preg_split('/[^0-9A-Za-z]+/', $word, -1, PREG_SPLIT_NO_EMPTY) ?: [] as $run) {
            if (strlen($run) >= self::HEX_TOKEN_CHARS_MIN && self::isToken($run)) {
                return true;
            }
        }
        return false;
    }

    /** The name of a setting or a job as the catalogue's class `name` has it, without what looks like a token. */
    public static function name(string $name): string
    {
        $plain = (string) preg_replace('~[^0-9A-Za-z_.:/\\\\-]~', '_', $name);
        $hide = static fn (array $m): string => self::isToken($m[0]) ? 'token' : $m[0];
        return (string) preg_replace_callback('/[0-9A-Za-z]+/', $hide, $plain);
    }

    /** A slug as the catalogue has it. */
    public static function slug(string $text, string $otherwise = 'other'): string
    {
        $slug = trim((string) preg_replace('/[^0-9A-Za-z_.-]+/', '-', $text), '-');
        return $slug === '' ? $otherwise : $slug;
    }

    /** A version as the catalogue has it; null where there is none. */
    public static function version(?string $text): ?string
    {
        $version = (string) preg_replace('/[^0-9A-Za-z._+~-]+/', '-', trim((string) $text));
        return $version === '' ? null : $version;
    }

    /**
     * An error message without what it quotes, so that one fault has one hash and the look-up store holds no content.
     */
    public static function message(string $message): string
    {
        $patterns = [
            '/"(?:[^"\\\\]|\\\\.)*"|\'(?:[^\'\\\\]|\\\\.)*\'|`[^`]*`/s' => '?',
            '~(?:[a-z]:)?[/\\\\][^\s:()]+~i' => '<path>',
            '/\S*@\S*/' => '?',
            '/\b[0-9a-f]*[0-9][0-9a-z]*\b/i' => '0',
        ];
        $first = strtok($message, "\n");
        $plain = (string) preg_replace(array_keys($patterns), array_values($patterns), $first === false ? '' : $first);
        return substr(trim((string) preg_replace('/[^\x20-\x7e]+/', '?', $plain)), 0, Limits::MEANING_CHARS_MAX);
    }

    /** The shape of a query: without literals, numbers and comments. */
    public static function query(string $sql): string
    {
        $patterns = [
            '/\/\*.*?\*\//s' => ' ',
            '/"(?:[^"\\\\]|\\\\.|"")*"|\'(?:[^\'\\\\]|\\\\.|\'\')*\'/s' => '?',
            // A literal that the fault cut short, and a comment, run to the end.
            '/["\'].*$/s' => '?',
            '/(?:--\s|#).*$/m' => '',
            '/\b0x[0-9a-f]+\b|\b[0-9][0-9.]*\b/i' => '?',
            '/\(\s*\?(?:\s*,\s*\?)+\s*\)/' => '(?)',
            '/[^\x21-\x7e]+/' => ' ',
        ];
        $shape = (string) preg_replace(array_keys($patterns), array_values($patterns), $sql);
        return substr(trim($shape), 0, Limits::MEANING_CHARS_MAX);
    }
}
