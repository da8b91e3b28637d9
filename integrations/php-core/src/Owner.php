<?php

declare(strict_types=1);

namespace Logystera;

/**
 * Whose spool a folder is. A copy of a site that goes on with the original's batch ids would have its batches taken
 * for repeats.
 */
final class Owner
{
    /** @var array{url: string, gateway: string, site: string, host: string, folder: string} */
    private $values;

    /**
     * @param string $url the site's own address, as siteOf() or another word of the platform has it; empty where it cannot be asked
     * @param string $host the machine's name
     * @param string $folder what tells the folder from a copy of it
     */
    public function __construct(string $url, Dsn $dsn, string $host, string $folder)
    {
        $this->values = [
            'url' => $url, 'gateway' => $dsn->url, 'site' => $dsn->site, 'host' => $host, 'folder' => $folder,
        ];
    }

    /**
     * What a site is: its address without the scheme, which differs from page to page behind a proxy, and its number in a network.
     *
     * @param string $address as it is stored, before any filter: those of languages differ from page to page, too
     */
    public static function siteOf(string $address, int $number): string
    {
        $plain = rtrim((string) preg_replace('~^[a-z]+://~i', '', trim($address)), '/');
        $host = strtolower(substr($plain, 0, strcspn($plain, '/')));
        return $plain === '' ? '' : $host . substr($plain, strlen($host)) . "#$number";
    }

    public function toArray(): array
    {
        return $this->values;
    }

    /**
     * Whether a spool that was left by $other is this owner's: same site, same gateway, and the same machine or the
     * same folder. Of machines that share a folder each has its name, and a container has a new one with every start:
     * neither is a copy.
     */
    public function owns(array $other): bool
    {
        if (!self::isSameSite(is_string($other['url'] ?? null) ? $other['url'] : '', $this->values['url'])) {
            return false;
        }
        foreach (['gateway', 'site'] as $key) {
            if (($other[$key] ?? null) !== $this->values[$key]) {
                return false;
            }
        }
        return ($other['host'] ?? null) === $this->values['host'] || ($other['folder'] ?? null) === $this->values['folder'];
    }

    private static function isSameSite(string $before, string $now): bool
    {
        if ($before === $now || $before === '' || $now === '') {
            return true;
        }
        // Older versions had the whole URL, as a page's language and scheme had it: they go on if the host is the same.
        $host = static fn (string $text): string => strtolower((string) preg_replace('~^[a-z]+://|[/#].*$~i', '', $text));
        return preg_match('~^https?://~', $before) === 1 && $host($before) === $host($now);
    }

    /** Whether the gateway or the site there is another one: then nothing that was said of the old one holds. */
    public function isElsewhere(array $other): bool
    {
        return ($other['gateway'] ?? null) !== $this->values['gateway'] || ($other['site'] ?? null) !== $this->values['site'];
    }
}
