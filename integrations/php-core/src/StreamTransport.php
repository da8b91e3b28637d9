<?php

declare(strict_types=1);

namespace Logystera;

/** HTTP by PHP's own streams, for where the platform has no client of its own. */
final class StreamTransport implements Transport
{
    public function post(string $url, array $headers, string $body, int $timeoutMs): Answer
    {
        $lines = ['Connection: close', 'User-Agent: logystera-php'];
        foreach ($headers as $name => $value) {
            $lines[] = "$name: $value";
        }
        $context = stream_context_create([
            'http' => [
                'method' => 'POST', 'header' => $lines, 'content' => $body, 'timeout' => $timeoutMs / 1000,
                'follow_location' => 0, 'ignore_errors' => true, 'protocol_version' => 1.1,
            ],
            'ssl' => ['verify_peer' => true, 'verify_peer_name' => true, 'allow_self_signed' => false],
        ]);
        $stream = Quiet::call('fopen', $url, 'rb', false, $context);
        if ($stream === false) {
            return new Answer(0, '', null, 'no connection');
        }
        $meta = stream_get_meta_data($stream);
        $text = (string) stream_get_contents($stream, Limits::ANSWER_BYTES_MAX);
        fclose($stream);
        [$status, $retryAfter] = [0, null];
        foreach ((array) ($meta['wrapper_data'] ?? []) as $line) {
            if (preg_match('~^HTTP/\S+ (\d{3})~', $line, $m) === 1) {
                $status = (int) $m[1];
            } elseif (preg_match('/^Retry-After:\s*(\d+)\s*$/i', $line, $m) === 1) {
                $retryAfter = $m[1];
            }
        }
        return new Answer($status, $text, $retryAfter);
    }
}
