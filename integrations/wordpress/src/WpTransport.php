<?php

declare(strict_types=1);

namespace Logystera\WordPress;

use Logystera\Answer;
use Logystera\Limits;
use Logystera\Transport;

/** HTTP by WordPress's own client, which knows the site's proxy and certificates. */
final class WpTransport implements Transport
{
    public function post(string $url, array $headers, string $body, int $timeoutMs): Answer
    {
        if (!Vetting::isAllowed((string) wp_parse_url($url, PHP_URL_HOST))) {
            return new Answer(0, '', null, Vetting::REFUSAL);
        }
        $response = wp_remote_post($url, [
            'headers' => $headers, 'body' => $body, 'timeout' => $timeoutMs / 1000, 'redirection' => 0,
            'sslverify' => true, 'limit_response_size' => Limits::ANSWER_BYTES_MAX,
            'user-agent' => 'logystera-wordpress/' . VERSION, 'decompress' => false,
        ]);
        if (is_wp_error($response)) {
            return new Answer(0, '', null, $response->get_error_message());
        }
        $retryAfter = wp_remote_retrieve_header($response, 'retry-after');
        return new Answer(
            (int) wp_remote_retrieve_response_code($response),
            (string) wp_remote_retrieve_body($response),
            is_string($retryAfter) && $retryAfter !== '' ? $retryAfter : null
        );
    }
}
