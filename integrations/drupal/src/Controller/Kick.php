<?php

declare(strict_types=1);

namespace Drupal\logystera\Controller;

use Drupal\Core\DependencyInjection\ContainerInjectionInterface;
use Drupal\logystera\Runtime;
use Logystera\Limits;
use Logystera\Loopback;
use Symfony\Component\DependencyInjection\ContainerInterface;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;

/**
 * Answers the site's request to itself: sends.
 *
 * Who knows no token gets nothing, and learns nothing.
 */
final class Kick implements ContainerInjectionInterface {

  public function __construct(private readonly Runtime $runtime) {
  }

  /**
   * {@inheritdoc}
   */
  public static function create(ContainerInterface $container): self {
    return new self($container->get('logystera.runtime'));
  }

  /**
   * Sends what waits, if the site itself asks.
   */
  public function serve(Request $request): Response {
    $token = $request->request->get('token');
    $isKnown = is_string($token) && $this->runtime->site() !== NULL
      && Loopback::isToken($this->runtime->settings->hashKey(), $token);
    if (!$isKnown) {
      return new Response('', Response::HTTP_FORBIDDEN);
    }
    ignore_user_abort(TRUE);
    $this->runtime->background(Limits::WEB_BUDGET_MS);
    return new Response('', Response::HTTP_NO_CONTENT);
  }

}
