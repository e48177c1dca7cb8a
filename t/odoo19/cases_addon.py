"""The addon in Odoo, as a person at the web client uses it: the calls that a click sends."""

import time

from cases import case
from odoo import OdooError
from waiting import wait_for

# From the press to the form that shows Captured, the widget's polling included.
CAPTURED_WITHIN_S = 2

FORM_FIELDS = {name: {} for name in (
    "bcpaid_can_mark", "bcpaid_status", "bcpaid_situation", "bcpaid_linked_order", "bcpaid_capture_count",
    "bcpaid_banner", "bcpaid_link_is_ours")} | {"bcpaid_linked_store_id": {"fields": {"display_name": {}}}}


def form(bench, order):
    """What the order's form reads."""
    return bench.odoo.call("sale.order", "web_read", [order], FORM_FIELDS)[0]


def left_to_the_button(bench):
    """An order that is paid, linked and left to people, because its store was switched on only then."""
    store = bench.make_store("Store of the button", switched_on=False)
    order = bench.order(100, store=store)
    bench.shop.register([bench.shop.invoice(order)])
    bench.expect_nothing(order)
    assert form(bench, order)["bcpaid_can_mark"] is False, "the button is there though the store is off"
    bench.database.run("SELECT bcpaid.set_store(store_id => :store, mark_order_as_paid => true)", store=store)
    bench.wait_until_judged()
    return order


def follow(bench, model, record, timeout_s=20):
    """What the widget does after a press: asks, each time in a request of its own, until it is done."""
    return wait_for(lambda: (lambda answer: answer["done"] and answer)(bench.odoo.call(model, "bcpaid_follow", [record])),
                    f"{model} {record} to be done", timeout_s)


@case
def button(bench):
    """the button is there for an order that may be marked; pressed, the form shows Captured within 2 s"""
    order = left_to_the_button(bench)
    before = form(bench, order)
    assert before["bcpaid_can_mark"] is True and before["bcpaid_situation"] == "awaiting", before
    assert not before["bcpaid_banner"] and before["bcpaid_link_is_ours"], before

    started = time.monotonic()
    bench.odoo.call("sale.order", "action_bcpaid_mark", [order])
    answer = follow(bench, "sale.order", order)
    after = form(bench, order)
    took_s = time.monotonic() - started
    assert answer["text"] == "Captured", answer
    assert after["bcpaid_status"] == "Captured" and after["bcpaid_situation"] == "captured", after
    assert after["bcpaid_can_mark"] is False and after["bcpaid_capture_count"] == 1, after
    assert took_s < CAPTURED_WITHIN_S, f"Captured {took_s:.2f} s after the press"
    bench.expect_captured(order, measured=False)
    by = bench.database.value("SELECT requested_by FROM bcpaid.captures WHERE order_id = :order", order=order)
    assert by.startswith("odoo for "), by


@case
def button_refuses(bench):
    """pressed where it may not be, Odoo shows the condition that is not met, and nothing is sent"""
    order = bench.order(100)
    bench.shop.invoice(order)
    try:
        bench.odoo.call("sale.order", "action_bcpaid_mark", [order])
        raise AssertionError("an unpaid order was marked")
    except OdooError as error:
        assert "cannot be marked" in str(error) and "not met" in str(error) and "SELECT" not in str(error), error
    answer = bench.odoo.call("sale.order", "action_bcpaid_why_not", [order])
    body = bench.odoo.read("bcpaid.answer", answer["res_id"], "body")
    assert "Invoices are paid" in body and "not_paid" in body, body
    bench.expect_nothing(order)
