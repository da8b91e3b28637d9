<?php

declare(strict_types=1);

namespace Logystera\Php;

use Logystera\Address;
use Logystera\Dispatcher;
use Logystera\Dsn;
use Logystera\Fatal;
use Logystera\FileStorage;
use Logystera\Flushed;
use Logystera\Folder;
use Logystera\Frame;
use Logystera\Hasher;
use Logystera\Limits;
use Logystera\Lookup;
use Logystera\Outbox;
use Logystera\Owner;
use Logystera\Recorder;
use Logystera\Redact;
use Logystera\Spool;
use Logystera\StreamTransport;
use Logystera\SystemClock;
use Logystera\SystemRandomness;

/**
 * An application's way to the gateway: what it tells lies in a folder until it is sent. Without a DSN nothing is recorded and nothing is
 * sent. No method throws once it is made, for telling must not end what is told of.
 */
final class Monitor
{
    public const VERSION = '0.1.0';
    private const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
    /** Types that an application tells by this class. */
    private const TYPES = ['auth.attempt', 'cron.run', 'http.request', 'mail.outcome', 'php.error'];

    /** @var Dsn|null */
    private $dsn = null;
    /** @var array<string, mixed> */
    private $options;
    /** @var FileStorage */
    private $storage;
    /** @var SystemClock */
    private $clock;
    /** @var Recorder */
    private $recorder;
    /** @var Lookup */
    private $lookup;
    /** @var Outbox */
    private $outbox;
    /** @var Errors|null */
    private $errors = null;
    /** @var bool whether somebody told of this request */
    private $isAnswered = false;

    /**
     * @param array<string, mixed> $options
     *   dsn: what `logystera site add` printed; empty for an application that is not watched
     *   folder: where signals wait, an absolute path outside of the web root, which this process can write
     *   types: signal types that are told [auth.attempt, cron.run, http.request, mail.outcome, php.error]
     *   name: what this application is, the same on all of its machines and another one for a copy [the machine's name]
     *   root: its folder; paths of files are told below it [the working directory]
     *   proxies: addresses and networks of proxies that are believed, and `proxy_header`, by which they say who asks
     *   flush_every_s: how often something is sent at least [60]
     * @throws \InvalidArgumentException where one of them is missing or wrong, also as DsnError
     */
    public function __construct(array $options)
    {
        $this->options = $options + [
            'dsn' => '', 'folder' => '', 'types' => self::TYPES, 'name' => (string) gethostname(), 'root' => (string) getcwd(),
            'proxies' => [], 'proxy_header' => Address::HEADERS[0], 'flush_every_s' => Limits::FLUSH_EVERY_S_DEFAULT,
        ];
        if ((string) $this->options['dsn'] === '') {
            return;
        }
        $this->dsn = Dsn::parse((string) $this->options['dsn']);
        $folder = (string) $this->options['folder'];
        if ($folder === '' || ($folder[0] !== '/' && preg_match('~^[A-Za-z]:[/\\\\]~', $folder) !== 1)) {
            throw new \InvalidArgumentException('folder: an absolute path is needed, where this process may write');
        }
        if (Folder::usable($folder) === null) {
            throw new \InvalidArgumentException("folder: $folder cannot be made or written");
        }
        Folder::protect($folder);
        $this->storage = new FileStorage($folder);
        $this->clock = new SystemClock();
        $spool = new Spool($this->storage, $this->clock);
        $this->recorder = new Recorder($spool, $this->clock, $this->options['types'], PHP_SAPI === 'cli', new NoLedger());
        $this->lookup = new Lookup($this->storage, $this->clock, new Hasher($this->key()));
        $this->outbox = new Outbox($this->storage, $this->clock, $spool);
    }

    /** Tells of PHP's errors from now on, and when the process ends of the request, if nobody did; then it sends, where nobody waits. */
    public function watch(): self
    {
        if ($this->dsn !== null) {
            $this->errors = (new Errors($this))->register();
            register_shutdown_function(function (): void {
                // Behind those of others, whose output still belongs to the page.
                register_shutdown_function([$this, 'end']);
            });
        }
        return $this;
    }

    /**
     * A request was answered.
     *
     * @param string $target path, with or without a query; that is not told
     * @param string $group what part of the application answered: letters, digits, dashes
     */
    public function request(
        string $method,
        string $target,
        int $status,
        float $seconds,
        string $remote,
        string $agent = '',
        string $forwarded = '',
        string $group = 'page'
    ): void {
        $this->isAnswered = true;
        $this->record('http.request', function () use ($method, $target, $status, $seconds, $remote, $agent, $forwarded, $group): array {
            return [
                'method' => in_array(strtoupper($method), self::METHODS, true) ? strtoupper($method) : 'OTHER',
                'path' => Redact::path($target), 'status' => $status, 'route_group' => Redact::slug($group),
                'user_agent' => Redact::userAgent($agent), 'duration_ms' => (int) round($seconds * 1000),
                'source' => $this->source($remote, $forwarded),
            ];
        });
    }

    /** Somebody signed in, or could not. $reason: unknown_user, bad_password, blocked, expired, other; empty for a success */
    public function signIn(string $name, bool $isIn, bool $isPrivileged, string $remote, string $reason = '', string $forwarded = ''): void
    {
        $this->record('auth.attempt', function () use ($name, $isIn, $isPrivileged, $remote, $reason, $forwarded): array {
            return [
                'outcome' => $isIn ? 'success' : 'failure', 'method' => 'form', 'reason' => $isIn ? null : $reason,
                'user_hash' => $this->hash(Hasher::USER, Hasher::normalUser($name)), 'user_length' => min(1024, strlen($name)),
                'source' => $this->source($remote, $forwarded), 'privileged' => $isPrivileged,
            ];
        });
    }

    /**
     * Does a job and tells what became of it. What it throws goes on.
     *
     * @return mixed what it returns
     */
    public function job(string $name, callable $work)
    {
        [$start, $outcome] = [microtime(true), 'failed'];
        try {
            $result = $work();
            $outcome = 'ok';
            return $result;
        } finally {
            $this->record('cron.run', static function () use ($name, $start, $outcome): array {
                $duration = (int) round((microtime(true) - $start) * 1000);
                return ['job' => Redact::name($name), 'outcome' => $outcome, 'duration_ms' => $duration];
            });
        }
    }

    /** A mail was handed over, or could not be. */
    public function mail(bool $isSent, int $recipients): void
    {
        $this->record('mail.outcome', static function () use ($isSent, $recipients): array {
            return ['outcome' => $isSent ? 'sent' : 'failed', 'error_class' => $isSent ? null : 'other', 'recipients' => $recipients];
        });
    }

    /** An exception that a framework caught and made a page of: no handler of PHP's sees it. */
    public function thrown(\Throwable $thrown): void
    {
        $this->errors = $this->errors ?? ($this->dsn === null ? null : new Errors($this));
        $this->errors === null || $this->errors->thrown($thrown);
    }

    /**
     * A signal of any type that is on, with the fields that the catalogue has for it; what it does not allow is counted as refused.
     *
     * @param array<string, mixed>|callable $fields or what makes them
     */
    public function record(string $type, $fields): void
    {
        if ($this->dsn === null) {
            return;
        }
        try {
            $this->recorder->record($type, is_callable($fields) ? $fields() : $fields);
        } catch (\Throwable $fault) {
            $this->recorder->drop($type, 'refused');
            self::complain($fault);
        }
    }

    /** @internal counts a signal that was not made, for there were too many */
    public function drop(string $type): void
    {
        $this->dsn === null || $this->recorder->drop($type, 'overflow');
    }

    /** Keyed hash of something, which explain() can look up: a constant of Hasher says of what. */
    public function hash(string $kind, string $value): string
    {
        return $this->dsn === null ? '' : $this->lookup->hash($kind, $value);
    }

    /** Hash of a client's address. $forwarded: what the proxy's header says, which counts only from a trusted proxy */
    public function source(string $remote, string $forwarded = ''): string
    {
        $proxies = array_values(array_filter(array_map([Address::class, 'network'], (array) $this->options['proxies'])));
        $client = Address::isIn($remote, $proxies) ? Address::client($forwarded, $proxies) : null;
        return $this->hash(Hasher::ADDRESS, $client ?? Address::canonical($remote) ?? 'unknown');
    }

    /** What a hash stands for; null where nobody knows. */
    public function explain(string $hash): ?string
    {
        $found = $this->dsn === null ? null : $this->lookup->find($hash);
        return $found === null ? null : $found['meaning'];
    }

    /** The header by which trusted proxies say who asks. */
    public function proxyHeader(): string
    {
        return (string) $this->options['proxy_header'];
    }

    /** A file's path below the application's root; of one that lies elsewhere the name only. */
    public function relative(string $path): string
    {
        $root = rtrim((string) $this->options['root'], '/') . '/';
        return strncmp($path, $root, strlen($root)) === 0 ? '/' . substr($path, strlen($root)) : '/' . basename($path);
    }

    /** Puts on disk what is in memory. Long-running processes call it after each piece of work. */
    public function write(): bool
    {
        if ($this->dsn === null) {
            return true;
        }
        $this->errors === null || $this->errors->forget();
        $this->lookup->write();
        return $this->recorder->write();
    }

    /** Sends what waits: from cron, each minute. $isAsked: somebody wants an answer now, so that something is sent in any case. */
    public function send(int $budgetMs = Limits::CRON_BUDGET_MS, bool $isAsked = false): Flushed
    {
        if ($this->dsn === null) {
            return new Flushed(Flushed::IDLE);
        }
        $isWritten = $this->write();
        $frame = new Frame('other', self::VERSION, $this->options['types'], (int) $this->options['flush_every_s']);
        $owner = new Owner((string) $this->options['name'], $this->dsn, (string) gethostname(), $this->storage->identity());
        $dispatcher = new Dispatcher($this->storage, $this->clock, new SystemRandomness(), new StreamTransport());
        $flushed = $dispatcher->flush($this->dsn, $owner, $frame, $budgetMs, $isAsked);
        $this->lookup->merge();
        return $isWritten ? $flushed : new Flushed(Flushed::UNWRITABLE, $flushed->answer, $flushed->batches);
    }

    /** @internal the process ends */
    public function end(): void
    {
        try {
            $last = error_get_last();
            $this->errors === null || $this->errors->finish();
            if (!$this->isAnswered && PHP_SAPI !== 'cli') {
                $this->requestOfServer();
            }
            $this->write();
            $isDue = PHP_SAPI !== 'cli' && $this->outbox->isFlushDue(Limits::FLUSH_AGE_MS, (int) $this->options['flush_every_s']);
            foreach ($isDue ? ['fastcgi_finish_request', 'litespeed_finish_request'] : [] as $function) {
                if (function_exists($function)) {
                    $function();
                    $this->send(Limits::WEB_BUDGET_MS);
                    return;
                }
            }
            if ($isDue && Fatal::is($last) && $this->outbox->mayKick(Limits::FLUSH_AGE_MS)) {
                $this->send(Limits::FATAL_BUDGET_MS);
            }
        } catch (\Throwable $fault) {
            self::complain($fault);
        }
    }

    /** A fault of ours, for the server's log. Its message could hold what somebody said. */
    public static function complain(\Throwable $fault): void
    {
        error_log('logystera: ' . get_class($fault) . ' in ' . basename($fault->getFile()) . ':' . $fault->getLine());
    }

    private function requestOfServer(): void
    {
        $server = static fn (string $name): string => is_string($_SERVER[$name] ?? null) ? $_SERVER[$name] : '';
        $start = (float) ($_SERVER['REQUEST_TIME_FLOAT'] ?? microtime(true));
        $this->request(
            $server('REQUEST_METHOD'),
            $server('REQUEST_URI'),
            (int) http_response_code(),
            microtime(true) - $start,
            $server('REMOTE_ADDR'),
            $server('HTTP_USER_AGENT'),
            $server('HTTP_' . strtoupper(str_replace('-', '_', $this->proxyHeader())))
        );
    }

    /** The key of hashes: drawn once, in the folder, and never told. */
    private function key(): string
    {
        $hex = substr((string) $this->storage->read('key', strlen(Spool::GUARD)), 0, 64);
        if (preg_match('/^[0-9a-f]{64}$/D', $hex) !== 1) {
            $lock = $this->storage->lock('lookups', true);
            $hex = substr((string) $this->storage->read('key', strlen(Spool::GUARD)), 0, 64);
            if (preg_match('/^[0-9a-f]{64}$/D', $hex) !== 1) {
                $hex = bin2hex(random_bytes(32));
                $this->storage->write('key', Spool::GUARD . $hex, true);
            }
            $lock === null || $this->storage->unlock($lock);
        }
        return (string) hex2bin($hex);
    }
}
