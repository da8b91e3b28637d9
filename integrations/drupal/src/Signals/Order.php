<?php

declare(strict_types=1);

namespace Drupal\logystera\Signals;

use Drupal\logystera\Runtime;
use Logystera\Redact;
use Symfony\Component\EventDispatcher\EventSubscriberInterface;

/**
 * What becomes of a shop's orders, where Drupal Commerce is there to say so.
 *
 * No amounts, no goods, no customer. Commerce need not be there: its events are
 * known by their names, and what they carry by its methods.
 */
final class Order implements EventSubscriberInterface {
  private const TYPE = 'shop.order';

  /**
   * The gateway that is told of an order that has none.
   */
  private const NO_GATEWAY = 'none';

  /**
   * States of a payment that was given back, or a part of it.
   */
  private const REFUNDED = ['partially_refunded', 'refunded'];

  public function __construct(private readonly Runtime $runtime) {
  }

  /**
   * {@inheritdoc}
   */
  public static function getSubscribedEvents(): array {
    return [
      // Once, when nothing is left to be paid.
      'commerce_order.order.paid' => 'paid',
      'commerce_order.cancel.post_transition' => 'cancelled',
      'commerce_payment.commerce_payment.update' => 'paymentChanged',
      // Of Commerce 2.38 and newer.
      'commerce_payment.commerce_payment.failure' => 'failed',
    ];
  }

  /**
   * An order is paid.
   */
  public function paid(object $event): void {
    $this->tell('paid', static fn (): string => self::gatewayOf(self::ask($event, 'getOrder')));
  }

  /**
   * An order is cancelled.
   */
  public function cancelled(object $event): void {
    $this->tell('cancelled', static fn (): string => self::gatewayOf(self::ask($event, 'getEntity')));
  }

  /**
   * A payment was refused, or could not be made.
   */
  public function failed(object $event): void {
    $this->tell('failed', static function () use ($event): string {
      $gateway = (string) self::ask(self::ask($event, 'getPaymentGateway'), 'id');
      return $gateway !== '' ? $gateway : self::gatewayOf(self::ask($event, 'getOrder'));
    });
  }

  /**
   * A payment was saved: perhaps it was given back.
   */
  public function paymentChanged(object $event): void {
    $this->runtime->guard(self::TYPE, function () use ($event): void {
      $payment = self::ask($event, 'getPayment');
      // Drupal 11.2 has a method for it, and complains of the property.
      $before = $payment !== NULL && method_exists($payment, 'getOriginal') ? $payment->getOriginal() : ($payment->original ?? NULL);
      $state = self::stateOf($payment);
      if (in_array($state, self::REFUNDED, TRUE) && $state !== self::stateOf($before)) {
        $this->tell('refunded', static fn (): string => (string) self::ask($payment, 'getPaymentGatewayId'));
      }
    });
  }

  /**
   * The way of paying of an order.
   */
  private static function gatewayOf(mixed $order): string {
    $hasField = (bool) self::ask($order, 'hasField', 'payment_gateway');
    return $hasField ? (string) ($order->get('payment_gateway')->target_id ?? '') : '';
  }

  /**
   * The state of a payment.
   */
  private static function stateOf(mixed $payment): string {
    return (string) self::ask(self::ask($payment, 'getState'), 'getId');
  }

  /**
   * What a thing's method says; null where there is no such thing or method.
   */
  private static function ask(mixed $thing, string $method, mixed ...$arguments): mixed {
    return is_object($thing) && method_exists($thing, $method) ? $thing->$method(...$arguments) : NULL;
  }

  /**
   * Makes the signal.
   *
   * @param string $outcome
   *   A word of the catalogue's.
   * @param callable $gateway
   *   Gives the way of paying.
   */
  private function tell(string $outcome, callable $gateway): void {
    $this->runtime->guard(self::TYPE, function () use ($outcome, $gateway): void {
      $this->runtime->emitter(self::TYPE)?->emit([
        'outcome' => $outcome,
        'gateway' => Redact::slug($gateway(), self::NO_GATEWAY),
      ]);
    });
  }

}
