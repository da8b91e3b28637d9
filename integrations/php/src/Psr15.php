<?php

declare(strict_types=1);

namespace Logystera\Php;

use Psr\Http\Message\ResponseInterface;
use Psr\Http\Server\MiddlewareInterface;

/** The middleware for frameworks that ask for the interface: Slim, Mezzio and others. Loaded only where PSR-15's package is there. */
final class Psr15 extends Middleware implements MiddlewareInterface
{
    /**
     * @param \Psr\Http\Message\ServerRequestInterface $request
     * @param \Psr\Http\Server\RequestHandlerInterface $handler
     */
    public function process(object $request, object $handler): ResponseInterface
    {
        $response = parent::process($request, $handler);
        if (!$response instanceof ResponseInterface) {
            throw new \UnexpectedValueException('a handler of PSR-15 answers with a ResponseInterface');
        }
        return $response;
    }
}
