"""Invoices that are not paid by a dialog after they were posted, or that are none of an order's."""

from cases import case

# What the payment page does when the provider says that the customer has paid.
PAID_ONLINE = """
transaction = env['payment.transaction'].browse(env.context['transaction'])
transaction.action_demo_set_done()
transaction._post_process()
"""


def pays_online(bench, amount, **documents):
    """A customer pays at the demo provider, by a payment link or in the portal. Returns the transaction."""
    provider = bench.odoo.by_name("payment.payment_provider_demo")
    bench.odoo.call("payment.provider", "write", [provider], {"state": "test", "journal_id": bench.shop.bank})
    # The mail to the customer would have the order as PDF, and nothing here makes PDFs.
    bench.odoo.call("mail.template", "write", [bench.odoo.by_name("sale.mail_template_sale_payment_executed")],
                    {"report_template_ids": [(5,)]})
    currency, = bench.odoo.search("res.currency", ["name", "=", "USD"])
    transaction = bench.odoo.create(
        "payment.transaction", provider_id=provider, amount=amount, currency_id=currency, partner_id=bench.shop.customer,
        payment_method_id=bench.odoo.read("payment.provider", provider, "payment_method_ids")[0],
        operation="online_direct", **{name: [(6, 0, rows)] for name, rows in documents.items()})
    bench.odoo.run(PAID_ONLINE, transaction=transaction)
    assert bench.odoo.read("payment.transaction", transaction, "payment_id"), "no payment was made"
    return transaction


@case
def paid_online(bench):
    """an invoice paid in the portal: the payment is made by a payment.transaction"""
    order = bench.order(100)
    invoice = bench.shop.invoice(order)
    pays_online(bench, 100, invoice_ids=[invoice])
    assert bench.odoo.read("account.move", invoice, "payment_state") == "paid"
    bench.expect_captured(order)


@case
def paid_online_first(bench):
    """an order paid online before there is an invoice: captured when the invoice is posted"""
    order = bench.order(100)
    pays_online(bench, 100, sale_order_ids=[order])
    bench.expect_nothing(order, "invoiced", "to invoice")
    draft = bench.shop.draft_invoice(order)
    bench.expect_nothing(order, "invoiced", "no posted invoice")
    bench.shop.post(draft)
    assert bench.odoo.read("account.move", draft, "payment_state") == "paid"
    bench.expect_captured(order)


@case
def paid_while_draft(bench):
    """a payment registered on a draft invoice: captured when the draft is posted"""
    order = bench.order(100)
    draft = bench.shop.draft_invoice(order)
    bench.shop.register([draft])
    bench.expect_nothing(order, "invoiced", "no posted invoice")
    bench.shop.post(draft)
    assert bench.odoo.read("account.move", draft, "payment_state") == "paid"
    bench.expect_captured(order)


@case
def zero_invoice(bench):
    """an order over nothing: Odoo shows its invoice as paid, but there is nothing to pay"""
    order = bench.order(0)
    invoice = bench.shop.invoice(order)
    assert bench.odoo.read("account.move", invoice, "payment_state") == "paid"
    bench.expect_nothing(order, "settled", "nothing to pay")


@case
def blocked_invoice(bench):
    """an invoice that somebody blocks stays blocked when it is paid: captured once the block is taken away"""
    order = bench.order(100)
    invoice = bench.shop.invoice(order)
    bench.odoo.call("account.move", "action_toggle_block_payment", [invoice])
    bench.shop.register([invoice])
    assert bench.odoo.read("account.move", invoice, "payment_state") == "blocked"
    bench.expect_nothing(order, "settled", "is blocked")
    bench.odoo.call("account.move", "action_toggle_block_payment", [invoice])
    bench.expect_captured(order)


@case
def receipt(bench):
    """a sales receipt, paid: it belongs to no order, and the store hears nothing"""
    before = bench.sandbox.report()["requests"], bench.database.value("SELECT count(*) FROM bcpaid.capture")
    move = bench.odoo.create("account.move", move_type="out_receipt", partner_id=bench.shop.customer, invoice_line_ids=[
        (0, 0, {"name": "Thing", "price_unit": 100, "quantity": 1, "tax_ids": [(5,)]})])
    bench.shop.register([bench.shop.post(move)])
    assert bench.odoo.read("account.move", move, "payment_state") == "paid"
    bench.wait_until_judged()
    after = bench.sandbox.report()["requests"], bench.database.value("SELECT count(*) FROM bcpaid.capture")
    assert after == before, (before, after)


@case
def delivered_in_parts(bench):
    """invoiced as delivered: nothing while one of two is paid, captured when the second is delivered and paid"""
    product = bench.shop.make_product(invoice_policy="delivery", service_type="manual")
    order = bench.shop.order(50, line={"product_id": product, "product_uom_qty": 2})
    bench.link(order, 100)
    bench.shop.change_line(order, 0, qty_delivered=1)
    bench.shop.register([bench.shop.invoice(order)])
    bench.expect_nothing(order, "invoiced", "invoice status is")
    bench.shop.change_line(order, 0, qty_delivered=2)
    bench.shop.register([bench.shop.invoice(order)])
    bench.expect_captured(order)
