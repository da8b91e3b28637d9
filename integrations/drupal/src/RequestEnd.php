<?php

declare(strict_types=1);

namespace Drupal\logystera;

use Logystera\Limits;
use Logystera\Loopback;
use Symfony\Component\EventDispatcher\EventSubscriberInterface;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpKernel\Event\RequestEvent;
use Symfony\Component\HttpKernel\Event\TerminateEvent;
use Symfony\Component\HttpKernel\KernelEvents;

/**
 * What happens when a request ends.
 *
 * Signals go to disk, and what has waited for long enough is sent after the
 * page.
 */
final class RequestEnd implements EventSubscriberInterface {
  public const KICK_ROUTE = 'logystera.kick';
  private const KICK_PATH = '/logystera/kick';

  public function __construct(private readonly Runtime $runtime) {
  }

  /**
   * {@inheritdoc}
   */
  public static function getSubscribedEvents(): array {
    return [
      // Before all others, and so before Drupal's own first one, which at 1000
      // may answer at once.
      KernelEvents::REQUEST => ['begin', 1003],
      // After all who have something to tell.
      KernelEvents::TERMINATE => ['end', -1000],
    ];
  }

  /**
   * A request comes in.
   */
  public function begin(RequestEvent $event): void {
    $this->runtime->guard('', function () use ($event): void {
      if ($event->isMainRequest()) {
        $this->runtime->begin($event->getRequest());
      }
    });
  }

  /**
   * Never throws: the answer is out, and others have work to do.
   */
  public function end(TerminateEvent $event): void {
    try {
      $this->runtime->end();
      $site = $this->runtime->site();
      $isDue = $site?->outbox->isFlushDue(Limits::FLUSH_AGE_MS, $this->runtime->settings->flushEveryS()) ?? FALSE;
      if ($isDue && PHP_SAPI !== 'cli' && !self::isKick($event->getRequest())) {
        $this->send($site, $event->getRequest());
      }
    }
    catch (\Throwable $fault) {
      Runtime::complain($fault);
    }
  }

  /**
   * Whether it is the site's own request to itself.
   */
  public static function isKick(Request $request): bool {
    return $request->attributes->get('_route') === self::KICK_ROUTE;
  }

  /**
   * Sends here, or has another process send.
   */
  private function send(Site $site, Request $request): void {
    // Symfony has ended the answer by now, where PHP can: the client has its
    // page, and this process goes on.
    if (function_exists('fastcgi_finish_request') || function_exists('litespeed_finish_request')) {
      ignore_user_abort(TRUE);
      $this->runtime->flush(Limits::WEB_BUDGET_MS);
    }
    elseif ($site->outbox->mayKick(Limits::FLUSH_AGE_MS)) {
      $this->kick($request);
    }
  }

  /**
   * Sends a request to this machine itself, as the server names it.
   *
   * What a client wrote into its Host header says only which site is meant.
   */
  private function kick(Request $request): void {
    $server = $request->server;
    $scheme = in_array(strtolower((string) $server->get('HTTPS')), ['', 'off'], TRUE) ? 'http' : 'https';
    $address = (string) $server->get('SERVER_ADDR', (string) $server->get('SERVER_NAME'));
    if (filter_var($address, FILTER_VALIDATE_IP) !== FALSE) {
      $url = "$scheme://" . $request->getHost() . ':' . (int) $server->get('SERVER_PORT')
        . $request->getBasePath() . self::KICK_PATH;
      Loopback::post($url, $address, 'token=' . Loopback::token($this->runtime->settings->hashKey()));
    }
  }

}
