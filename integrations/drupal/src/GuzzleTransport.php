<?php

declare(strict_types=1);

namespace Drupal\logystera;

use GuzzleHttp\ClientInterface;
use GuzzleHttp\Exception\GuzzleException;
use Logystera\Answer;
use Logystera\Limits;
use Logystera\Transport;

/**
 * HTTP by Drupal's own client, which knows the site's proxy.
 */
final class GuzzleTransport implements Transport {

  public function __construct(private readonly ClientInterface $client) {
  }

  /**
   * {@inheritdoc}
   */
  public function post(string $url, array $headers, string $body, int $timeoutMs): Answer {
    try {
      $response = $this->client->request('POST', $url, [
        'headers' => $headers + ['User-Agent' => 'logystera-drupal/' . Site::VERSION],
        'body' => $body,
        'timeout' => $timeoutMs / 1000,
        'connect_timeout' => $timeoutMs / 1000,
        'allow_redirects' => FALSE,
        'http_errors' => FALSE,
        'verify' => TRUE,
        'decode_content' => FALSE,
        // Stops an answer that does not end.
        'progress' => static fn ($total, $got): int => $got > Limits::ANSWER_BYTES_MAX ? 1 : 0,
      ]);
    }
    catch (GuzzleException $error) {
      return new Answer(0, '', NULL, $error->getMessage());
    }
    $retryAfter = $response->getHeaderLine('Retry-After');
    $text = substr((string) $response->getBody(), 0, Limits::ANSWER_BYTES_MAX);
    return new Answer($response->getStatusCode(), $text, $retryAfter === '' ? NULL : $retryAfter);
  }

}
