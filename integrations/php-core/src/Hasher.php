<?php

declare(strict_types=1);

namespace Logystera;

/** Keyed hashes: they tell one user, address or file from another, and only the site can say which. */
final class Hasher
{
    public const USER = 'user';
    public const ADDRESS = 'address';
    public const NETWORK = 'network';
    public const FILE = 'file';
    public const MESSAGE = 'message';
    public const VALUE = 'value';
    public const QUERY = 'query';

    /** @var string */
    private $key;

    /** @param string $key 32 random bytes that never leave the site */
    public function __construct(string $key)
    {
        if (strlen($key) !== 32) {
            throw new \InvalidArgumentException('the key of hashes has 32 bytes');
        }
        $this->key = $key;
    }

    /**
     * 32 hex digits: HMAC-SHA256 over the kind, a zero byte and the value, cut to 16 bytes. The kind keeps a user who
     * is named like a file apart from it.
     */
    public function hash(string $kind, string $value): string
    {
        return substr(hash_hmac('sha256', $kind . "\0" . $value, $this->key), 0, 32);
    }

    /** A user name as it is hashed: two spellings of one login are one. Of one that is longer than any login its beginning. */
    public static function normalUser(string $name): string
    {
        $looked = substr(trim($name), 0, Limits::LOGIN_BYTES_MAX);
        return function_exists('mb_strtolower') ? mb_strtolower($looked, 'UTF-8') : strtolower($looked);
    }

    /** An address as it is hashed: one spelling for each. */
    public static function normalAddress(string $address): string
    {
        return Address::canonical($address) ?? trim($address);
    }

    public function __debugInfo(): array
    {
        return [];
    }
}
