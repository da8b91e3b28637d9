<?php

declare(strict_types=1);

namespace Logystera;

/**
 * What `open` and `segment` hold by share, kept in `tally` while the spool is so full that it matters: by file its number, how much of it
 * was counted, and the bytes. What somebody else appended since is counted after it; where the file is missing or wrong, all is
 * counted anew. Under the lock `lock` only.
 */
final class Tallies
{
    /** @var Storage */
    private $storage;
    /** @var Spool */
    private $spool;
    /** @var array|null head of `open`, where the caller has just looked at it */
    private $open;
    /** @var bool whether there may be a segment */
    private $hasSegment;
    /** @var array<string, int> bytes by share of `segment` */
    private $segment = [];
    /** @var int bytes that had to be read and counted now */
    private $scanned = 0;

    public function __construct(Storage $storage, Spool $spool, ?array $open = null, bool $hasSegment = true)
    {
        [$this->storage, $this->spool, $this->open, $this->hasSegment] = [$storage, $spool, $open, $hasSegment];
    }

    /** @return array<string, int> bytes by share of both files */
    public function load(): array
    {
        $stored = json_decode((string) $this->storage->read('tally', strlen(Spool::GUARD)), true);
        $stored = is_array($stored) ? $stored : [];
        $this->segment = $this->of('segment', $this->hasSegment ? $this->spool->head('segment') : null, $stored);
        return Shares::sum($this->of('open', $this->open ?? $this->spool->head('open'), $stored), $this->segment);
    }

    /** @param array<string, int>|null $bytes by share of both files; null where nobody asked */
    public function save(?array $bytes): void
    {
        if ($bytes === null || $this->scanned < Limits::TALLY_BYTES_MIN) {
            return;
        }
        $open = $this->spool->head('open');
        $segment = $this->spool->head('segment');
        foreach ($this->segment as $share => $count) {
            $bytes[$share] = ($bytes[$share] ?? 0) - $count;
        }
        $files = [$open === null ? null : [$open['number'], $open['size'], $bytes]];
        $files[] = $segment === null ? null : [$segment['number'], $segment['size'], $this->segment];
        $this->storage->write('tally', Spool::GUARD . json_encode(array_values(array_filter($files))), false);
    }

    /** @return array<string, int> */
    private function of(string $file, ?array $head, array $stored): array
    {
        if ($head === null) {
            return [];
        }
        [$from, $bytes] = [$head['begin'], []];
        foreach ($stored as $entry) {
            [$number, $counted, $kept] = array_pad(is_array($entry) ? array_values($entry) : [], 3, null);
            if ($number === $head['number'] && is_int($counted) && is_array($kept)) {
                [$from, $bytes] = [max($from, $counted), array_filter($kept, 'is_int')];
            }
        }
        $this->scanned += max(0, $head['size'] - $from);
        return $from >= $head['size'] ? $bytes : Shares::sum($bytes, Shares::tally((string) $this->storage->read($file, $from)));
    }
}
