<?php

/**
 * The lines for Laravel of docs/php.md in Laravel's own kernel, as Debian packs it: tests/integrations/laravel runs it.
 */

declare(strict_types=1);

namespace Logystera\Php\Tests;

use Illuminate\Auth\Events\Failed;
use Illuminate\Config\Repository;
use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Contracts\Http\Kernel;
use Illuminate\Foundation\Application;
use Illuminate\Foundation\Exceptions\Handler;
use Illuminate\Http\Request;
use Illuminate\Http\Response;
use Illuminate\Support\ServiceProvider;
use Logystera\Hasher;
use Logystera\Php\Middleware;
use Logystera\Php\Monitor;

use function Logystera\Tests\same;

[, $laravel] = $argv;
// Names of classes as PSR-4 has them. Debian's own loaders look for all that anybody could want.
spl_autoload_register(static function (string $class) use ($laravel): void {
    $path = str_replace('\\', '/', $class) . '.php';
    // Two of its packages share the namespace of a third.
    $places = array_map(static fn (string $part): string => str_replace('Illuminate/Support/', "Illuminate/$part/", $path), [
        'Support', 'Collections', 'Macroable',
    ]);
    foreach ($places as $place) {
        foreach ([$laravel, '/usr/share/php'] as $root) {
            if (is_file("$root/$place")) {
                require_once "$root/$place";
                return;
            }
        }
    }
});
foreach (['Collections', 'Support', 'Foundation', 'Events'] as $part) {
    foreach (['helpers', 'functions'] as $name) {
        is_file("$laravel/Illuminate/$part/$name.php") && require_once "$laravel/Illuminate/$part/$name.php";
    }
}
require dirname(__DIR__, 2) . '/integrations/php/autoload.php';
require dirname(__DIR__, 2) . '/integrations/php-core/tests/harness.php';

/** The page's lines for Laravel: the first for a provider, the second for an application since Laravel 11, which Debian has not. */
function lines(): array
{
    $page = (string) file_get_contents(dirname(__DIR__, 2) . '/docs/php.md');
    same(1, preg_match('~```php\n<\?php // Laravel\n(\$this->app.*?;)\n\n(.*?;)\n```~s', $page, $m), 'the page');
    return [$m[1], $m[2]];
}

/** What the page says of a provider. */
final class Provider extends ServiceProvider
{
    public function register(): void
    {
        eval(lines()[0]);
    }
}

$folder = sys_get_temp_dir() . '/laravel-' . bin2hex(random_bytes(6));
mkdir("$folder/bootstrap/cache", 0700, true);
register_shutdown_function(static function () use ($folder): void {
    exec('rm -rf ' . escapeshellarg($folder));
});
file_put_contents("$folder/logystera.php", '<?php return new Logystera\Php\Monitor(' . var_export([
    'dsn' => 'http://shop.k1:' . str_repeat('0f', 32) . '@127.0.0.1:1/v1/batches?audience=tests', 'folder' => "$folder/spool",
    'name' => 'shop', 'root' => $folder, 'proxies' => ['10.0.0.0/8'],
], true) . ');');

$app = new Application($folder);
$app->instance('config', new Repository(['app' => ['debug' => false]]));
$app->singleton(Kernel::class, \Illuminate\Foundation\Http\Kernel::class);
$app->singleton(ExceptionHandler::class, Handler::class);
$app->register(Provider::class);
$kernel = $app->make(Kernel::class);
(function (): void {
    // What reads the files of a whole application.
    $this->bootstrappers = [];
})->call($kernel);
// What `$middleware` of app/Http/Kernel.php comes to.
$kernel->pushMiddleware(Middleware::class);
same('$middleware->append(' . Middleware::class . '::class);', str_replace('(\\', '(', lines()[1]));
$app->make(ExceptionHandler::class)->reportable(static function (\Throwable $thrown) use ($app): bool {
    $app->make(Monitor::class)->thrown($thrown);
    return false;
});
$app['events']->listen(Failed::class, static function (Failed $event) use ($app): void {
    $app->make(Monitor::class)->signIn($event->credentials['email'], false, false, '203.0.113.9', 'bad_password');
});
$app['router']->get('/hello/{name}', static fn (string $name): string => "hello $name");
$app['router']->post('/boom', static function (): void {
    throw new \RuntimeException('leak');
});
$app['router']->post('/login', static function () use ($app): Response {
    $app['events']->dispatch(new Failed('web', null, ['email' => 'jane@leak.example', 'password' => 'leak']));
    return new Response('no', 422);
});

// Laravel's pages for faults want its views: to a program it answers without.
$server = [
    'REMOTE_ADDR' => '10.1.2.3', 'HTTP_X_FORWARDED_FOR' => '203.0.113.7', 'HTTP_USER_AGENT' => 'tests/1', 'HTTP_ACCEPT' => 'application/json',
];
$statuses = [];
foreach ([['GET', '/hello/jane?leak'], ['GET', '/nowhere'], ['POST', '/boom'], ['POST', '/login']] as [$method, $path]) {
    $request = Request::create("http://shop.example$path", $method, [], [], [], $server);
    $response = $kernel->handle($request);
    $statuses[] = $response->getStatusCode();
    $kernel->terminate($request, $response);
}
same([200, 404, 500, 422], $statuses, 'what Laravel answered');
$monitor = $app->make(Monitor::class);
same($monitor, $app->make(Monitor::class), 'one for all');
$monitor->write();
$text = (string) file_get_contents("$folder/spool/open.php");
preg_match_all('/^\d+ (\{.*\})$/m', $text, $found);
$signals = array_map(static fn (string $line): array => json_decode($line, true), $found[1]);
$of = static fn (string $type): array => array_values(array_filter($signals, static fn (array $s): bool => $s['type'] === $type));
same(
    [['GET', '/hello/jane', 200], ['GET', '/nowhere', 404], ['POST', '/boom', 500], ['POST', '/login', 422]],
    array_map(static fn (array $s): array => [$s['method'], $s['path'], $s['status']], $of('http.request'))
);
same([$monitor->hash(Hasher::ADDRESS, '203.0.113.7')], array_values(array_unique(array_column($of('http.request'), 'source'))), 'who asked');
same([['fatal', 'bad_password']], [[$of('php.error')[0]['level'] ?? null, $of('auth.attempt')[0]['reason'] ?? null]]);
same([1, 1], [count($of('php.error')), count($of('auth.attempt'))], 'each once');
same(false, strpos($text, 'leak'), 'no query, message, name or password');
echo 'ok      the lines for Laravel, in Laravel ' . Application::VERSION . "\n";
