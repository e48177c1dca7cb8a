"""Payments as Odoo Enterprise keeps them, by the hook that Enterprise uses (addons/in_payment): an invoice is "in
payment" until the bank line is matched, and a payment may have no journal entry."""

import contextlib

from cases import case
from waiting import wait_for


@contextlib.contextmanager
def enterprise(bench):
    """Switched on for the block. Yields a bank journal without outstanding account, as Enterprise makes them."""
    journal = bench.odoo.search("account.journal", ["code", "=", "PLAIN"]) or [
        bench.odoo.create("account.journal", name="Plain bank", type="bank", code="PLAIN")]
    bench.odoo.call("ir.config_parameter", "set_param", "in_payment.is_on", "1")
    try:
        yield journal[0]
    finally:
        bench.odoo.call("ir.config_parameter", "set_param", "in_payment.is_on", False)


def shown(bench, invoice):
    """(payment state, what Odoo calls open)"""
    row = bench.odoo.call("account.move", "read", [invoice], ["payment_state", "amount_residual"])[0]
    return row["payment_state"], row["amount_residual"]


@case
def in_payment(bench):
    """a payment without journal entry: in payment, all still open, captured; the bank line matched later changes nothing"""
    with enterprise(bench) as journal:
        order = bench.order(100)
        invoice = bench.shop.invoice(order)
        bench.shop.register([invoice], journal=journal)
        assert shown(bench, invoice) == ("in_payment", 100), shown(bench, invoice)
        bench.expect_captured(order)
        bench.shop.match(bench.shop.bank_line(100), invoice)
        assert shown(bench, invoice) == ("paid", 0), shown(bench, invoice)
        bench.wait_until_judged()
        assert bench.capture(order)["taken_back_at"] is None
        bench.expect_captured(order, measured=False)


@case
def in_payment_with_entry(bench):
    """a payment with a journal entry: in payment, nothing open, captured"""
    with enterprise(bench):
        order = bench.order(100)
        invoice = bench.shop.invoice(order)
        bench.shop.register([invoice])
        assert shown(bench, invoice) == ("in_payment", 0), shown(bench, invoice)
        bench.expect_captured(order)


@case
def in_payment_in_part(bench):
    """40 of 100 show "in payment" like all of it: not captured before the other 60 are there"""
    with enterprise(bench) as journal:
        order = bench.order(100)
        invoice = bench.shop.invoice(order)
        bench.shop.register([invoice], journal=journal, amount=40)
        assert shown(bench, invoice) == ("in_payment", 100), shown(bench, invoice)
        bench.expect_nothing(order, "settled", "60.00 USD open")
        bench.shop.register([invoice], journal=journal, amount=60)
        bench.expect_captured(order)


@case
def in_payment_rejected(bench):
    """a payment in process that is rejected after the capture is flagged"""
    with enterprise(bench) as journal:
        order = bench.order(100)
        invoice = bench.shop.invoice(order)
        bench.shop.register([invoice], journal=journal)
        bench.expect_captured(order)
        bench.odoo.call("account.payment", "action_reject", bench.odoo.read("account.move", invoice, "matched_payment_ids"))
        wait_for(lambda: bench.capture(order)["taken_back_at"], "the capture to be flagged")
        assert shown(bench, invoice) == ("not_paid", 100), shown(bench, invoice)
        bench.expect_captured(order, measured=False)


@case
def in_payment_with_discount(bench):
    """98 without journal entry for 100 with early discount: 2 are open until the bank line is matched"""
    term = bench.odoo.create("account.payment.term", name="2 % in 10 days", early_discount=True, discount_percentage=2,
                             discount_days=10, line_ids=[(0, 0, {"value": "percent", "value_amount": 100, "nb_days": 30})])
    with enterprise(bench) as journal:
        order = bench.order(100, payment_term_id=term)
        invoice = bench.shop.invoice(order)
        bench.shop.register([invoice], journal=journal)
        assert shown(bench, invoice)[0] == "in_payment" and bench.shop.paid_amounts(invoice) == [98], shown(bench, invoice)
        bench.expect_nothing(order, "settled", "2.00 USD open")
