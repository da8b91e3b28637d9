<?php

declare(strict_types=1);

namespace Logystera;

/** Addresses of clients: one spelling for each, and which one it is behind proxies. */
final class Address
{
    /** Headers by which proxies name their client. None is believed unless the proxy's address is trusted. */
    public const HEADERS = [
        'X-Forwarded-For', 'X-Real-IP', 'CF-Connecting-IP', 'True-Client-IP', 'Fastly-Client-IP', 'X-Client-IP',
    ];
    /** Besides what PHP knows as private: carriers' and test networks, translated and link-local addresses, and multicast. */
    private const SHARED = [
        '100.64.0.0/10', '192.0.0.0/24', '198.18.0.0/15', '224.0.0.0/4', '64:ff9b::/96', 'fe80::/10', 'fc00::/7', 'ff00::/8', '2002::/16',
    ];
    /** Entries of a list that are looked at: an attacker can send a long one. */
    private const LIST_MAX = 32;
    /** What an IPv4 address begins with where it is written as an IPv6 one. */
    private const MAPPED = "\0\0\0\0\0\0\0\0\0\0\xff\xff";

    /** An address in its one spelling, without a port, a zone, brackets or blanks; null if it is none. */
    public static function canonical(string $text): ?string
    {
        $packed = self::packed($text);
        return $packed === null ? null : (string) inet_ntop($packed);
    }

    /** An address, or a network such as 192.0.2.0/24, in its one spelling; null if it is neither. */
    public static function network(string $text): ?string
    {
        [$address, $bits] = array_pad(explode('/', trim($text), 2), 2, null);
        $packed = self::packed($address);
        if ($packed === null) {
            return null;
        }
        $width = 8 * strlen($packed);
        $isMapped = $width === 32 && strpos($address, ':') !== false && strpos($address, '.') !== false;
        if ($bits === null || !ctype_digit($bits) || strlen($bits) > 3) {
            return $bits === null ? (string) inet_ntop($packed) : null;
        }
        $length = (int) $bits - ($isMapped && (int) $bits > 32 ? 96 : 0);
        return $length < 0 || $length > $width ? null : inet_ntop($packed) . "/$length";
    }

    /**
     * The network that an address is taken to be in: a provider gives another address of the same /24 or /48 to who is cut off for a
     * moment. Null if it is no address.
     */
    public static function networkOf(string $address): ?string
    {
        $packed = self::packed($address);
        if ($packed === null) {
            return null;
        }
        $bytes = strlen($packed) === 4 ? 3 : 6;
        return inet_ntop(str_pad(substr($packed, 0, $bytes), strlen($packed), "\0")) . '/' . 8 * $bytes;
    }

    /** @param string[] $networks as network() gives them */
    public static function isIn(string $address, array $networks): bool
    {
        $packed = self::packed($address);
        foreach ($packed === null ? [] : $networks as $network) {
            [$base, $bits] = array_pad(explode('/', $network, 2), 2, null);
            $other = self::packed($base);
            $length = $bits === null ? 8 * strlen($packed) : (int) $bits;
            if ($other !== null && strlen($other) === strlen($packed) && self::prefix($packed, $length) === self::prefix($other, $length)) {
                return true;
            }
        }
        return false;
    }

    /**
     * Who asks, behind proxies: of a list that each proxy adds the address to that it was asked from, the last one that is no trusted
     * proxy's. What stands before that one can be anybody's invention.
     *
     * @param string $list what the header says
     * @param string[] $trusted as network() gives them
     * @return string|null null where the list names nobody
     */
    public static function client(string $list, array $trusted): ?string
    {
        $found = null;
        foreach (array_slice(array_reverse(explode(',', $list)), 0, self::LIST_MAX) as $entry) {
            $address = self::canonical($entry);
            if ($address === null) {
                return $found;
            }
            $found = $address;
            if (!self::isIn($address, $trusted)) {
                return $found;
            }
        }
        return $found;
    }

    /** Whether it is one of a private network or of the machine itself, where no visitor comes from. */
    public static function isPrivate(string $address): bool
    {
        $plain = self::canonical($address) ?? '';
        return filter_var($plain, FILTER_VALIDATE_IP, FILTER_FLAG_NO_PRIV_RANGE | FILTER_FLAG_NO_RES_RANGE) === false
            || self::isIn($plain, self::SHARED);
    }

    private static function packed(string $text): ?string
    {
        $text = trim($text, " \t\r\n\0\"'");
        if (preg_match('/^\[([^\]]+)\](?::\d+)?$/D', $text, $m) === 1 || preg_match('/^(\d+\.\d+\.\d+\.\d+):\d+$/D', $text, $m) === 1) {
            $text = $m[1];
        }
        $text = (string) preg_replace('/%.*$/Ds', '', $text);
        if (filter_var($text, FILTER_VALIDATE_IP) === false) {
            return null;
        }
        $packed = (string) inet_pton($text);
        return strncmp($packed, self::MAPPED, 12) === 0 && strlen($packed) === 16 ? substr($packed, 12) : $packed;
    }

    private static function prefix(string $packed, int $bits): string
    {
        $whole = substr($packed, 0, intdiv($bits, 8));
        $rest = $bits % 8;
        return $rest === 0 ? $whole : $whole . chr(ord($packed[intdiv($bits, 8)]) & (0xff << (8 - $rest)));
    }
}
