<?php

declare(strict_types=1);

namespace Logystera\WordPress\Signals;

use Logystera\Redact;
use Logystera\WordPress\Emitter;
use Logystera\WordPress\Guard;

/** What becomes of a shop's orders, where WooCommerce is there to say so: no amounts, no goods, no customer. */
final class Order implements Source
{
    /** The gateway that is told of an order that has none. */
    private const NO_GATEWAY = 'none';
    private const OUTCOMES = [
        'processing' => 'paid', 'completed' => 'paid', 'failed' => 'failed', 'refunded' => 'refunded', 'cancelled' => 'cancelled',
    ];

    /** @var Emitter */
    private $emitter;

    public function __construct(Emitter $emitter)
    {
        $this->emitter = $emitter;
    }

    public function register(): void
    {
        Guard::watch('woocommerce_order_status_changed', [$this, 'changed'], 10, 4);
    }

    public function finish(): void
    {
    }

    /**
     * @param mixed $id
     * @param mixed $from
     * @param mixed $to
     * @param mixed $order
     */
    public function changed($id, $from, $to, $order = null): void
    {
        $outcome = self::OUTCOMES[(string) $to] ?? null;
        // One that is packed was paid before.
        if ($outcome === null || $outcome === (self::OUTCOMES[(string) $from] ?? null)) {
            return;
        }
        $gateway = is_object($order) && method_exists($order, 'get_payment_method') ? (string) $order->get_payment_method() : '';
        $this->emitter->emit(['outcome' => $outcome, 'gateway' => Redact::slug($gateway, self::NO_GATEWAY)]);
    }
}
