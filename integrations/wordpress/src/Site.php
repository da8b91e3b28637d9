<?php

declare(strict_types=1);

namespace Logystera\WordPress;

use Logystera\Clock;
use Logystera\DiskFiles;
use Logystera\Dispatcher;
use Logystera\Dsn;
use Logystera\FileStorage;
use Logystera\Flushed;
use Logystera\Folder;
use Logystera\Frame;
use Logystera\Hasher;
use Logystera\Integrity;
use Logystera\Lookup;
use Logystera\Outbox;
use Logystera\Owner;
use Logystera\Recorder;
use Logystera\Redact;
use Logystera\Spool;
use Logystera\State;
use Logystera\SystemClock;
use Logystera\SystemRandomness;

/** This site's spool and what is done with it: recording, looking up, sending. */
final class Site
{
    /** @var Dsn */
    private $dsn;
    /** @var FileStorage */
    private $storage;
    /** @var Clock */
    private $clock;
    /** @var int number of the site in its network */
    public $blog;
    /** @var string[] types that are on, and how often to speak: as they were when the site was opened, wherever WordPress is later */
    private $typesOn;
    /** @var int */
    private $everyS;
    /** @var Recorder */
    public $recorder;
    /** @var Lookup */
    public $lookup;
    /** @var Outbox */
    public $outbox;

    /** @param string[] $typesOn */
    private function __construct(Dsn $dsn, string $folder, array $typesOn)
    {
        $this->dsn = $dsn;
        $this->storage = new FileStorage($folder);
        $this->clock = new SystemClock();
        $this->blog = get_current_blog_id();
        [$this->typesOn, $this->everyS] = [$typesOn, Settings::all()['flush_every_s']];
        // Where nobody waits for a page, a signal is on disk at once: a job may be killed.
        $isImmediate = wp_doing_cron() || PHP_SAPI === 'cli';
        $spool = new Spool($this->storage, $this->clock);
        $this->recorder = new Recorder($spool, $this->clock, $typesOn, $isImmediate, new Ledger());
        $this->outbox = new Outbox($this->storage, $this->clock, $spool);
        $this->lookup = new Lookup($this->storage, $this->clock, new Hasher(Settings::hashKey()));
    }

    /** The site, if an administrator agreed. Where its folder cannot be written, each signal is counted as lost. */
    public static function open(): ?self
    {
        $dsn = Settings::dsn();
        $folder = Settings::isAgreed($dsn) ? SpoolFolder::find() : null;
        return $dsn === null || $folder === null ? null : new self($dsn, $folder, Plugin::typesOn());
    }

    /** Sends what waits. $isAsked: an administrator wants an answer now. */
    public function flush(int $budgetMs, bool $isAsked = false): Flushed
    {
        return $this->flushOf($this->storage, $budgetMs, $isAsked);
    }

    /**
     * The last word: sends what waits, then says that the plugin itself was switched off, and in that batch's head that nothing is
     * watched any more. Somebody should hear of it who did not do it.
     *
     * @param bool $tells whether the signal is to be made; not where WordPress's own hook did
     */
    public function farewell(int $budgetMs, bool $tells): void
    {
        $this->recorder->write();
        $this->flush($budgetMs, true);
        if ($tells) {
            $emitter = new Emitter('component.lifecycle', $this);
            $this->recorder->record('component.lifecycle', [
                'kind' => 'plugin', 'slug' => Components::slug(plugin_basename(FILE)), 'action' => 'deactivated',
                'from_version' => Redact::version(VERSION), 'actor_hash' => $emitter->actor(),
            ]);
        }
        $this->recorder->write();
        $this->lookup->write();
        $this->typesOn = [];
        $this->flush($budgetMs, true);
    }

    /** From the background: mends what older versions left on disk, and sends what lies in other folders. */
    public function settle(int $budgetMs): void
    {
        Folder::tidy($this->storage->folder());
        foreach (SpoolFolder::left() as $folder) {
            $storage = new FileStorage($folder);
            $isEmpty = !is_dir($folder);
            if (!$isEmpty) {
                $this->flushOf($storage, $budgetMs, false);
                $isEmpty = (new Outbox($storage, $this->clock))->isEmpty();
            }
            if ($isEmpty) {
                Folder::remove($folder, true);
                SpoolFolder::forget($folder);
            }
        }
    }

    /** What this site is. Past the options' filters, by which languages and proxies make it another one from page to page. */
    private function address(): string
    {
        global $wpdb;
        $table = $wpdb->get_blog_prefix($this->blog) . 'options';
        $home = $wpdb->get_var("SELECT option_value FROM $table WHERE option_name = 'home'");
        return Owner::siteOf((string) $home, $this->blog);
    }

    private function flushOf(FileStorage $storage, int $budgetMs, bool $isAsked): Flushed
    {
        $frame = new Frame('wordpress', VERSION, $this->typesOn, $this->everyS);
        $owner = new Owner($this->address(), $this->dsn, (string) gethostname(), $storage->identity());
        $dispatcher = new Dispatcher($storage, $this->clock, new SystemRandomness(), new WpTransport());
        return $dispatcher->flush($this->dsn, $owner, $frame, $budgetMs, $isAsked);
    }

    public function integrity(): Integrity
    {
        return new Integrity($this->storage, $this->clock, new DiskFiles());
    }

    public function state(): State
    {
        return $this->outbox->state();
    }
}
