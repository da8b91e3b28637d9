<?php

declare(strict_types=1);

namespace Logystera;

/**
 * Counts of what found no room, in the file `dropped`: a line `{"generation":…,"counts":{…}}`, and after it a line of more counts for each
 * time that something was dropped since. A page in a full spool so pays for an append, not for a file that is replaced. A generation that
 * was told is told once: what comes then begins the file anew. Under the lock `lock` only.
 */
final class Drops
{
    private const FIRST = '/^\{"generation":(\d+),/';
    private const FIRST_BYTES_MAX = 64;

    /** @var Storage */
    private $storage;

    public function __construct(Storage $storage)
    {
        $this->storage = $storage;
    }

    /** What was not told yet: its generation, and `type|reason` => [count, since]. @return array{generation: int, counts: array} */
    public function untold(int $toldGeneration): array
    {
        $lines = explode("\n", (string) $this->storage->read('dropped', strlen(Spool::GUARD)));
        $generation = preg_match(self::FIRST, $lines[0], $m) === 1 ? (int) $m[1] : 0;
        if ($generation <= $toldGeneration) {
            return ['generation' => $toldGeneration + 1, 'counts' => []];
        }
        $counts = Spool::counts(((array) json_decode(array_shift($lines), true))['counts'] ?? null);
        foreach ($lines as $line) {
            // One that a dying machine tore is none.
            $counts = Spool::sum($counts, Spool::counts(json_decode($line, true)));
        }
        return ['generation' => $generation, 'counts' => $counts];
    }

    /** Adds counts. @return bool whether the disk took them */
    public function add(array $counts): bool
    {
        $told = State::told($this->storage);
        $ends = $this->storage->ends('dropped', strlen(Spool::GUARD) + self::FIRST_BYTES_MAX, 0);
        if ($ends !== null && $ends['size'] <= Limits::DROPPED_BYTES_MAX && strpos($ends['head'], Spool::GUARD) === 0) {
            $isFirst = preg_match(self::FIRST, substr($ends['head'], strlen(Spool::GUARD)), $m) === 1;
            if ($isFirst && (int) $m[1] > $told && $this->storage->append('dropped', "\n" . json_encode($counts))) {
                return true;
            }
        }
        $all = $this->untold($told);
        $all['counts'] = Spool::sum($all['counts'], $counts);
        return $this->storage->write('dropped', Spool::GUARD . json_encode($all), false);
    }
}
