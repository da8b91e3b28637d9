<?php

declare(strict_types=1);

namespace Logystera\WordPress;

use Logystera\Fatal;
use Logystera\Limits;
use Logystera\Quiet;
use Logystera\WordPress\Signals\Source;

/**
 * What happens when a request ends: the answer goes out, where PHP can end it and go on; then signals go to disk, and what has waited for
 * long enough is sent.
 */
final class RequestEnd
{
    /** @var Site */
    private $site;
    /** @var array<string, Source> */
    private $sources;

    /** @var bool whether an error ended the request */
    private $isFatal = false;

    /** @param array<string, Source> $sources */
    public function __construct(Site $site, array $sources)
    {
        $this->site = $site;
        $this->sources = $sources;
    }

    public function register(): void
    {
        // Registered anew when the request ends, to run after all others: their output still belongs to the page.
        register_shutdown_function(function (): void {
            if (!is_file(FILE)) {
                // The plugin was deleted in this request: what is not loaded by now is not there any more.
                return;
            }
            // An error in what runs until then takes its place in PHP's memory.
            $this->isFatal = Fatal::is(error_get_last());
            register_shutdown_function([$this, 'end']);
        });
    }

    /** Never throws: a fault of ours must not end what others do when a request ends. */
    public function end(): void
    {
        Guard::run(function (): void {
            Plugin::atHome([$this, 'finish']);
        });
    }

    /** @internal for end() alone */
    public function finish(): void
    {
        $this->isFatal = $this->isFatal || Fatal::is(error_get_last());
        foreach ($this->sources as $source) {
            $source instanceof Signals\Request ? Guard::run([$source, 'read']) : null;
        }
        // Nobody waits for what comes now. After a fatal error there may be no memory for others' buffers.
        $isEnded = !$this->isFatal && $this->maySend() && self::finishAnswer();
        foreach ($this->sources as $type => $source) {
            // One that fails takes nothing of the others along.
            Guard::run([$source, 'finish'], $type);
        }
        if (Plugin::isSilenced()) {
            return;
        }
        foreach (array_merge([$this->site], Plugin::others()) as $site) {
            $site->recorder->write();
            $site->lookup->write();
        }
        if (Plugin::isLeaving()) {
            self::finishAnswer();
            Plugin::farewell();
            return;
        }
        if (!$this->maySend() || !$this->site->outbox->isFlushDue(Limits::FLUSH_AGE_MS, Settings::all()['flush_every_s'])) {
            return;
        }
        if ($isEnded || self::finishAnswer()) {
            $this->site->flush(Limits::WEB_BUDGET_MS);
        } elseif ($this->isFatal && $this->site->outbox->mayKick(Limits::FLUSH_AGE_MS)) {
            // What ends this request may end each one, also cron's and one to the site itself.
            $this->sendNow();
        } elseif ($this->site->outbox->mayKick(Limits::FLUSH_AGE_MS)) {
            Kick::send();
        }
    }

    private function sendNow(): void
    {
        $limit = wp_convert_hr_to_bytes((string) ini_get('memory_limit'));
        if ($limit > 0) {
            Quiet::call('ini_set', 'memory_limit', (string) ($limit + Limits::FATAL_MEMORY_BYTES));
        }
        $this->site->flush(Limits::FATAL_BUDGET_MS);
    }

    /** Cron sends by itself, if it lives. The editor's scrape wants to say what it found, to whoever waits for it. */
    private function maySend(): bool
    {
        // phpcs:ignore WordPress.Security.NonceVerification -- only asked whether it is there
        $isScrape = isset($_REQUEST['wp_scrape_key']);
        return PHP_SAPI !== 'cli' && !$isScrape && (!wp_doing_cron() || $this->isFatal) && !Kick::isOurs();
    }

    /** Ends the answer, where PHP can: the client has its page, and this process goes on. */
    private static function finishAnswer(): bool
    {
        foreach (['fastcgi_finish_request', 'litespeed_finish_request'] as $function) {
            if (function_exists($function)) {
                // Another request of the same visitor must not wait for the session.
                if (session_status() === PHP_SESSION_ACTIVE) {
                    session_write_close();
                }
                ignore_user_abort(true);
                $function();
                return true;
            }
        }
        return false;
    }
}
