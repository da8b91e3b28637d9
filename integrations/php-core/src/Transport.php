<?php

declare(strict_types=1);

namespace Logystera;

/** Carries a request to the gateway and an answer back. It follows no redirect and checks certificates. */
interface Transport
{
    /**
     * One try. What fails on the way is an answer with status 0, never an exception.
     *
     * @param array<string, string> $headers
     * @param int $timeoutMs for all of it, in milliseconds
     */
    public function post(string $url, array $headers, string $body, int $timeoutMs): Answer;
}
