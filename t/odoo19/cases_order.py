"""What happens to the order, or to its payment, before and after the capture."""

import contextlib

from cases import case
from waiting import wait_for


@contextlib.contextmanager
def store_down(bench):
    """The store answers 503 to everything until the block ends."""
    bench.sandbox.misbehave(do="answer", status=503, times="forever", match={})
    try:
        yield
    finally:
        bench.sandbox.behave()


def paid_and_waiting(bench):
    """An order that is paid and whose capture waits for the store, and its invoice."""
    order = bench.order(100)
    invoice = bench.shop.invoice(order)
    bench.shop.register([invoice])
    wait_for(lambda: (bench.capture(order) or {}).get("state") == "waiting", "the capture to wait for the store")
    return order, invoice


def expect_not_sent(bench, order, reason):
    """Its capture waits until the order is eligible again, for that reason, and the store has taken nothing."""
    wait_for(lambda: reason in (bench.capture(order)["reason"] or ""), f"the capture of order {order} to wait for {reason}")
    capture = bench.capture(order)
    assert capture["state"] == "waiting" and capture["due"] == "infinity", capture
    assert bench.sandbox.order(bench.remote_id(order))["captures"] == [], "it was captured"
    assert bench.status(order) is None, bench.status(order)


@case
def cancelled_before(bench):
    """an order cancelled in Odoo, its invoice paid: nothing is sent"""
    order = bench.shop.order(100)
    invoice = bench.shop.invoice(order)
    bench.shop.register([invoice])
    bench.odoo.call("sale.order", "action_cancel", [order])
    assert bench.odoo.read("account.move", invoice, "payment_state") == "paid"
    bench.link(order, 100)
    bench.expect_nothing(order, "link", "is cancelled")


@case
def cancelled_while_waiting(bench):
    """an order cancelled while its capture waits for the store: not sent; confirmed again, it is captured"""
    with store_down(bench):
        order, _ = paid_and_waiting(bench)
        bench.odoo.call("sale.order", "action_cancel", [order])
    expect_not_sent(bench, order, "not eligible any more: link")
    bench.odoo.call("sale.order", "action_draft", [order])
    bench.odoo.call("sale.order", "action_confirm", [order])
    bench.expect_captured(order, measured=False)


@case
def taken_back_while_waiting(bench):
    """a payment un-reconciled while its capture waits for the store: not sent; reconciled again, it is captured"""
    with store_down(bench):
        order, invoice = paid_and_waiting(bench)
        payment = bench.shop.payment_line(invoice)
        bench.shop.take_back(invoice)
    expect_not_sent(bench, order, "not eligible any more: settled")
    bench.shop.assign(invoice, payment)
    bench.expect_captured(order, measured=False)


@case
def payment_cancelled(bench):
    """a payment set back to draft and cancelled after the capture is flagged, the order keeps its status"""
    order = bench.order(100)
    invoice = bench.shop.invoice(order)
    bench.shop.register([invoice])
    bench.expect_captured(order)
    payments = bench.odoo.read("account.move", invoice, "matched_payment_ids")
    bench.odoo.call("account.payment", "action_draft", payments)
    bench.odoo.call("account.payment", "action_cancel", payments)
    wait_for(lambda: bench.capture(order)["taken_back_at"], "the capture to be flagged")
    bench.expect_captured(order, measured=False)


@case
def changed_after_capture(bench):
    """a line added to the order, a second invoice, the order cancelled: the payment is where it was, nothing is flagged"""
    order = bench.order(100)
    bench.shop.register([bench.shop.invoice(order)])
    bench.expect_captured(order)
    asked = bench.sandbox.requests(bench.remote_id(order))

    def expect_as_before(after):
        bench.wait_until_judged()
        assert bench.capture(order)["taken_back_at"] is None, f"flagged as taken back after {after}"
        assert bench.sandbox.requests(bench.remote_id(order)) == asked, f"the store was asked after {after}"

    bench.odoo.call("sale.order", "write", [order], {"order_line": [
        (0, 0, {"product_id": bench.shop.product, "price_unit": 20, "product_uom_qty": 1, "tax_ids": [(5,)]})]})
    expect_as_before("a line was added")
    draft = bench.shop.draft_invoice(order)
    expect_as_before("a draft was made")
    bench.shop.post(draft)
    expect_as_before("a second invoice was posted")
    bench.shop.register([draft])
    expect_as_before("the second invoice was paid")
    bench.odoo.call("sale.order", "action_cancel", [order])
    expect_as_before("the order was cancelled")
    bench.expect_captured(order, measured=False)


@case
def copied(bench):
    """Odoo's Duplicate: the copy, invoiced and paid as well, sends nothing, for it is linked to nothing"""
    order = bench.order(100)
    copy, = bench.odoo.call("sale.order", "copy", [order])
    bench.odoo.call("sale.order", "action_confirm", [copy])
    bench.shop.register([bench.shop.invoice(order), bench.shop.invoice(copy)])
    bench.expect_captured(order)
    bench.expect_nothing(copy, "switch", "no store")


@case
def copied_with_its_link(bench):
    """a copy that carries the same BigCommerce ID, as connectors make them: neither is captured until one is cancelled"""
    order = bench.order(100)
    copy, = bench.odoo.call("sale.order", "copy", [order])
    bench.odoo.call("sale.order", "action_confirm", [copy])
    bench.database.run("UPDATE sale_order SET bcpaid_store_id = :store, bcpaid_remote_order_id = :'remote'"
                       " WHERE id = :copy", store=bench.store, remote=f"0{bench.remote_id(order)}", copy=copy)
    bench.shop.register([bench.shop.invoice(order)])
    bench.expect_nothing(order, "link", "is also carried by " + bench.odoo.read("sale.order", copy, "name"))
    bench.odoo.call("sale.order", "action_cancel", [copy])
    bench.database.run("SELECT bcpaid.sweep()")
    bench.expect_captured(order, measured=False)
