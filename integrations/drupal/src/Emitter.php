<?php

declare(strict_types=1);

namespace Drupal\logystera;

use Logystera\Address;
use Logystera\Hasher;
use Logystera\Limits;
use Logystera\Redact;

/**
 * Gives signals of one type to the spool.
 *
 * Turns users, addresses, files and messages into hashes that the site can look
 * up.
 */
final class Emitter {
  /**
   * Longest user name that a length is told of: the catalogue's bound.
   */
  private const USER_LENGTH_MAX = 1024;

  /**
   * A component's folder below Drupal's root.
   */
  private const HOME = '~^/(?:sites/[^/]+/)?(?:modules|themes|profiles)/(?:contrib/|custom/)?([^/]+)/~';

  public function __construct(
    private readonly string $type,
    private readonly Site $site,
    private readonly Runtime $runtime
  ) {
  }

  /**
   * Records a signal.
   *
   * @param array<string, mixed> $fields
   *   As the catalogue has them; null for one that is not told.
   * @param bool $isVital
   *   It is told however much else there is: somebody runs the site now.
   */
  public function emit(array $fields, bool $isVital = FALSE): void {
    $this->site->recorder->record($this->type, $fields, $isVital);
  }

  /**
   * Whether one more signal of the type is taken in this request.
   *
   * One that is not is counted, and the work for it is spared.
   */
  public function takesOne(): bool {
    return $this->site->recorder->takesOne($this->type);
  }

  /**
   * Whether two trees of values differ.
   *
   * Null where this request has compared so much that nobody can say it.
   */
  public function differ(array $before, array $after): ?bool {
    return $this->site->comparison->differ($before, $after);
  }

  /**
   * Counts a signal that was not made.
   */
  public function drop(): void {
    $this->site->recorder->drop($this->type, 'overflow');
  }

  /**
   * Hash of a value, and what it stands for on this site.
   */
  public function hash(string $kind, string $value, ?string $meaning = NULL): string {
    return $this->site->lookup->hash($kind, $value, $meaning);
  }

  /**
   * Hash of an account's name.
   *
   * Or of the name that was typed, where there is no such account.
   */
  public function user(string $name): string {
    return $this->hash(Hasher::USER, Hasher::normalUser($name));
  }

  /**
   * Length of a user's name, within the catalogue's bound.
   */
  public function userLength(string $name): int {
    return min(mb_strlen(substr($name, 0, Limits::LOGIN_BYTES_MAX), 'UTF-8'), self::USER_LENGTH_MAX);
  }

  /**
   * Hash of who is signed in; null if nobody is.
   */
  public function actor(): ?string {
    $name = $this->runtime->actor();
    return $name === '' ? NULL : $this->user($name);
  }

  /**
   * Hash of the client's address.
   *
   * Behind a proxy Drupal's own settings say which that is.
   */
  public function source(): string {
    return $this->sourceOf($this->address());
  }

  /**
   * Hash of the network that the client's address is in.
   *
   * Null where nobody knows it.
   */
  public function network(): ?string {
    $network = Address::networkOf($this->address());
    return $network === NULL ? NULL : $this->hash(Hasher::NETWORK, $network);
  }

  /**
   * Hash of the address that this request came from.
   *
   * Null of work that nobody asked for.
   */
  public function visitor(): ?string {
    $address = $this->address();
    return Address::canonical($address) === NULL ? NULL : $this->sourceOf($address);
  }

  /**
   * Hash of an address.
   */
  private function sourceOf(string $address): string {
    return $this->hash(Hasher::ADDRESS, $address);
  }

  /**
   * The client's address, in one way of writing it.
   */
  private function address(): string {
    if (PHP_SAPI === 'cli' && !isset($_SERVER['REMOTE_ADDR'])) {
      return 'command line';
    }
    return Address::canonical((string) $this->runtime->request()?->getClientIp()) ?? 'unknown';
  }

  /**
   * Hash of a file's path below Drupal's root.
   */
  public function file(string $path): string {
    return $this->hash(Hasher::FILE, $this->relative($path));
  }

  /**
   * Hash of a setting's value; only what it was a value of can be looked up.
   *
   * Null where this request changed more than is hashed.
   */
  public function value(string $name, mixed $value): ?string {
    $write = static fn (): string => is_string($value) ? $value : serialize($value);
    return $this->site->lookup->value($write, self::meaning($name));
  }

  /**
   * Hash of a secret of the site's own: it is one, short, and always known.
   */
  public function secret(string $name, string $value): string {
    return $this->hash(Hasher::VALUE, $value, self::meaning($name));
  }

  /**
   * What the hash of a setting's value stands for.
   */
  private static function meaning(string $name): string {
    return 'a value of ' . Redact::name($name);
  }

  /**
   * A file's path below Drupal's root, beginning with a slash.
   *
   * Of one that lies elsewhere the name only.
   */
  public function relative(string $path): string {
    $isInside = str_starts_with($path, $this->runtime->root . '/');
    return $isInside ? substr($path, strlen($this->runtime->root)) : '/' . basename($path);
  }

  /**
   * Slug of the module, theme or profile that a file belongs to.
   *
   * Or `core`, `vendor` or `other`.
   */
  public function component(string $path): string {
    $below = $this->relative($path);
    if (preg_match(self::HOME, $below, $m) === 1) {
      return Redact::slug($m[1]);
    }
    if (str_starts_with($below, '/core/') || preg_match('~^/[^/]+\.php$~D', $below) === 1 && is_file($this->runtime->root . $below)) {
      return 'core';
    }
    return str_contains($path, '/vendor/') ? 'vendor' : 'other';
  }

}
