<?php

declare(strict_types=1);

namespace Logystera;

/** What makes a file remarkable, by its name and its text. */
final class Script
{
    /** What is looked at of a file's text, in bytes. */
    public const READ_BYTES_MAX = 1048576;
    /** Longest script that is asked whether it does nothing, in bytes. */
    private const SILENT_BYTES_MAX = 4096;
    public const NAME = '/\.(php\d?|phtml|phar|phps)$/i';
    /** A row of Base64 or hex from this length on is a payload, in characters. */
    private const PAYLOAD = '/(?<![a-z0-9+\/=])[a-z0-9+\/=]{1000}|(?<!\\\\x[0-9a-f]{2})(?:\\\\x[0-9a-f]{2}){100}/i';
    /** Nothing but comments. A question mark could end a line of comment, and PHP with it. */
    private const SILENT = '~^\s*(?:<\?php(?=\s|$)(?:\s|//[^\r\n?]*|\#(?!\[)[^\r\n?]*|/\*(?:(?!\*/).)*+\*/)*+(?:\?>\s*)?)?$~sD';
    private const OBFUSCATED = '/\b(?:eval|assert|create_function)\s*\(\s*(?:base64_decode|gzinflate|gzuncompress|str_rot13|strrev|\$)'
        . '|\bpreg_replace\s*\(\s*[\'"](.).{0,200}?\1(?=[a-df-z]{0,12}e)[a-z]{1,12}+[\'"]/i';

    /** Whether a server may run a file of this name. */
    public static function isNamedSo(string $path): bool
    {
        return preg_match(self::NAME, $path) === 1;
    }

    /** Whether a script does nothing: such ones stand in folders so that servers do not list them. */
    public static function isSilent(string $text): bool
    {
        return strlen($text) <= self::SILENT_BYTES_MAX && preg_match(self::SILENT, $text) === 1;
    }

    /** @return array<string, bool> the heuristics of `file.edit` that the text alone decides */
    public static function heuristics(string $text): array
    {
        return [
            'obfuscated' => preg_match(self::OBFUSCATED, $text) === 1,
            'encoded_payload' => preg_match(self::PAYLOAD, $text) === 1,
        ];
    }
}
