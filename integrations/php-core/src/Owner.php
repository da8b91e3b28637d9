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
     * @param string $url the site's own address
     * @param string $host the machine's name
     * @param string $folder what tells the folder from a copy of it
     */
    public function __construct(string $url, Dsn $dsn, string $host, string $folder)
    {
        $this->values = [
            'url' => $url, 'gateway' => $dsn->url, 'site' => $dsn->site, 'host' => $host, 'folder' => $folder,
        ];
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
        foreach (['url', 'gateway', 'site'] as $key) {
            if (($other[$key] ?? null) !== $this->values[$key]) {
                return false;
            }
        }
        return ($other['host'] ?? null) === $this->values['host'] || ($other['folder'] ?? null) === $this->values['folder'];
    }

    /** Whether the gateway or the site there is another one: then nothing that was said of the old one holds. */
    public function isElsewhere(array $other): bool
    {
        return ($other['gateway'] ?? null) !== $this->values['gateway'] || ($other['site'] ?? null) !== $this->values['site'];
    }
}
