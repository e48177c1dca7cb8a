"""Credit notes of each kind, before the capture and after it."""

from cases import case
from waiting import wait_for


def refund(bench, invoice, price=None, linked=True):
    """A posted credit note for the invoice, of all of it or of that price; unlinked: only the note's own field says
    what it reverses, no line leads to an order line. Returns it."""
    note = bench.shop.draft_credit_note(invoice)
    values = {} if linked else {"sale_line_ids": [(5,)]}
    if price is not None:
        values["price_unit"] = price
    if values:
        line, = bench.shop.product_lines(note)
        bench.odoo.call("account.move", "write", [note], {"invoice_line_ids": [(1, line, values)]})
    return bench.shop.post(note)


def state(bench, move):
    return bench.odoo.read("account.move", move, "payment_state")


def linked_at_last(bench, order, total):
    """The order gets its BigCommerce ID only now, so that all that went before is judged at once."""
    bench.wait_until_judged()
    bench.link(order, total)


@case
def credited_in_full(bench):
    """an unpaid invoice reversed by a credit note: settled by no payment, so there is nothing to capture"""
    order = bench.order(100)
    invoice = bench.shop.invoice(order)
    refund(bench, invoice)
    assert state(bench, invoice) == "reversed", state(bench, invoice)
    bench.expect_nothing(order, "invoiced", "to invoice")
    bench.shop.change_line(order, 0, product_uom_qty=0)
    assert bench.odoo.read("sale.order", order, "invoice_status") == "invoiced"
    bench.expect_nothing(order, "settled", "settled by credit note")


@case
def replaced_invoice(bench):
    """an invoice reversed and made anew: nothing for the reversal, captured when the new one is paid"""
    order = bench.order(100)
    first = bench.shop.invoice(order)
    second = bench.shop.replace(first)
    assert state(bench, first) == "reversed", state(bench, first)
    bench.expect_nothing(order, "settled", "an invoice is a draft")
    bench.shop.post(second)
    bench.expect_nothing(order, "settled", "not_paid")
    bench.shop.register([second])
    bench.expect_captured(order)


@case
def paid_replaced_paid(bench):
    """captured, then the invoice is reversed and made anew and paid again: nothing is sent again"""
    order = bench.order(100)
    first = bench.shop.invoice(order)
    bench.shop.register([first])
    bench.expect_captured(order)
    second = bench.shop.replace(first)
    bench.shop.post(second)
    wait_for(lambda: bench.capture(order)["taken_back_at"], "the capture to be flagged")
    if state(bench, second) != "paid":      # the first payment is free again, and may be taken for the second
        bench.shop.register([second])
    wait_for(lambda: bench.capture(order)["taken_back_at"] is None, "the flag to go again")
    bench.expect_captured(order, measured=False)


@case
def credited_in_part(bench):
    """a credit note of 40 before the other 60 are paid: paid in Odoo, held because the store wants 100"""
    order = bench.order(60, 40)
    invoice = bench.shop.invoice(order)
    note = bench.shop.draft_credit_note(invoice)
    bench.odoo.call("account.move", "write", [note], {"invoice_line_ids": [(2, bench.shop.product_lines(note)[0])]})
    bench.shop.post(note)
    bench.shop.change_line(order, 1, product_uom_qty=0)
    bench.expect_nothing(order, "settled", "60.00 USD open")
    bench.shop.register([invoice])
    assert state(bench, invoice) == "paid", state(bench, invoice)
    bench.expect_held(order, "wants 100 USD", "settled 60.00")


@case
def credit_paid_out(bench):
    """paid, then a line credited and the money given back: left to people, and held if they press the button"""
    order = bench.shop.order(60, 40)
    invoice = bench.shop.invoice(order)
    bench.shop.register([invoice])
    note = bench.shop.draft_credit_note(invoice)
    bench.odoo.call("account.move", "write", [note], {"invoice_line_ids": [(2, bench.shop.product_lines(note)[0])]})
    bench.shop.register([bench.shop.post(note)])
    assert state(bench, note) == "paid", state(bench, note)
    bench.shop.change_line(order, 1, product_uom_qty=0)
    linked_at_last(bench, order, 100)
    bench.expect_left_to_people(order, "was paid out")
    bench.database.run("SELECT bcpaid_mark(:order)", order=order)
    bench.expect_held(order, "wants 100 USD", "settled 60.00")


@case
def credit_without_sale_line(bench):
    """a credit note that only says which invoice it reverses, paid out: Odoo calls the order invoiced and paid, we do not"""
    order = bench.shop.order(100)
    invoice = bench.shop.invoice(order)
    bench.shop.register([invoice])
    note = refund(bench, invoice, price=30, linked=False)
    bench.shop.register([note])
    assert bench.odoo.read("sale.order", order, "invoice_status") == "invoiced" and state(bench, invoice) == "paid"
    linked_at_last(bench, order, 100)
    bench.expect_left_to_people(order, "was paid out")


@case
def all_given_back(bench):
    """paid, credited in full, and the money given back, before the order is linked: nothing is left"""
    order = bench.shop.order(100)
    invoice = bench.shop.invoice(order)
    bench.shop.register([invoice])
    bench.shop.register([refund(bench, invoice)])
    bench.shop.change_line(order, 0, product_uom_qty=0)
    linked_at_last(bench, order, 100)
    bench.expect_nothing(order, "settled", "nothing is left after credit note")


@case
def exchange(bench):
    """an order settled wholly by another order's credit note: no payment, so nothing is captured"""
    first, second = bench.order(100), bench.order(100)
    returned = bench.shop.invoice(first)
    bench.shop.register([returned])
    bench.expect_captured(first)
    note = refund(bench, returned)
    bench.expect_nothing(second)
    invoice = bench.shop.invoice(second)
    bench.shop.assign(invoice, bench.shop.receivable_line(note))
    assert state(bench, invoice) == "reversed", state(bench, invoice)
    bench.expect_nothing(second, "settled", "settled by credit note")
    bench.expect_captured(first, measured=False)


@case
def credited_after_capture(bench):
    """captured, then credited and given back: flagged, and the store is not told anything"""
    order = bench.order(100)
    invoice = bench.shop.invoice(order)
    bench.shop.register([invoice])
    bench.expect_captured(order)
    asked = bench.sandbox.requests(bench.remote_id(order))
    bench.shop.register([refund(bench, invoice)])
    wait_for(lambda: bench.capture(order)["taken_back_at"], "the capture to be flagged")
    bench.wait_until_judged()
    assert bench.sandbox.requests(bench.remote_id(order)) == asked, "the store was asked again"
    bench.expect_captured(order, measured=False)
