<?php

declare(strict_types=1);

namespace Logystera;

/** By what a text looks like a token, an address, a number of somebody's, or a name. Rather one too many than one too few. */
final class Telltale
{
    /** Letters and digits in a row from which a run is taken for a token; the same for hex digits and for digits. */
    private const TOKEN_CHARS_MIN = 20;
    private const HEX_TOKEN_CHARS_MIN = 16;
    private const NUMBER_CHARS_MIN = 9;
    /** A long run that changes between small and capital letters, or between letters and digits, so often is nobody's word. */
    private const CHANGES_MIN = 4;
    private const MIXED_CHARS_MIN = 12;
    /** Letters of one case in a row from which a run is looked at as one that may be drawn at random. */
    private const LETTERS_MIN = 16;
    /** In words a quarter of the letters are vowels at least, no five others stand in a row, and few are rare ones. */
    private const VOWELS_MIN = 0.28;
    private const RARE_MIN = 4;
    /**
     * Base64 for URLs has marks in it that cut it into short runs. Such a text changes from small letters to capitals within its
     * words, which titles do not; of random ones with 43 characters two in ten thousand pass all rules here.
     */
    private const URL_BASE64 = '/^(?=.*[-_])[0-9A-Za-z_-]{24,}$/D';
    private const INNER_CHANGES_MIN = 2;
    private const UUID = '/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/i';
    private const DATE = '/(?<!\d)(?:19|20)\d\d[-_.](?:0\d|1[0-2])[-_.](?:[0-2]\d|3[01])(?!\d)/';
    /** Digits with what people put between them. */
    private const NUMBER = '/\d(?:[\s().+_-]{0,3}\d)+/';
    /** Layers of encoding that are taken off; nobody means well who uses more. */
    private const LAYERS_MAX = 8;

    /** The text with every layer of URL encoding and of HTML's entities taken off; `@` where there is no end to them. */
    public static function decoded(string $text): string
    {
        for ($layer = 0; $layer < self::LAYERS_MAX; $layer++) {
            $plain = (string) preg_replace('/%u00([0-9a-f]{2})/i', '%$1', $text);
            $plain = rawurldecode($plain);
            $plain = strpos($plain, '&') === false ? $plain : html_entity_decode($plain, ENT_QUOTES | ENT_HTML5, 'UTF-8');
            if ($plain === $text) {
                return $text;
            }
            $text = $plain;
        }
        return '@';
    }

    /** Whether a decoded text looks like something of a person's, or a secret. */
    public static function isIn(string $text): bool
    {
        if (strlen($text) < self::NUMBER_CHARS_MIN && strpbrk($text, "@:. +\t\r\n") === false) {
            // Most of a path's segments: too short for all that is looked for below.
            return false;
        }
        if (strpos($text, '@') !== false || Address::canonical($text) !== null || self::withoutAddresses($text, '') !== $text) {
            return true;
        }
        return self::withoutUuids($text, '') !== $text || self::hasNumber($text) || self::hasToken($text, 1) || self::hasWords($text);
    }

    /** Whether one of the runs of at least so many letters and digits is a token, or the whole is Base64 for URLs. */
    public static function hasToken(string $text, int $charsMin): bool
    {
        foreach (preg_split('/[^0-9A-Za-z_-]+/', $text, -1, PREG_SPLIT_NO_EMPTY) ?: [] as $part) {
            if (preg_match(self::URL_BASE64, $part) === 1 && preg_match_all('/[a-z](?=[A-Z])/', $part) >= self::INNER_CHANGES_MIN) {
                return true;
            }
        }
        foreach (preg_split('/[^0-9A-Za-z]+/', $text, -1, PREG_SPLIT_NO_EMPTY) ?: [] as $run) {
            if (strlen($run) >= $charsMin && self::isToken($run)) {
                return true;
            }
        }
        return false;
    }

    /** Whether there are so many digits, with whatever between them, as telephones and cards have. A date is none. */
    public static function hasNumber(string $text): bool
    {
        return self::hasDigits($text) && self::withoutNumbers($text, '') !== preg_replace(self::DATE, 'date', $text);
    }

    private static function hasDigits(string $text): bool
    {
        return strlen((string) preg_replace('/\D+/', '', $text)) >= self::NUMBER_CHARS_MIN;
    }

    /** The text with $instead of each such number. */
    public static function withoutNumbers(string $text, string $instead): string
    {
        $replace = static function (array $m) use ($instead): string {
            return preg_match_all('/\d/', $m[0]) >= self::NUMBER_CHARS_MIN ? $instead : $m[0];
        };
        return (string) preg_replace_callback(self::NUMBER, $replace, (string) preg_replace(self::DATE, 'date', $text));
    }

    /** Whether a run of letters and digits is a token. */
    public static function isToken(string $run): bool
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
        $cases = (int) preg_match_all('/[a-z](?=[A-Z])|[A-Z](?=[a-z])/', $run);
        $kinds = (int) preg_match_all('/[a-z](?=[0-9])|[0-9](?=[a-z])/i', $run);
        return ($digits >= 2 && $length >= self::TOKEN_CHARS_MIN)
            || (max($cases, $kinds) >= self::CHANGES_MIN && $length >= self::MIXED_CHARS_MIN)
            || ($digits === 0 && $cases <= 1 && $length >= self::LETTERS_MIN && self::isRandom(strtolower($run)));
    }

    private static function isRandom(string $letters): bool
    {
        $vowels = (int) preg_match_all('/[aeiouy]/', $letters);
        return $vowels < self::VOWELS_MIN * strlen($letters) || preg_match('/[^aeiouy]{5}/', $letters) === 1
            || preg_match_all('/[jkqvwxz]/', $letters) >= self::RARE_MIN;
    }

    /** The text with $instead of each IPv6 address. */
    public static function withoutAddresses(string $text, string $instead): string
    {
        if (substr_count($text, ':') < 2) {
            return $text;
        }
        $replace = static function (array $m) use ($instead): string {
            // A colon before it may be one of the text's own.
            $plain = (string) preg_replace('/^:(?!:)/', '', $m[0]);
            $before = substr($m[0], 0, strlen($m[0]) - strlen($plain));
            return Address::canonical($plain) === null ? $m[0] : $before . $instead;
        };
        return (string) preg_replace_callback('/[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,8}/i', $replace, $text);
    }

    /** The text with $instead of each UUID. */
    public static function withoutUuids(string $text, string $instead): string
    {
        return (string) preg_replace(self::UUID, $instead, $text);
    }

    /** Two words with a blank between them: somebody's name, or what somebody searched for. */
    private static function hasWords(string $text): bool
    {
        return preg_match('/[A-Za-z\x80-\xff]{2}[\s+]+[A-Za-z\x80-\xff]{2}/', $text) === 1;
    }
}
