<?php

declare(strict_types=1);

namespace Logystera\Tests;

use Logystera\Changed;
use Logystera\FileStorage;
use Logystera\Integrity;
use Logystera\Script;
use Logystera\Watched;

/** A site's folders, and what a look at them tells. */
final class Tree
{
    public $root;
    public $files;
    public $clock;
    public $marks = ['core' => '6.8'];
    private $spool;

    public function __construct()
    {
        $this->root = sys_get_temp_dir() . '/integrity-' . bin2hex(random_bytes(6));
        $this->spool = $this->root . '.spool';
        foreach ([$this->spool, "$this->root/core/lib", "$this->root/mu", "$this->root/uploads/2026/ours"] as $folder) {
            mkdir($folder, 0700, true);
        }
        [$this->files, $this->clock] = [new CountedFiles(), new SlowClock()];
        foreach (['core/a.php', 'core/lib/b.php', 'core/lib/c.js', 'uploads/photo.jpg'] as $name) {
            $this->put($name, "<?php one();\n");
        }
    }

    public function __destruct()
    {
        exec('rm -rf ' . escapeshellarg($this->root) . ' ' . escapeshellarg($this->spool));
    }

    public function put(string $name, string $text, int $mode = 0644): void
    {
        is_dir(dirname("$this->root/$name")) || mkdir(dirname("$this->root/$name"), 0700, true);
        file_put_contents("$this->root/$name", $text);
        chmod("$this->root/$name", $mode);
    }

    public function integrity(): Integrity
    {
        return new Integrity(new FileStorage($this->spool), $this->clock, $this->files);
    }

    /** @return Changed[] */
    public function slice(): array
    {
        return $this->integrity()->look([
            new Watched('mu', "$this->root/mu", true, '/\.php$/', $this->marks['mu'] ?? ''),
            new Watched('core', "$this->root/core", true, '/\.(php|js)$/', $this->marks['core']),
            new Watched('uploads', "$this->root/uploads", true, Script::NAME, '', true, ['2026/ours']),
        ]);
    }

    /** Looks until a pass ends. @return array<int, array{0: string, 1: int, 2: string[]}> path, bytes, heuristics */
    public function pass(): array
    {
        [$passes, $told] = [$this->integrity()->passes(), []];
        for ($slices = 0; $this->integrity()->passes() === $passes; $slices++) {
            same(true, $slices < 2000, 'a pass ends');
            foreach ($this->slice() as $one) {
                $told[] = [$one->path('/' . $one->where->name), $one->sizeDelta, array_keys(array_filter($one->heuristics))];
            }
        }
        return $told;
    }

    public function spoolFile(string $name): string
    {
        return "$this->spool/$name.php";
    }
}
