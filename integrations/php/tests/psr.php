<?php

/** Stands for PSR-7 and PSR-15, by their published interfaces, as far as the middleware uses them. */

declare(strict_types=1);

namespace Psr\Http\Message {
    interface ResponseInterface
    {
        public function getStatusCode();
    }

    interface ServerRequestInterface
    {
        public function getServerParams();
    }
}

namespace Psr\Http\Server {
    use Psr\Http\Message\ResponseInterface;
    use Psr\Http\Message\ServerRequestInterface;

    interface RequestHandlerInterface
    {
        public function handle(ServerRequestInterface $request): ResponseInterface;
    }

    interface MiddlewareInterface
    {
        public function process(ServerRequestInterface $request, RequestHandlerInterface $handler): ResponseInterface;
    }
}

namespace Logystera\Php\Tests {
    use Psr\Http\Message\ResponseInterface;
    use Psr\Http\Message\ServerRequestInterface;
    use Psr\Http\Server\RequestHandlerInterface;

    final class PsrRequest implements ServerRequestInterface
    {
        private $method;
        private $target;
        private $server;
        private $headers;

        public function __construct(string $method, string $target, array $server, array $headers)
        {
            [$this->method, $this->target, $this->server, $this->headers] = [$method, $target, $server, $headers];
        }

        public function getMethod(): string
        {
            return $this->method;
        }

        public function getUri(): object
        {
            return new class ($this->target) {
                private $target;

                public function __construct(string $target)
                {
                    $this->target = $target;
                }

                public function getPath(): string
                {
                    return (string) strtok($this->target, '?');
                }
            };
        }

        public function getServerParams(): array
        {
            return $this->server;
        }

        public function getHeaderLine(string $name): string
        {
            return $this->headers[$name] ?? '';
        }
    }

    final class PsrResponse implements ResponseInterface
    {
        private $status;

        public function __construct(int $status)
        {
            $this->status = $status;
        }

        public function getStatusCode(): int
        {
            return $this->status;
        }
    }

    /** Answers, or throws where it has no answer. */
    final class PsrHandler implements RequestHandlerInterface
    {
        private $response;

        public function __construct(?ResponseInterface $response)
        {
            $this->response = $response;
        }

        public function handle(ServerRequestInterface $request): ResponseInterface
        {
            if ($this->response === null) {
                throw new \LogicException('leak');
            }
            return $this->response;
        }
    }
}
