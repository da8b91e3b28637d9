<?php

declare(strict_types=1);

namespace Logystera;

/** What came back from one try. */
final class Answer
{
    /** @var int Status of HTTP; 0 if nothing came back */
    public $status;
    /** @var int|null `Retry-After` in seconds */
    public $retryAfterS;
    /** @var array<string, mixed>|null the body, if a gateway said it: JSON with a `server_time` */
    public $body;
    /** @var string why nothing came back, for the operator */
    public $failure;

    public function __construct(int $status, string $body = '', ?string $retryAfter = null, string $failure = '')
    {
        $this->status = $status;
        $this->retryAfterS = $retryAfter !== null && ctype_digit($retryAfter) ? (int) $retryAfter : null;
        $decoded = json_decode($body, true, 32);
        $this->body = is_array($decoded) && is_int($decoded['server_time'] ?? null) ? $decoded : null;
        $this->failure = $failure;
    }

    /** The refusal's code; empty where there is none. */
    public function code(): string
    {
        $code = $this->body['code'] ?? '';
        return is_string($code) ? $code : '';
    }

    /** Whether a `duplicate` is proven: the gateway compared the bytes with those that it has under this id. */
    public function isSame(): bool
    {
        return ($this->body['same'] ?? null) === true;
    }

    /** Signals of the batch that the gateway left out. */
    public function refusedSignals(): int
    {
        $listed = is_array($this->body['refused'] ?? null) ? $this->body['refused'] : [];
        $signals = array_filter($listed, static fn ($r) => is_array($r) && is_int($r['index'] ?? null));
        $more = $this->body['refused_more'] ?? 0;
        return count($signals) + (is_int($more) ? $more : 0);
    }
}
