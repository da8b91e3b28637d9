<?php

declare(strict_types=1);

namespace Logystera;

/** What a signal may have of a text that strangers wrote: nothing that a person or a secret could be read from. */
final class Redact
{
    private const PATH_CHARS_MAX = 256;
    private const AGENT_CHARS_MAX = 256;
    /** Runs of letters and digits that are looked at in a user agent: names of products are long, and have versions. */
    private const AGENT_TOKEN_CHARS_MIN = 16;
    /** Stands for a segment that is not told, and for a part of a name. */
    private const HIDDEN = '*';
    private const TOKEN = 'token';
    /** What a token, an address or an encoding may have in it, and what a number, as rtrim() takes it. */
    private const WORD = "0..9A..Za..z\x80..\xff@%&#;:_+()-.";
    private const NUMBER = ' 0..9_+()-.';
    /**
     * Most names of settings and jobs: nothing that is looked for in a name can be in one of these. They have neither capitals, colons nor
     * marks of an encoding, no run of letters and digits as long as a token's or a UUID's, no address, and too few digits for a number.
     */
    private const PLAIN_NAME = '~^(?!.*(?:[a-z]{16}|[a-f]{12}|(?=[0-9a-z]{12})[a-z]*\d|\d\.\d))(?!(?:\D*\d){9})[0-9a-z_./\\\\-]+$~D';
    /** @var string the name that was asked for last, and what may be told of it */
    private static $lastName = '';
    /** @var string */
    private static $lastPlain = '';
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
        $target = substr($target, 0, Limits::PATH_BYTES_MAX + 1);
        $target = substr($target, 0, strcspn($target, '?#;'));
        if (strlen($target) > Limits::PATH_BYTES_MAX) {
            $target = substr($target, 0, Limits::PATH_BYTES_MAX);
            // Half a segment may not look like what it is.
            $target = substr($target, 0, (int) strrpos($target, '/')) . '/' . self::HIDDEN;
        }
        $segments = explode('/', $target);
        $hides = false;
        foreach ($segments as $i => $segment) {
            [$isHidden, $hides] = self::look($segment, $hides);
            $segments[$i] = $isHidden ? self::HIDDEN : (string) preg_replace('/[^\x21-\x7e]/', '_', $segment);
        }
        $path = implode('/', $segments);
        return substr($path === '' ? '/' : $path, 0, self::PATH_CHARS_MAX);
    }

    /**
     * Whether a segment is hidden, and whether what follows is.
     *
     * @param bool $hides whether one before names a person or a search behind it
     * @return array{0: bool, 1: bool}
     */
    private static function look(string $segment, bool $hides): array
    {
        $decoded = Telltale::decoded($segment);
        if (trim($decoded, " .\t\r\n\0") === '') {
            // Servers pass over such a segment: what it stands before is still somebody's.
            return [false, $hides];
        }
        $isHidden = $hides || Telltale::isIn($decoded);
        // A segment may have marks of its own in it that are as good as a slash.
        foreach (preg_split('~[/\\\\?#;&=:,|]+~', $decoded, -1, PREG_SPLIT_NO_EMPTY) ?: [] as $part) {
            $isHidden = $isHidden || $hides || ($part !== $decoded && Telltale::isIn($part));
            $hides = $hides || in_array(strtolower(trim($part)), self::NAMES_A_PERSON, true);
        }
        return [$isHidden, $hides];
    }

    /**
     * A client's name for itself: visible ASCII, cut, without words that hold an `@`, a telephone's number or what looks like a token.
     * Null if nothing is left.
     */
    public static function userAgent(string $agent): ?string
    {
        $agent = self::cut($agent, Limits::AGENT_BYTES_MAX, ' ' . self::HIDDEN);
        $number = '~(?<![/\d.])\+?\(?\d[\d\s()+_-]*\d(?![\d.])~';
        $hide = static fn (array $m): string => Telltale::hasNumber($m[0]) ? self::HIDDEN : $m[0];
        $agent = (string) preg_replace_callback($number, $hide, Telltale::withoutUuids(Telltale::decoded($agent), self::HIDDEN));
        $words = preg_split('/[^\x21-\x7e]+/', $agent, -1, PREG_SPLIT_NO_EMPTY) ?: [];
        foreach ($words as $i => $word) {
            // A product's version is no number of somebody's.
            $rest = (string) preg_replace('~[A-Za-z][\w-]*/v?\d[\d._]*~', '', $word);
            $isHidden = strpos($word, '@') !== false || Telltale::hasNumber($rest)
                || Telltale::hasToken($word, self::AGENT_TOKEN_CHARS_MIN);
            $words[$i] = $isHidden ? self::HIDDEN : $word;
        }
        $text = substr(implode(' ', $words), 0, self::AGENT_CHARS_MAX);
        return $text === '' ? null : $text;
    }

    /** The name of a setting or a job as the catalogue's class `name` has it, without what looks like a token, an address or a number. */
    public static function name(string $name): string
    {
        // A change asks three times for one name, and a request may have hundreds of changes.
        if ($name !== self::$lastName) {
            $looked = self::cut($name, Limits::NAME_BYTES_MAX, '_' . self::TOKEN);
            [self::$lastName, self::$lastPlain] = [$name, preg_match(self::PLAIN_NAME, $looked) === 1 ? $looked : self::plainName($looked)];
        }
        return self::$lastPlain;
    }

    private static function plainName(string $name): string
    {
        $text = Telltale::decoded($name);
        $text = Telltale::withoutUuids((string) preg_replace('/[0-9A-Za-z._%+-]*@[0-9A-Za-z.-]*/', self::TOKEN, $text), self::TOKEN);
        $isAddress = static fn (array $m): string => Address::canonical($m[0]) === null ? $m[0] : self::TOKEN;
        $text = (string) preg_replace_callback('/\d{1,3}(?:\.\d{1,3}){3}/', $isAddress, Telltale::withoutAddresses($text, self::TOKEN));
        $hasDigit = static fn (array $m): bool => preg_match('/\d/', $m[0]) === 1;
        $isBase64 = static fn (array $m): string => $hasDigit($m) && Telltale::hasToken($m[0], PHP_INT_MAX) ? self::TOKEN : $m[0];
        $text = (string) preg_replace_callback('/[0-9A-Za-z_-]{24,}/', $isBase64, $text);
        $text = Telltale::hasNumber($text) ? Telltale::withoutNumbers($text, self::TOKEN) : $text;
        $plain = (string) preg_replace('~[^0-9A-Za-z_.:/\\\\-]~', '_', $text);
        $hide = static fn (array $m): string => Telltale::isToken($m[0]) ? self::TOKEN : $m[0];
        return (string) preg_replace_callback('/[0-9A-Za-z]+/', $hide, $plain);
    }

    /**
     * The name that code registered for what is asked of it, as the catalogue has it. Null for one that has something of a person's or
     * a token in it, or marks that such names do not have: it is not told rather than told in part.
     */
    public static function action(string $name): ?string
    {
        $isPlain = preg_match('/^[0-9a-z_:-]{1,64}$/D', $name) === 1;
        return $isPlain && self::name($name) === $name ? $name : null;
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
            '/"(?:[^"\\\\]++|\\\\.)*+"|\'(?:[^\'\\\\]++|\\\\.)*+\'|`[^`]*+`/s' => '?',
            '~(?:[a-z]:)?[/\\\\][^\s:()]+~i' => '<path>',
            // From the beginning of a word on, and not from each of its letters.
            '/(?<!\S)\S*(?:@|%(?:25)*40|&#(?:0*64|x0*40);|&commat;)\S*/i' => '?',
            '/\b(?=[a-f]*[0-9])[0-9a-z]++\b/i' => '0',
        ];
        $first = substr($message, strspn($message, "\n"));
        $first = substr($first, 0, strcspn($first, "\n"));
        if (strlen($first) > Limits::MESSAGE_BYTES_MAX) {
            // What is quoted has no end then.
            $first = self::cut($first, Limits::MESSAGE_BYTES_MAX, ' ?');
            $quoted = strcspn($first, '"\'`');
            $first = substr($first, 0, $quoted) . ($quoted < strlen($first) ? '?' : '');
        }
        $plain = (string) preg_replace(array_keys($patterns), array_values($patterns), $first);
        $hide = static fn (array $m): string => Telltale::isToken($m[0]) ? '0' : $m[0];
        $plain = (string) preg_replace_callback('/[0-9A-Za-z]{9,}/', $hide, $plain);
        return substr(trim((string) preg_replace('/[^\x20-\x7e]+/', '?', $plain)), 0, Limits::MEANING_CHARS_MAX);
    }

    /** The shape of a query: without literals, numbers and comments. */
    public static function query(string $sql): string
    {
        // As a database reads it, once from its beginning to its end: a literal or a comment that was cut short runs to the end.
        $parts = '~/\*.*?(?:\*/|$)|(?:--(?=\s|$)|\#)[^\n]*'
            . '|"(?:[^"\\\\]++|\\\\.|"")*+(?:"|\\\\?$)|\'(?:[^\'\\\\]++|\\\\.|\'\')*+(?:\'|\\\\?$)~sD';
        $stands = static fn (array $m): string => strpos('"\'', $m[0][0]) === false ? ' ' : '?';
        $plain = (string) preg_replace_callback($parts, $stands, substr($sql, 0, Limits::QUERY_BYTES_MAX));
        $patterns = [
            '/\b0x[0-9a-f]+\b|\b[0-9][0-9.]*\b/i' => '?',
            '/\(\s*\?(?:\s*,\s*\?)+\s*\)/' => '(?)',
            '/[^\x21-\x7e]+/' => ' ',
        ];
        $shape = (string) preg_replace(array_keys($patterns), array_values($patterns), $plain);
        return substr(trim($shape), 0, Limits::MEANING_CHARS_MAX);
    }

    /**
     * The beginning of a text that is longer than what is looked at, with $instead of the word that its end falls into, and of a number:
     * half of a token may not look like one.
     */
    private static function cut(string $text, int $bytesMax, string $instead): string
    {
        return strlen($text) <= $bytesMax ? $text : rtrim(rtrim(substr($text, 0, $bytesMax), self::WORD), self::NUMBER) . $instead;
    }
}
