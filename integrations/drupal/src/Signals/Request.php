<?php

declare(strict_types=1);

namespace Drupal\logystera\Signals;

use Drupal\Core\Extension\ModuleHandlerInterface;
use Drupal\logystera\RequestEnd;
use Drupal\logystera\Runtime;
use Logystera\Probe;
use Logystera\Redact;
use Symfony\Component\EventDispatcher\EventSubscriberInterface;
use Symfony\Component\HttpFoundation\Request as HttpRequest;
use Symfony\Component\HttpKernel\Event\RequestEvent;
use Symfony\Component\HttpKernel\Event\TerminateEvent;
use Symfony\Component\HttpKernel\KernelEvents;

/**
 * Each request that Drupal answers.
 *
 * Without its query string, and without what in its path is a person's. What
 * its page cache answers never comes here.
 */
final class Request implements EventSubscriberInterface {
  private const TYPE = 'http.request';
  private const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

  /**
   * Pages whose second part is no person's name, by their paths.
   */
  private const ACCOUNT_PAGES = '~^(.*)(/user/(?:login|logout|password|register))/?$~D';

  /**
   * Who knows what follows can run the site's cron.
   *
   * Its key has marks in it that make it look like short words.
   */
  private const CRON_KEY = '~^(.*/cron)/.+$~Ds';

  /**
   * Bytes of a body that is no form's that are looked at.
   */
  private const BODY_BYTES_MAX = 16384;

  /**
   * The request that is not told of yet.
   */
  private ?HttpRequest $open = NULL;

  public function __construct(
    private readonly Runtime $runtime,
    private readonly ModuleHandlerInterface $moduleHandler,
  ) {
  }

  /**
   * {@inheritdoc}
   */
  public static function getSubscribedEvents(): array {
    return [KernelEvents::REQUEST => ['begin', 1001], KernelEvents::TERMINATE => 'end'];
  }

  /**
   * A request comes in.
   */
  public function begin(RequestEvent $event): void {
    $this->runtime->guard(self::TYPE, function () use ($event): void {
      if ($event->isMainRequest() && $this->open === NULL) {
        $this->open = $event->getRequest();
        // Where a fault or exit() ends the request, Symfony tells of no end.
        $this->runtime->atEnd(fn () => $this->tell((int) http_response_code()));
      }
    });
  }

  /**
   * Its answer is out.
   */
  public function end(TerminateEvent $event): void {
    $this->runtime->guard(self::TYPE, function () use ($event): void {
      $this->tell($event->getResponse()->getStatusCode());
    });
  }

  /**
   * Makes the signal.
   */
  private function tell(int $status): void {
    $request = $this->open;
    $this->open = NULL;
    if ($request === NULL || RequestEnd::isKick($request)) {
      return;
    }
    $method = strtoupper((string) $request->server->get('REQUEST_METHOD', 'GET'));
    $start = (float) $request->server->get('REQUEST_TIME_FLOAT', microtime(TRUE));
    $emitter = $this->runtime->emitter(self::TYPE);
    $emitter?->emit([
      'method' => in_array($method, self::METHODS, TRUE) ? $method : 'OTHER',
      'path' => self::path($request->getPathInfo()),
      'status' => $status === 0 ? 200 : $status,
      'route_group' => self::group($request),
      'user_agent' => Redact::userAgent((string) $request->headers->get('User-Agent')),
      'duration_ms' => (int) round((microtime(TRUE) - $start) * 1000),
      'source' => $emitter->source(),
      'action' => Redact::action(strtolower(strtr((string) $request->attributes->get('_route'), '.', ':'))),
      'flags' => $this->flags($request),
      'bot' => $this->bot($request),
      'network' => $emitter->network(),
    ]);
  }

  /**
   * Whether the client is the search engine that it says it is.
   *
   * From a module that knows: to find out takes a look into the DNS.
   */
  private function bot(HttpRequest $request): ?string {
    $bot = NULL;
    $this->runtime->guard('', function () use ($request, &$bot): void {
      $this->moduleHandler->alter('logystera_bot', $bot, $request);
    });
    return in_array($bot, ['verified', 'unverified'], TRUE) ? $bot : NULL;
  }

  /**
   * What the query and the body look like.
   *
   * @return string[]|null
   *   What its query and body look like, if like anything.
   */
  private function flags(HttpRequest $request): ?array {
    $posted = $request->request->all();
    // Who runs the site, or writes its pages, may write anything into them.
    $isTrusted = $this->runtime->isTrusted();
    $body = $isTrusted ? [] : ($posted === [] ? self::unparsed($request) : $posted);
    $flags = Probe::flags((string) $request->server->get('QUERY_STRING'), $body, $request->getHost());
    return $flags === [] ? NULL : $flags;
  }

  /**
   * The beginning of a body that is no form's, as a tree where it is JSON.
   *
   * No more of it is read: a body may be larger than a process's memory.
   */
  private static function unparsed(HttpRequest $request): mixed {
    $stream = $request->getContent(TRUE);
    $text = is_resource($stream) ? (string) stream_get_contents($stream, self::BODY_BYTES_MAX) : '';
    return json_decode($text, TRUE) ?? $text;
  }

  /**
   * The path, without what is a person's.
   */
  private static function path(string $target): string {
    if (preg_match(self::ACCOUNT_PAGES, $target, $m) === 1) {
      return ($m[1] === '' ? '' : Redact::path($m[1])) . $m[2];
    }
    return Redact::path((string) preg_replace(self::CRON_KEY, '$1/*', $target));
  }

  /**
   * The part of the site that answered.
   */
  private static function group(HttpRequest $request): string {
    $route = (string) $request->attributes->get('_route');
    $object = $request->attributes->get('_route_object');
    if (preg_match('/^user\.(login|pass|reset)/', $route) === 1) {
      return 'login';
    }
    if ($route === 'system.cron') {
      return 'cron';
    }
    if (preg_match('/^(rest|jsonapi)\./', $route) === 1 || $request->getRequestFormat() === 'json') {
      return 'rest';
    }
    if ($request->isXmlHttpRequest() || $request->query->has('_wrapper_format')) {
      return 'ajax';
    }
    return is_object($object) && $object->getOption('_admin_route') ? 'admin' : 'page';
  }

}
