<?php

declare(strict_types=1);

namespace Logystera;

/**
 * What a request's query and body look like they were made for. Neither is kept or sent: only which of these it was, so that a rule can
 * tell an attack from a visitor. A short list of marks that honest visitors do not write, not a firewall.
 */
final class Probe
{
    /** Bytes of a request that are looked at, in all: its query first. */
    private const BYTES_MAX = 16384;
    /** Values of a body that are looked at, and how deep they may lie. */
    private const VALUES_MAX = 200;
    private const DEPTH_MAX = 5;
    /** What is shorter has none of the marks, in bytes: a request may have thousands of values. */
    private const MARK_BYTES_MIN = 6;
    /** Flag => what it is known by, in small letters and without blanks' differences. */
    private const MARKS = [
        'sqli' => '~\bunion(?: all| distinct)? select\b|\binformation_schema\b|\binto (?:out|dump)file\b|\bwaitfor delay\b'
            . '|\bselect\b.{1,80}\bfrom\b.{0,40}\b(?:wp_users|users_field_data)\b|; ?(?:drop|truncate|alter) table\b'
            . '|[\'"] ?(?:or|and) ?[\'"(]?\w{1,20}[\'"]? ?(?:=|like|<|>) ?[\'"(]?\w'
            . '|\b(?:sleep|benchmark|pg_sleep|extractvalue|updatexml|load_file|xp_cmdshell) ?\( ?[\w\'"]~',
        'xss' => '~<script\b|\bjavascript: ?[a-z(\[]'
            . '|<(?:svg|img|iframe|body|video|audio|details|object|embed)\b[^>]{0,200}?\bon[a-z]{3,20} ?='
            . '|<(?:iframe|object|embed)\b[^>]{0,200}?(?:src|data|srcdoc) ?=~',
        'traversal' => '~(?:\.\.[/\\\\]){2}|[/\\\\]etc[/\\\\](?:passwd|shadow)\b|[/\\\\]proc[/\\\\]self[/\\\\]'
            . '|\.\.[/\\\\](?:wp-config|settings)\.php|[/\\\\](?:win|boot)\.ini\b~',
        'php_wrapper' => '~\b(?:php://(?:filter|input|memory|temp)|phar://|expect://|zip://|ogg://|glob://'
            . '|compress\.(?:zlib|bzip2)://|data://text|data:[^,]{0,60}php)~',
    ];
    /** An address of a script on another machine, as the whole of a value. */
    private const REMOTE = '~^(?:https?|ftps?)://([^/?#:@]+)[^?#]*\.(?:php\d?|phtml|phar|txt|inc|sh)\b~';

    /**
     * @param string $query as it came, undecoded
     * @param mixed $body what was decoded of the body: a list of values, lists in it, or a text
     * @param string $host the site's own: an address that leads there is none of a stranger's
     * @return string[] flags of the catalogue, in its order
     */
    public static function flags(string $query, $body, string $host): array
    {
        [$texts, $left] = [[], self::BYTES_MAX];
        $values = explode('&', substr($query, 0, self::BYTES_MAX));
        foreach (array_merge($values, self::values($body)) as $value) {
            $value = substr($value, 0, $left);
            $name = strpos($value, '=');
            foreach ($name === false ? [$value] : [substr($value, $name + 1), $value] as $text) {
                $text = substr($text, 0, $left);
                if (strlen($text) >= self::MARK_BYTES_MIN) {
                    $left -= strlen($text);
                    $texts[] = self::plain($text);
                }
            }
        }
        $texts = array_unique($texts);
        $found = [];
        foreach (self::MARKS as $flag => $marks) {
            $found[$flag] = preg_grep($marks, $texts) !== [];
        }
        foreach ($texts as $text) {
            $isRemote = preg_match(self::REMOTE, $text, $m) === 1 && $m[1] !== strtolower($host);
            $found['rfi'] = ($found['rfi'] ?? false) || $isRemote;
        }
        return array_keys(array_filter($found));
    }

    /** @param mixed $value @return string[] the texts in it */
    private static function values($value, int $depth = 0): array
    {
        if (is_string($value)) {
            return [$value];
        }
        $texts = [];
        foreach (is_array($value) && $depth < self::DEPTH_MAX ? $value : [] as $name => $inner) {
            if (count($texts) >= self::VALUES_MAX) {
                break;
            }
            $texts = array_merge($texts, is_string($name) ? [$name] : [], self::values($inner, $depth + 1));
        }
        return array_slice($texts, 0, self::VALUES_MAX);
    }

    /** Decoded to a fixed point, in small letters; what stands for a blank in a query is one. */
    private static function plain(string $text): string
    {
        $text = Telltale::decoded(strtr($text, '+', ' '));
        $text = (string) preg_replace('~/\*.*?\*/|[\x00-\x20]+~s', ' ', $text);
        return strtolower(trim($text));
    }
}
