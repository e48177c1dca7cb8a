"""Invoices and payments whose amount is not simply the order's: what the store is asked for all the same."""

from cases import case

TODAY = "2000-01-01"        # of a currency's rate: good for every day since


def add_line(bench, invoice, name, price):
    """A line that somebody types into the draft: no order line stands behind it."""
    bench.odoo.call("account.move", "write", [invoice], {"invoice_line_ids": [
        (0, 0, {"name": name, "price_unit": price, "quantity": 1, "tax_ids": [(5,)]})]})


def total(bench, invoice):
    return bench.odoo.read("account.move", invoice, "amount_total")


@case
def freight_added(bench):
    """freight added in Odoo, 107 for an order of 100: paid in Odoo, held because the store wants 100"""
    order = bench.order(100)
    invoice = bench.shop.draft_invoice(order)
    add_line(bench, invoice, "Freight", 7)
    bench.shop.register([bench.shop.post(invoice)])
    assert bench.odoo.read("account.move", invoice, "payment_state") == "paid"
    bench.expect_held(order, "wants 100 USD", "settled 107.00")


@case
def merged_invoice(bench):
    """one invoice over three orders, paid at once: each order is captured with its own amount"""
    orders = [bench.order(price) for price in (60, 30.5, 9.99)]
    invoice = bench.shop.draft_invoice(*orders)
    assert total(bench, invoice) == 100.49, total(bench, invoice)
    bench.shop.register([bench.shop.post(invoice)])
    for order in orders:
        bench.expect_captured(order)


@case
def instalments(bench):
    """a payment term of two instalments: nothing after the first, captured after the second"""
    term = bench.odoo.create("account.payment.term", name="Two halves", line_ids=[
        (0, 0, {"value": "percent", "value_amount": 50, "nb_days": days}) for days in (0, 30)])
    order = bench.order(100, payment_term_id=term)
    invoice = bench.shop.invoice(order)
    bench.shop.register([invoice])
    assert bench.odoo.read("account.move", invoice, "amount_residual") == 50, "the dialog did not offer the first"
    bench.expect_nothing(order, "settled", "partial, 50.00 USD open")
    bench.shop.register([invoice])
    bench.expect_captured(order)


@case
def early_discount(bench):
    """an early payment discount: 98 are received and settle 100, and 100 are captured"""
    term = bench.odoo.create("account.payment.term", name="2 % in 10 days", early_discount=True, discount_percentage=2,
                             discount_days=10, line_ids=[(0, 0, {"value": "percent", "value_amount": 100, "nb_days": 30})])
    order = bench.order(100, payment_term_id=term)
    invoice = bench.shop.invoice(order)
    bench.shop.register([invoice])
    assert bench.shop.paid_amounts(invoice) == [98], bench.shop.paid_amounts(invoice)
    bench.expect_captured(order)


@case
def cash_rounding(bench):
    """cash rounding makes 69.83 an invoice of 69.85: within the tolerance, the store's own 69.83 is captured"""
    account, = bench.odoo.search("account.account", ["account_type", "=", "expense"], limit=1)
    rounding = bench.odoo.create("account.cash.rounding", name="To 5 cents", rounding=0.05, rounding_method="HALF-UP",
                                 strategy="add_invoice_line", profit_account_id=account, loss_account_id=account)
    order = bench.order(69.83)
    invoice = bench.shop.draft_invoice(order)
    bench.odoo.call("account.move", "write", [invoice], {"invoice_cash_rounding_id": rounding})
    bench.shop.register([bench.shop.post(invoice)], journal=bench.shop.cash)
    assert total(bench, invoice) == 69.85, total(bench, invoice)
    bench.expect_captured(order)


@case
def overpaid(bench):
    """130 received for 100: the rest stays the customer's credit, and 100 are captured"""
    order = bench.order(100)
    invoice = bench.shop.invoice(order)
    bench.shop.register([invoice], amount=130)
    assert bench.shop.paid_amounts(invoice) == [130], bench.shop.paid_amounts(invoice)
    bench.expect_captured(order)


def currency(bench, name, per_dollar):
    """That currency, switched on, at that rate. Returns its id."""
    found, = bench.odoo.search("res.currency", ["name", "=", name], context={"active_test": False})
    if not bench.odoo.read("res.currency", found, "active"):
        bench.odoo.call("res.currency", "write", [found], {"active": True})
        bench.odoo.create("res.currency.rate", currency_id=found, name=TODAY, rate=per_dollar)
    return found


@case
def three_currencies(bench):
    """an order in dollars, its invoice in euro, paid in pounds: the order's 100 dollars are captured"""
    order = bench.order(100)
    invoice = bench.shop.draft_invoice(order)
    line, = bench.shop.product_lines(invoice)
    bench.odoo.call("account.move", "write", [invoice], {
        "currency_id": currency(bench, "EUR", 0.9), "invoice_line_ids": [(1, line, {"price_unit": 90})]})
    bench.shop.post(invoice)
    pounds = currency(bench, "GBP", 0.8)
    bench.shop.register([invoice], currency_id=pounds, amount=30)
    bench.expect_nothing(order, "settled", "partial")
    bench.shop.register([invoice], currency_id=pounds, amount=50)
    assert bench.odoo.read("account.move", invoice, "payment_state") == "paid"
    assert sorted(bench.shop.paid_amounts(invoice)) == [30, 50], bench.shop.paid_amounts(invoice)
    bench.expect_captured(order)


@case
def order_in_euro(bench):
    """an order in euro at a company in dollars, paid from a journal in dollars: 90 euro are captured"""
    pricelist = bench.odoo.create("product.pricelist", name="In euro", currency_id=currency(bench, "EUR", 0.9))
    order = bench.shop.order(90, pricelist_id=pricelist)
    bench.link(order, 90, currency_code="EUR", default_currency_code="EUR")
    invoice = bench.shop.invoice(order)
    dollars = bench.odoo.read("res.company", bench.odoo.read("sale.order", order, "company_id")[0], "currency_id")[0]
    bench.shop.register([invoice], currency_id=dollars, amount=100)
    assert bench.odoo.read("account.move", invoice, "payment_state") == "paid"
    bench.expect_captured(order)


@case
def cash_basis_tax(bench):
    """a tax that is due on payment: Odoo's entries for it come with the payment, and the total is captured"""
    company, = bench.odoo.search("res.company", limit=1)
    bench.odoo.call("res.company", "write", [company], {"tax_exigibility": True})
    account = bench.odoo.create("account.account", name="Tax to come", code="2099", account_type="liability_current",
                                reconcile=True)
    tax = bench.odoo.create("account.tax", name="10 % on payment", amount=10, tax_exigibility="on_payment",
                            cash_basis_transition_account_id=account)
    order = bench.shop.order(100, line={"tax_ids": [(6, 0, [tax])]})
    bench.link(order, 110)
    invoice = bench.shop.invoice(order)
    bench.shop.register([invoice], amount=55)
    bench.expect_nothing(order, "settled", "partial, 55.00 USD open")
    bench.shop.register([invoice])
    assert len(bench.odoo.search("account.move", ["tax_cash_basis_origin_move_id", "=", invoice])) == 2
    bench.expect_captured(order)
