<?php

/** The tests of the package for any PHP: php integrations/php/tests/run.php [WORD...]. Symfony's parts are real ones, PSR's stand-ins. */

declare(strict_types=1);

namespace Logystera\Php\Tests;

use Logystera\DsnError;
use Logystera\Hasher;
use Logystera\Php\Errors;
use Logystera\Php\Middleware;
use Logystera\Php\Monitor;
use Symfony\Component\EventDispatcher\EventDispatcher;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\RequestStack;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\HttpKernel\Controller\ArgumentResolver;
use Symfony\Component\HttpKernel\Controller\ControllerResolver;
use Symfony\Component\HttpKernel\Event\ExceptionEvent;
use Symfony\Component\HttpKernel\HttpKernel;

use function Logystera\Tests\run;
use function Logystera\Tests\same;

require dirname(__DIR__) . '/autoload.php';
require dirname(__DIR__, 2) . '/php-core/tests/harness.php';
require __DIR__ . '/psr.php';
foreach (['HttpFoundation', 'EventDispatcher', 'HttpKernel'] as $component) {
    require_once "Symfony/Component/$component/autoload.php";
}

/** A monitor with a folder of its own, and what lies in its spool. */
function site(array $more = []): array
{
    $folder = sys_get_temp_dir() . '/php-' . bin2hex(random_bytes(6));
    register_shutdown_function(static function () use ($folder): void {
        exec('rm -rf ' . escapeshellarg($folder));
    });
    $monitor = new Monitor($more + [
        'dsn' => 'http://shop.k1:' . str_repeat('0f', 32) . '@127.0.0.1:1/v1/batches?audience=tests', 'folder' => $folder,
    ]);
    return [$monitor, static function () use ($folder): array {
        preg_match_all('/^\d+ (\{.*\})$/m', (string) file_get_contents("$folder/open.php"), $lines);
        return array_map(static fn (string $line): array => json_decode($line, true), $lines[1]);
    }, $folder];
}

/** The same without what is measured. */
function plain(array $signals): array
{
    return array_map(static fn (array $s): array => array_diff_key($s, ['at' => 1, 'duration_ms' => 1]), $signals);
}

function fence(string $name): string
{
    $page = (string) file_get_contents(dirname(__DIR__, 3) . '/docs/php.md');
    same(1, preg_match('~```php\n(<\?php // ' . preg_quote($name, '~') . '\n.*?)```~s', $page, $m), $name);
    return $m[1];
}

$request = static fn (string $source, string $path, int $status, string $method = 'GET'): array => [
    'type' => 'http.request', 'method' => $method, 'path' => $path, 'status' => $status, 'route_group' => 'page', 'user_agent' => 'tests/1',
    'source' => $source,
];

run([
    'a middleware of PSR-15 tells what was answered, and what was thrown' => static function () use ($request): void {
        [$monitor, $spool] = site(['proxies' => ['10.0.0.0/8']]);
        $source = $monitor->hash(Hasher::ADDRESS, '203.0.113.7');
        $asked = new PsrRequest('POST', '/order?leak', ['REMOTE_ADDR' => '10.1.2.3'], [
            'User-Agent' => 'tests/1', 'X-Forwarded-For' => '1.1.1.1, 203.0.113.7',
        ]);
        $middleware = new Middleware($monitor);
        $answer = $middleware->process($asked, new PsrHandler(new PsrResponse(201)));
        same(201, $answer->getStatusCode(), 'as it came');
        try {
            $middleware->process($asked, new PsrHandler(null));
            same(true, false, 'thrown');
        } catch (\LogicException $thrown) {
            same('leak', $thrown->getMessage(), 'as it was thrown');
        }
        $told = plain($spool());
        same([$request($source, '/order', 201, 'POST'), 'php.error', $request($source, '/order', 500, 'POST')], [
            $told[0], $told[1]['type'], $told[2],
        ], 'told');
        same(false, strpos((string) json_encode($told), 'leak'), 'no query');
        $strict = new \Logystera\Php\Psr15($monitor);
        same(204, $strict->process($asked, new PsrHandler(new PsrResponse(204)))->getStatusCode(), 'with the interface');
        same(true, $strict instanceof \Psr\Http\Server\MiddlewareInterface, 'the interface');
    },
    'Laravel\'s handle takes a request of Symfony\'s' => static function () use ($request): void {
        [$monitor, $spool] = site();
        $asked = Request::create('/cart/jane@example.org?leak', 'GET', [], [], [], ['REMOTE_ADDR' => '::ffff:203.0.113.7',
            'HTTP_USER_AGENT' => 'tests/1', 'HTTP_X_FORWARDED_FOR' => '1.1.1.1']);
        $middleware = new Middleware($monitor);
        $answer = $middleware->handle($asked, static fn (Request $r): Response => new Response($r->getMethod(), 404));
        same(['GET', 404], [$answer->getContent(), $answer->getStatusCode()], 'as it came');
        same('text', $middleware->handle($asked, static fn (): string => 'text'), 'no response');
        $source = $monitor->hash(Hasher::ADDRESS, '203.0.113.7');
        same([$request($source, '/cart/*', 404), $request($source, '/cart/*', 200)], plain($spool()), 'told');
    },
    'Symfony\'s listener of the page, in Symfony\'s own kernel' => static function () use ($request): void {
        [$monitor, $spool] = site();
        eval(substr(fence('src/EventListener/LogysteraListener.php'), 5));
        $listener = new \LogysteraListener($monitor);
        $dispatcher = new EventDispatcher();
        $dispatcher->addListener('kernel.exception', [$listener, 'onKernelException']);
        $dispatcher->addListener('kernel.terminate', [$listener, 'onKernelTerminate']);
        // As an application's own page for faults does.
        $dispatcher->addListener('kernel.exception', static function (ExceptionEvent $event): void {
            $event->setResponse(new Response('sorry', 500));
        }, -10);
        $kernel = new HttpKernel($dispatcher, new ControllerResolver(), new RequestStack(), new ArgumentResolver());
        $answers = [];
        $controllers = ['/a' => static function (): Response {
            throw new \RuntimeException('leak "quoted"');
        }, '/b' => static fn (): Response => new Response('', 204)];
        foreach ($controllers as $path => $controller) {
            $asked = Request::create("$path?leak", 'GET', [], [], [], ['REMOTE_ADDR' => '203.0.113.7', 'HTTP_USER_AGENT' => 'tests/1']);
            $asked->attributes->set('_controller', $controller);
            $answer = $kernel->handle($asked);
            $kernel->terminate($asked, $answer);
            $answers[] = $answer->getStatusCode();
        }
        same([500, 204], $answers, 'as they came');
        $told = plain($spool());
        same(['php.error', 'fatal', 'app'], [$told[0]['type'], $told[0]['level'], $told[0]['component']], 'the exception');
        $source = $monitor->hash(Hasher::ADDRESS, '203.0.113.7');
        same([$request($source, '/a', 500), $request($source, '/b', 204)], array_slice($told, 1), 'the requests');
        same(false, strpos((string) json_encode($told), 'leak'), 'no query and no message');
    },
    'jobs, mail, sign-ins and other signals are told; faults of theirs go on' => static function (): void {
        [$monitor, $spool] = site(['types' => ['auth.attempt', 'cron.run', 'mail.outcome', 'config.change']]);
        same(7, $monitor->job('export', static fn (): int => 7), 'its result');
        try {
            $monitor->job('broken', static function (): void {
                throw new \LogicException('x');
            });
            same(true, false, 'thrown');
        } catch (\LogicException $thrown) {
            same('x', $thrown->getMessage(), 'as it was thrown');
        }
        $monitor->mail(false, 2);
        $monitor->signIn(' Jane ', false, true, '203.0.113.7', 'bad_password');
        $monitor->record('config.change', ['key' => 'shop.currency', 'action' => 'updated']);
        $monitor->record('config.change', ['value' => 'leak']);
        $monitor->record('php.error', ['off' => true]);
        same([
            ['type' => 'cron.run', 'job' => 'export', 'outcome' => 'ok'], ['type' => 'cron.run', 'job' => 'broken', 'outcome' => 'failed'],
            ['type' => 'mail.outcome', 'outcome' => 'failed', 'error_class' => 'other', 'recipients' => 2],
            ['type' => 'auth.attempt', 'outcome' => 'failure', 'method' => 'form', 'reason' => 'bad_password',
                'user_hash' => $monitor->hash(Hasher::USER, 'jane'), 'user_length' => 6, 'source' => $monitor->source('203.0.113.7'),
                'privileged' => true],
            ['type' => 'config.change', 'key' => 'shop.currency', 'action' => 'updated'],
        ], plain($spool()), 'told');
        $monitor->write();
        $jane = $monitor->hash(Hasher::USER, 'jane');
        same(['jane', null], [$monitor->explain($jane), $monitor->explain(str_repeat('0', 32))], 'looked up');
    },
    'of ten thousand errors in a request some are looked at, and the rest is counted' => static function (): void {
        [$monitor, $spool, $folder] = site();
        $errors = new Errors($monitor);
        $word = static fn (int $i): string => strtr((string) $i, '0123456789', 'ghijklmnop');
        for ($i = 0; $i < 10000; $i++) {
            $errors->handle(E_WARNING, "Warning {$word($i)}", __FILE__, 1);
        }
        for ($i = 0; $i < 1000; $i++) {
            $errors->handle(E_WARNING, 'Warning ' . $word(7), __FILE__, 1);
            $errors->thrown(new \RuntimeException("Thrown {$word($i)}"));
        }
        $monitor->write();
        $levels = array_count_values(array_column($spool(), 'level'));
        same(['warning' => 250, 'fatal' => 250], $levels);
        $counts = (new \Logystera\Drops(new \Logystera\FileStorage($folder)))->untold(0)['counts'];
        [$worker, $told] = site();
        for ($i = 0; $i < 6; $i++) {
            $worker->thrown(new \RuntimeException('in one piece of work and in the next'));
            $i % 3 === 2 && $worker->write();
        }
        same(2, count($told()), 'of a process that runs for long each piece of work is one');
        same(9750 + 750, $counts['php.error|overflow'][0] ?? 0);
    },
    'without a DSN nothing is recorded, and a wrong one says why' => static function (): void {
        $folder = sys_get_temp_dir() . '/php-' . bin2hex(random_bytes(6));
        $monitor = (new Monitor(['dsn' => '', 'folder' => $folder]))->watch();
        $monitor->signIn('jane', true, false, '203.0.113.7');
        $monitor->request('GET', '/', 200, 0.1, '203.0.113.7');
        $monitor->thrown(new \LogicException('x'));
        same([1, 'idle', '', null], [$monitor->job('a', static fn (): int => 1), $monitor->send()->outcome, $monitor->source('203.0.113.7'),
            $monitor->explain('')], 'nothing');
        same(false, file_exists($folder), 'no folder');
        foreach ([['dsn' => 'nonsense'], ['folder' => ''], ['folder' => 'relative'], ['folder' => '/proc/none']] as $wrong) {
            try {
                site($wrong);
                same(true, false, (string) json_encode($wrong));
            } catch (\InvalidArgumentException | DsnError $error) {
                same(true, strlen($error->getMessage()) > 20, 'why');
            }
        }
    },
    'its key is one, its files are nobody else\'s, and a sender that cannot send says so' => static function (): void {
        [$monitor, , $folder] = site();
        [$again] = site(['folder' => $folder]);
        same($monitor->source('203.0.113.7'), $again->source('203.0.113.7'), 'one key');
        $monitor->mail(true, 1);
        same([true, 'failed'], [$monitor->send()->isFailure(), $monitor->send(3000, true)->outcome], 'nobody listens');
        foreach (glob("$folder/*.php") as $file) {
            same(true, basename($file) === 'index.php' || (fileperms($file) & 0077) === 0, $file);
            $text = (string) file_get_contents($file);
            same(true, $text === '' || strpos($text, '<?php') === 0, "$file is a script");
        }
    },
], array_slice($argv, 1));
