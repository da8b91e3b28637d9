<?php

/** What the module uses of Guzzle 7, of psr/log 3 and of PHP itself, by contract. */

declare(strict_types=1);

namespace GuzzleHttp {
    interface ClientInterface
    {
        public function request(string $method, $uri, array $options = []);
    }
}

namespace GuzzleHttp\Exception {
    interface GuzzleException extends \Throwable
    {
    }
}

namespace Psr\Log {
    interface LoggerInterface
    {
        public function error(string|\Stringable $message, array $context = []): void;
        public function log($level, string|\Stringable $message, array $context = []): void;
    }
    trait LoggerTrait
    {
        public function error(string|\Stringable $message, array $context = []): void
        {
            $this->log('error', $message, $context);
        }

        abstract public function log($level, string|\Stringable $message, array $context = []): void;
    }
}

namespace {
    final class Drupal
    {
        public const VERSION = '10.3.0';

        public static ?Symfony\Component\DependencyInjection\ContainerInterface $container = null;

        public static function hasService($id): bool
        {
            return self::$container?->has($id) ?? false;
        }

        public static function service($id): object
        {
            return self::$container->get($id);
        }

        public static function state(): object
        {
            return self::$container->get('state');
        }
    }
}
