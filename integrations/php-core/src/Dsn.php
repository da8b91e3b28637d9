<?php

declare(strict_types=1);

namespace Logystera;

/** The one string that an operator pastes: `https://<site>.<key>:<secret>@<host>/v1/batches?audience=<audience>`. */
final class Dsn
{
    /** @var string */
    public $site;
    /** @var string */
    public $key;
    /** @var string the deployment's name, which is signed but not sent */
    public $audience;
    /** @var string where batches go; without site, key, secret and audience */
    public $url;
    /** @var string the MAC's key: 32 bytes */
    private $secret;

    private const LOOPBACK = ['127.0.0.1', '[::1]', 'localhost'];
    private const ID = '/^[a-z0-9_-]{1,64}$/D';

    private function __construct()
    {
    }

    /** @throws DsnError */
    public static function parse(string $text): self
    {
        $parts = parse_url(trim($text));
        if (!is_array($parts) || !isset($parts['scheme'], $parts['host'], $parts['user'], $parts['pass'])) {
            throw new DsnError('a DSN looks like https://<site>.<key>:<secret>@<host>/v1/batches?audience=<audience>');
        }
        $dsn = new self();
        [$dsn->site, $dsn->key] = array_pad(explode('.', $parts['user'], 2), 2, '');
        if (!preg_match(self::ID, $dsn->site) || !preg_match(self::ID, $dsn->key)) {
            $message = 'before the colon stand the site and the key with a point between, each of a-z, 0-9, _ and -';
            throw new DsnError($message, DsnError::IDS);
        }
        if (!preg_match('/^[0-9a-f]{64}$/D', $parts['pass'])) {
            throw new DsnError('the secret is 64 hex digits; this one was cut or changed on the way', DsnError::SECRET);
        }
        $dsn->secret = (string) hex2bin($parts['pass']);
        parse_str($parts['query'] ?? '', $query);
        $dsn->audience = is_string($query['audience'] ?? null) ? $query['audience'] : '';
        if (!preg_match('/^[\x21-\x7e]{1,128}$/D', $dsn->audience)) {
            throw new DsnError('the audience is missing: the DSN ends with ?audience=<name>', DsnError::AUDIENCE);
        }
        if (($parts['path'] ?? '') !== '/v1/batches' || isset($parts['fragment'])) {
            throw new DsnError('the path of a DSN is /v1/batches', DsnError::PATH);
        }
        $isLoopback = in_array(strtolower($parts['host']), self::LOOPBACK, true);
        if ($parts['scheme'] !== 'https' && !($parts['scheme'] === 'http' && $isLoopback)) {
            throw new DsnError('only https:// is used; http:// is refused except to this machine itself', DsnError::PLAIN);
        }
        $port = isset($parts['port']) ? ':' . $parts['port'] : '';
        $dsn->url = $parts['scheme'] . '://' . strtolower($parts['host']) . $port . '/v1/batches';
        return $dsn;
    }

    /** The gateway's host and port, for people. */
    public function host(): string
    {
        return (string) preg_replace('~^[a-z]+://|/v1/batches$~', '', $this->url);
    }

    /** The value of `Logystera-Signature` for one try. */
    public function sign(int $ts, string $batch, string $encoding, string $body): string
    {
        $sig = hash_hmac('sha256', $this->signedText($ts, $batch, $encoding, $body), $this->secret);
        return "v1 site={$this->site},key={$this->key},ts=$ts,batch=$batch,sig=$sig";
    }

    /** What is signed: eleven lines, joined by line feeds. */
    public function signedText(int $ts, string $batch, string $encoding, string $body): string
    {
        return implode("\n", [
            'v1', 'POST', '/v1/batches', $this->audience, $this->site, $this->key, (string) $ts, $batch,
            'application/json', $encoding, hash('sha256', $body),
        ]);
    }

    /** No dump shows the secret. */
    public function __debugInfo(): array
    {
        return ['site' => $this->site, 'key' => $this->key, 'url' => $this->url];
    }
}
