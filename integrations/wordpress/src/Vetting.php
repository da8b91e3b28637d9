<?php

declare(strict_types=1);

namespace Logystera\WordPress;

use Logystera\Address;

/**
 * Which gateways a site of a network may have. Who runs one site of many must not reach through it what only the network's machines
 * can: its own loopback, its private addresses. The network's owner may allow them in wp-config.php.
 */
final class Vetting
{
    /** Name of the constant that allows private addresses. */
    public const CONSTANT = 'LOGYSTERA_ALLOW_PRIVATE';
    public const REFUSAL = 'the gateway has a private address, which the owner of this network has not allowed';

    /** Whether a gateway's host may be asked. Names are looked up each time: they may lead elsewhere later. */
    public static function isAllowed(string $host): bool
    {
        if (!is_multisite() || (defined(self::CONSTANT) && constant(self::CONSTANT))) {
            return true;
        }
        $host = trim($host, '[]');
        $addresses = Address::canonical($host) !== null ? [$host] : self::resolve($host);
        return $addresses !== [] && array_filter($addresses, [Address::class, 'isPrivate']) === [];
    }

    /** @return string[] */
    private static function resolve(string $host): array
    {
        $long = function_exists('dns_get_record') ? \Logystera\Quiet::call('dns_get_record', $host, DNS_AAAA) : [];
        return array_merge((array) (gethostbynamel($host) ?: []), array_column(is_array($long) ? $long : [], 'ipv6'));
    }
}
