<?php

declare(strict_types=1);

namespace Logystera\Php;

/**
 * Tells of each request: process() as PSR-15 has it, handle() as Laravel has it. It needs no package of either: requests and answers are
 * asked by the names of their methods. Where a framework wants the interface of PSR-15, take Psr15.
 */
class Middleware
{
    /** @var Monitor */
    private $monitor;

    public function __construct(Monitor $monitor)
    {
        $this->monitor = $monitor;
    }

    /**
     * @param object $request a ServerRequestInterface of PSR-7
     * @param object $handler a RequestHandlerInterface of PSR-15
     * @return object what the handler answers
     */
    public function process(object $request, object $handler): object
    {
        $start = microtime(true);
        $server = $request->getServerParams();
        $tell = function (int $status) use ($request, $server, $start): void {
            $this->monitor->request(
                $request->getMethod(),
                $request->getUri()->getPath(),
                $status,
                microtime(true) - $start,
                (string) ($server['REMOTE_ADDR'] ?? ''),
                $request->getHeaderLine('User-Agent'),
                $request->getHeaderLine($this->monitor->proxyHeader())
            );
        };
        return $this->through(static fn (): object => $handler->handle($request), $tell, static fn (object $r): int => $r->getStatusCode());
    }

    /**
     * @param object $request a request of Symfony's HttpFoundation, as Laravel has it
     * @return mixed what comes next answers
     */
    public function handle(object $request, callable $next)
    {
        return $this->through(
            static fn () => $next($request),
            function (int $status) use ($request): void {
                $this->answered($request, $status);
            },
            static fn ($r): int => is_object($r) && method_exists($r, 'getStatusCode') ? $r->getStatusCode() : 200
        );
    }

    /**
     * Tells of a request whose answer is known, as at Symfony's kernel.terminate.
     *
     * @param object $request a request of Symfony's HttpFoundation
     */
    public function answered(object $request, int $status): void
    {
        $start = (float) $request->server->get('REQUEST_TIME_FLOAT', microtime(true));
        $this->monitor->request(
            $request->getMethod(),
            $request->getPathInfo(),
            $status,
            microtime(true) - $start,
            (string) $request->server->get('REMOTE_ADDR'),
            (string) $request->headers->get('User-Agent'),
            (string) $request->headers->get($this->monitor->proxyHeader())
        );
    }

    /** @return mixed */
    private function through(callable $answer, callable $tell, callable $status)
    {
        try {
            $response = $answer();
        } catch (\Throwable $thrown) {
            // Whoever catches it makes a page of it.
            $this->monitor->thrown($thrown);
            $tell(500);
            throw $thrown;
        }
        $tell($status($response));
        return $response;
    }
}
