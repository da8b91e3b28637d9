<?php

declare(strict_types=1);

namespace Logystera;

/** What a batch says of its sender besides signals. */
final class Frame
{
    /** @var string `wordpress`, `drupal` or `other` */
    public $platform;
    /** @var string the integration's version */
    public $version;
    /** @var string[] signal types that are switched on */
    public $enabled;
    /** @var int how often the sender promises to speak, in seconds */
    public $flushEveryS;

    /** @param string[] $enabled */
    public function __construct(string $platform, string $version, array $enabled, int $flushEveryS)
    {
        $this->platform = $platform;
        $this->version = $version;
        // What was dropped is told whatever is switched off.
        $this->enabled = array_values(array_unique(array_merge($enabled, ['integration.dropped'])));
        $this->flushEveryS = max(1, min(Limits::FLUSH_EVERY_S_MAX, $flushEveryS));
    }

    /**
     * The body of a batch.
     *
     * @param string[] $signals JSON of each
     */
    public function body(int $through, int $clockOffsetMs, array $signals): string
    {
        $head = json_encode([
            'through' => $through, 'clock_offset_ms' => $clockOffsetMs, 'flush_every_s' => $this->flushEveryS,
            'integration' => [
                'platform' => $this->platform, 'version' => $this->version, 'enabled' => $this->enabled,
            ],
        ], JSON_UNESCAPED_SLASHES);
        return substr((string) $head, 0, -1) . ',"signals":[' . implode(',', $signals) . ']}';
    }
}
