<?php

/** What ten thousand of one kind in one request cost: in work, which no machine's pace changes. */

declare(strict_types=1);

namespace Logystera\Tests\Drupal;

use Drupal\Core\Config\ConfigCrudEvent;
use Drupal\Core\Session\AccountInterface;
use Logystera\Limits;
use Symfony\Component\HttpFoundation\Request;

use function Logystera\Tests\same;

/** Counts what is made of what comes: a value that is hashed, the actor's name and the client's address that are asked for. */
final class Work
{
    public static int $count = 0;

    public function __serialize(): array
    {
        self::$count++;
        return [];
    }

    public static function request(): Request
    {
        return new class ([], [], [], [], [], ['REMOTE_ADDR' => Site::ADDRESS]) extends Request {
            public function getClientIp(): ?string
            {
                Work::$count++;
                return parent::getClientIp();
            }
        };
    }

    public static function actor(): AccountInterface
    {
        return new class implements AccountInterface {
            public function id()
            {
                return 1;
            }

            public function getRoles($exclude_locked_roles = false)
            {
                return [];
            }

            public function hasPermission(string $permission)
            {
                return true;
            }

            public function isAuthenticated()
            {
                return true;
            }

            public function getAccountName()
            {
                Work::$count++;
                return 'admin';
            }
        };
    }
}

/** A value of so many bytes, which counts how much of it is written out. */
final class Weighed
{
    public static int $bytes = 0;

    public function __construct(private string $text)
    {
    }

    public function __serialize(): array
    {
        self::$bytes += strlen($this->text);
        return [$this->text];
    }
}

/** A body that has no end, which counts what is read of it. */
final class Endless
{
    /** @var resource|null set by PHP */
    public $context;
    public static int $bytes = 0;

    public function stream_open(): bool
    {
        return true;
    }

    public function stream_read(int $count): string
    {
        if (self::$bytes > 64 << 20) {
            throw new \RuntimeException('all of it is read');
        }
        self::$bytes += $count;
        return str_repeat('x', $count);
    }

    public function stream_eof(): bool
    {
        return false;
    }

    public function stream_seek(): bool
    {
        return true;
    }

    public function stream_tell(): int
    {
        return 0;
    }

    public function stream_stat(): array
    {
        return [];
    }
}

/** Trees as they are saved, of so many values: none shares anything with another one. */
function trees(int $values): array
{
    $tree = ['a' => 1, 'list' => array_map(static fn (int $i): string => "value $i", range(1, $values - 2))];
    return [$tree, unserialize(serialize($tree))];
}

/** What of a type was counted as more than there is room for. */
function overflowed(Site $site, string $type): int
{
    $storage = new \Logystera\FileStorage($site->state->values['logystera.spool']['folder']);
    return (new \Logystera\Drops($storage))->untold(0)['counts']["$type|overflow"][0] ?? 0;
}

/** A configuration that is saved, which counts how often its values are read. */
final class Read
{
    public static int $count = 0;

    public function __construct(private string $name, private array $before, private array $after)
    {
    }

    public function getName(): string
    {
        return $this->name;
    }

    public function getOriginal($key, $applies): array
    {
        self::$count++;
        return $this->before;
    }

    public function getRawData(): array
    {
        self::$count++;
        return $this->after;
    }
}

// Digits are no part of a message's shape, nor of a query's.
$word = static fn (int $i): string => strtr((string) $i, '0123456789', 'ghijklmnop');
$warned = static fn (Site $s, string $message) => logged($s, 'php', 'User warning', $message, "$s->root/core/a.inc", 7);
// What comes, its type, how many are told, and how many are only counted: of each one told, what is looked at once.
$floods = [
    'configurations' => [function (Site $s, int $i): void {
        $config = new Config("probe.x$i", ['a' => new Work()], $s->container->get('config.factory'));
        $s->container->get('logystera.config')->saved(new ConfigCrudEvent($config->set('b', $i)));
    }, 'config.change', 500, 9500, 1500],
    'accounts' => [fn (Site $s, int $i) => \logystera_user_insert(new Account(10 + $i, "u$i")), 'user.change', 500, 9500, 500],
    'warnings' => [fn (Site $s, int $i) => $warned($s, 'Warning ' . $word($i)), 'php.error', 250, 9750, 250],
    'warnings of one shape' => [fn (Site $s, int $i) => $warned($s, "Warning $i"), 'php.error', 1, 9750, 1],
    'a warning again and again' => [fn (Site $s, int $i) => $warned($s, 'Warning'), 'php.error', 1, 0, 1],
    'errors of the database' => [
        fn (Site $s, int $i) => logged($s, 'other', 'X', 'x', __FILE__, 1, database('x', "SELECT {$word($i)}", ['HY000', 1146])),
        'db.event', 500, 9500, 500],
];

return [
    'what is one too many in a request is only counted, before anything is made of it' => static function () use ($floods): void {
        foreach ($floods as $what => [$act, $type, $told, $dropped, $work]) {
            $site = new Site(MODULE);
            $site->container->set('current_user', Work::actor());
            $stack = $site->container->get('request_stack');
            $stack->pop();
            $stack->push(Work::request());
            Work::$count = 0;
            for ($i = 0; $i < 10000; $i++) {
                $act($site, $i);
            }
            same($work, Work::$count, "10,000 $what: what was looked at");
            $site->end();
            same(array_fill(0, $told, $type), array_column($site->signals(), 'type'), "10,000 $what: told");
            $storage = new \Logystera\FileStorage($site->state->values['logystera.spool']['folder']);
            $counts = (new \Logystera\Drops($storage))->untold(0)['counts'];
            same($dropped, $counts["$type|overflow"][0] ?? 0, "10,000 $what: counted");
            $site->remove();
        }
    },
    'large configurations cost a request no more than small ones' => static function (): void {
        foreach ([10, 500, 5000, 20000, 1000000] as $size) {
            $site = new Site(MODULE);
            [Weighed::$bytes, Read::$count] = [0, 0];
            $values = [['a' => new Weighed(str_repeat('x', $size))], ['a' => new Weighed(str_repeat('y', $size))]];
            for ($i = 0; $i < 10000; $i++) {
                $site->container->get('logystera.config')->saved(new ConfigCrudEvent(new Read("probe.x$i", ...$values)));
            }
            same(1000, Read::$count, "$size B: what was read");
            same(true, Weighed::$bytes <= Limits::REQUEST_VALUE_BYTES_MAX + $size, "$size B: written out " . Weighed::$bytes);
            $hashes = array_map(static fn (array $value): string => $site->hash('value', serialize($value)), $values);
            $site->end();
            $signals = $site->signals();
            same(array_fill(0, 500, 'config.change'), array_column($signals, 'type'), "$size B: told");
            same(array_map(static fn (int $i): string => "probe.x$i", range(0, 499)), array_column($signals, 'key'), "$size B: which");
            $told = array_merge(...array_map(static fn (array $s): array => [$s['before_hash'] ?? null, $s['after_hash'] ?? null], $signals));
            $fits = min(1000, intdiv(Limits::REQUEST_VALUE_BYTES_MAX, strlen(serialize($values[0]))));
            $known = array_map(static fn (int $i): string => $hashes[$i % 2], array_keys(array_fill(0, $fits, 0)));
            same(array_pad($known, 1000, null), $told, "$size B: the same hashes as ever, as far as they go");
            $storage = new \Logystera\FileStorage($site->state->values['logystera.spool']['folder']);
            same(9500, (new \Logystera\Drops($storage))->untold(0)['counts']['config.change|overflow'][0] ?? 0, "$size B: counted");
            $site->remove();
        }
    },
    'what is saved as it was is compared up to a bound, and what is beyond is counted' => static function (): void {
        foreach ([10, 1000, 20000] as $values) {
            $site = new Site(MODULE);
            $save = static fn (string $name, array $before, array $after) => $site->container->get('logystera.config')
                ->saved(new ConfigCrudEvent(new Read($name, $before, $after)));
            [$before, $after] = trees($values);
            $changed = ['a' => 2] + $after;
            // A tree's two arrays cost a value each. One that changed is seen as soon as its first level.
            $fits = intdiv(Limits::REQUEST_COMPARED_MAX - 3, $values + 2);
            $save('probe.before', $before, $changed);
            for ($i = 0; $i < 10000; $i++) {
                $save("probe.x$i", $before, $after);
            }
            // Nobody can say that it changed: no signal of it, and no silence either. What needs no comparison is told.
            $save('probe.beyond', $before, $changed);
            $save('probe.added', [], $after);
            $save('user.settings', ['register' => 'admin_only'] + $before, ['register' => 'visitors'] + $after);
            $site->end();
            $told = array_map(static fn (array $s): array => [$s['key'], $s['action'], $s['flags'] ?? []], $site->signals());
            same([['probe.before', 'updated', []], ['probe.added', 'added', []], ['user.settings', 'updated', ['registration_opened']]], $told);
            same(10000 - $fits + 1, overflowed($site, 'config.change'), "$values values: counted");
            $site->remove();
        }
    },
    'ten thousand large trees that are saved as they were cost a request little' => static function (): void {
        $site = new Site(MODULE);
        [$before, $after] = trees(40000);
        $config = $site->container->get('logystera.config');
        $start = getrusage();
        for ($i = 0; $i < 10000; $i++) {
            $config->saved(new ConfigCrudEvent(new Read("probe.x$i", $before, $after)));
        }
        $end = getrusage();
        $ms = 1000 * ($end['ru_utime.tv_sec'] - $start['ru_utime.tv_sec']) + ($end['ru_utime.tv_usec'] - $start['ru_utime.tv_usec']) / 1000;
        // To compare them all takes some seconds.
        same(true, $ms < 500, "$ms ms");
        $site->end();
        same([], $site->signals());
        $site->remove();
    },
    'of a body that is no form a beginning is read' => static function (): void {
        stream_wrapper_register('endless', Endless::class);
        $site = new Site(MODULE);
        Endless::$bytes = 0;
        $site->request(Request::create('/', 'POST', [], [], [], [], fopen('endless://x', 'r')));
        same(['http.request'], array_column($site->signals(), 'type'));
        same(true, Endless::$bytes > 0 && Endless::$bytes <= 32768, Endless::$bytes . ' bytes');
        $site->remove();
    },
    'a REST sign-in that is longer than any is told, and not read' => static function (): void {
        foreach ([403 => ['failure', 'other'], 429 => ['lockout', 'blocked']] as $status => $expected) {
            $site = new Site(MODULE);
            $body = json_encode(['name' => 'admin', 'pass' => 'x', 'more' => str_repeat('x', 65536)]);
            $request = Request::create('/user/login', 'POST', [], [], [], [], $body);
            try {
                $site->request($request, ['_route' => 'user.login.http'], static function () use ($status): void {
                    throw new \Symfony\Component\HttpKernel\Exception\HttpException($status);
                });
            } catch (\Symfony\Component\HttpKernel\Exception\HttpException $refused) {
                // Nobody makes a page of it here.
            }
            $site->end();
            $told = array_values(array_filter($site->signals(), static fn (array $s): bool => $s['type'] === 'auth.attempt'));
            same([$expected], array_map(static fn (array $s): array => [$s['outcome'], $s['reason']], $told), "status $status");
            same(false, isset($told[0]['user_hash']), 'whose nobody looked');
            $site->remove();
        }
    },
    'a queue of any length that no cron works on is remembered once' => static function (): void {
        $site = new Site(MODULE);
        $jobs = $site->container->get('logystera.cron_jobs');
        for ($i = 0; $i < 10000; $i++) {
            $jobs->itemEnds('q', 0.001, $i === 17);
        }
        $last = (new \ReflectionProperty(\Drupal\logystera\Runtime::class, 'last'))->getValue($site->container->get('logystera.runtime'));
        same(1, count($last), 'what waits for the end');
        $site->end();
        same([['type' => 'cron.run', 'job' => 'queue:q', 'outcome' => 'failed']], $site->signals());
        $site->remove();
    },
    'what is saved as it was is no change and not missing, and what a fault loses is counted' => static function (): void {
        $site = new Site(MODULE);
        for ($i = 0; $i < 10000; $i++) {
            $site->container->get('logystera.config')->saved(new ConfigCrudEvent(new Read("probe.x$i", ['a' => $i], ['a' => $i])));
        }
        $site->container->get('logystera.config')->saved(new ConfigCrudEvent(new Read('probe.last', ['a' => 1], ['a' => 2])));
        // Nobody can write a closure out: that is a fault of ours, and counted.
        $site->container->get('logystera.config')->saved(new ConfigCrudEvent(new Read('probe.odd', [], ['a' => static fn (): int => 1])));
        $site->end();
        same(['probe.last'], array_column($site->signals(), 'key'));
        $storage = new \Logystera\FileStorage($site->state->values['logystera.spool']['folder']);
        same(['config.change|refused' => 1], array_map('current', (new \Logystera\Drops($storage))->untold(0)['counts']));
        $site->remove();
    },
    'nobody who keeps the way to the spool tells more after the last word' => static function (): void {
        $site = new Site(MODULE);
        $runtime = $site->container->get('logystera.runtime');
        same($runtime->emitter('user.change'), $runtime->emitter('user.change'), 'made once');
        $runtime->farewell();
        same(null, $runtime->emitter('user.change'), 'after the last word');
        same(true, $runtime->reopen() !== null && $runtime->emitter('user.change') !== null, 'agreed to anew');
        $runtime->silence();
        same(null, $runtime->emitter('user.change'), 'silenced');
        $site->remove();
    },
];
