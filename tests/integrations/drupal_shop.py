"""What a shop tells of its orders, where the given project has Drupal Commerce in it (modules/contrib/commerce)."""
from drupal_changes import Changes

# A shop with one way of paying, without a page.
SHOP = """use Drupal\\commerce_price\\Price; use Drupal\\commerce_payment\\Entity\\{Payment, PaymentGateway}; use Drupal\\commerce_order\\Entity\\{Order, OrderItem};
function gateway() { return PaymentGateway::load('cash'); }
function order() {
  $item = OrderItem::create(['type' => 'probe', 'title' => 'planted', 'quantity' => 1, 'unit_price' => new Price('10', 'EUR')]);
  $item->save();
  $store = current(Drupal::entityTypeManager()->getStorage('commerce_store')->loadMultiple());
  $order = Order::create(['type' => 'default', 'store_id' => $store->id(), 'uid' => 1, 'mail' => 'planted@example.test', 'state' => 'draft',
    'order_items' => [$item], 'payment_gateway' => 'cash']);
  $order->save();
  return $order;
}
function pay($order, $state = 'completed') {
  $payment = Payment::create(['type' => 'payment_manual', 'payment_gateway' => 'cash', 'order_id' => $order->id(), 'amount' => new Price('10', 'EUR'),
    'state' => $state]);
  $payment->save();
  Drupal::service('commerce_payment.order_updater')->updateOrders();
  return $payment;
}
"""
MADE = """Drupal::service('commerce_price.currency_importer')->import('EUR');
Drupal\\commerce_store\\Entity\\Store::create(['type' => 'online', 'uid' => 1, 'name' => 'planted', 'mail' => 'shop@example.test', 'default_currency' => 'EUR',
  'address' => ['country_code' => 'DE']])->save();
Drupal\\commerce_order\\Entity\\OrderItemType::create(['id' => 'probe', 'label' => 'Probe', 'orderType' => 'default'])->save();
Drupal\\commerce_payment\\Entity\\PaymentGateway::create(['id' => 'cash', 'label' => 'Planted', 'plugin' => 'manual'])->save();"""


def test_table_of_orders(world):
    site = world.bare_site("shop")
    if not (site.folder / "modules/contrib/commerce").is_dir():
        return "skipped: the project has no Drupal Commerce"
    site.install("commerce_payment")
    site.eval(MADE)
    site.settings(dsn=site.dsn, agree="1")
    t = Changes(world, site)
    noise = ["config.change", "mail.outcome", "php.error", "component.lifecycle"]
    row = lambda name, code, *outcomes: t.row(name, lambda: site.eval(SHOP + code), *[
        {"type": "shop.order", "outcome": outcome, "gateway": "cash"} for outcome in outcomes], without=noise)
    row("an order", "order();")
    row("it is paid", "pay(order());", "paid")
    row("packed after that", "$o = order(); pay($o); $o = Order::load($o->id()); $o->getState()->applyTransitionById('place'); $o->save();", "paid")
    row("it waits for its money", "pay(order(), 'pending');")
    row("which is given back", "$p = pay(order()); $p->setRefundedAmount(new Price('10', 'EUR')); $p->setState('refunded'); $p->save(); $p->save();", "paid", "refunded")
    row("a part of it", "$p = pay(order()); $p->setRefundedAmount(new Price('4', 'EUR')); $p->setState('partially_refunded'); $p->save();", "paid", "refunded")
    row("an order is cancelled", "$o = order(); $o->getState()->applyTransitionById('cancel'); $o->save();", "cancelled")
    row("a payment is refused", "Drupal::service('event_dispatcher')->dispatch(new Drupal\\commerce_payment\\Event\\FailedPaymentEvent(order(), gateway(),"
        "new Drupal\\commerce_payment\\Exception\\DeclineException('planted')), Drupal\\commerce_payment\\Event\\PaymentEvents::PAYMENT_FAILURE);", "failed")
    return t.done()
