"""Every way to pay in Odoo that ends in a paid invoice, one at a time."""

from cases import case


@case
def full_payment(bench):
    """one invoice, paid in full by the Register Payment dialog"""
    order = bench.order(100)
    bench.shop.register([bench.shop.invoice(order)])
    bench.expect_captured(order)


@case
def cash_payment(bench):
    """the same from the cash journal, with an odd amount"""
    order = bench.order(69.84)
    bench.shop.register([bench.shop.invoice(order)], journal=bench.shop.cash)
    bench.expect_captured(order)


@case
def part_payments(bench):
    """two part payments: nothing after the first, captured after the second"""
    order = bench.order(100)
    invoice = bench.shop.invoice(order)
    bench.shop.register([invoice], amount=40)
    bench.expect_nothing(order)
    bench.shop.register([invoice])
    bench.expect_captured(order)


@case
def write_off(bench):
    """95 received and 5 written off settle 100, and 100 are captured"""
    order = bench.order(100)
    account, = bench.odoo.search("account.account", ["account_type", "=", "expense"], limit=1)
    bench.shop.register([bench.shop.invoice(order)], amount=95, payment_difference_handling="reconcile",
                        writeoff_account_id=account)
    bench.expect_captured(order)


@case
def bank_statement(bench):
    """a bank statement line matched with the invoice: no payment record at all"""
    order = bench.order(100)
    invoice = bench.shop.invoice(order)
    bank_move = bench.shop.bank_line(100)
    bench.expect_nothing(order)
    bench.shop.match(bank_move, invoice)
    bench.expect_captured(order)


@case
def credit_assigned(bench):
    """an open credit of the customer assigned to the invoice later"""
    order = bench.order(100)
    invoice = bench.shop.invoice(order)
    credit_line = bench.shop.receive(100)
    bench.expect_nothing(order)
    bench.shop.assign(invoice, credit_line)
    bench.expect_captured(order)


@case
def down_payment(bench):
    """a down payment and the final invoice, paid one after the other"""
    order = bench.order(200)
    bench.shop.register([bench.shop.invoice(order, percentage=30)])
    bench.expect_nothing(order)
    final = bench.shop.invoice(order)
    bench.expect_nothing(order)
    bench.shop.register([final])
    bench.expect_captured(order)


@case
def full_down_payment(bench):
    """a down payment of 100 %: captured when the zero final invoice is posted"""
    order = bench.order(80)
    bench.shop.register([bench.shop.invoice(order, percentage=100)])
    bench.expect_nothing(order)
    bench.shop.invoice(order)
    bench.expect_captured(order)


@case
def draft_deleted(bench):
    """an invoice paid beside a draft credit note: captured when the draft is deleted"""
    order = bench.order(100)
    invoice = bench.shop.invoice(order)
    draft = bench.shop.draft_credit_note(invoice)
    bench.shop.register([invoice])
    bench.expect_nothing(order)
    bench.odoo.call("account.move", "unlink", [draft])
    bench.expect_captured(order, measured=False)


@case
def linked_after_payment(bench):
    """an order that gets its BigCommerce ID only after it was paid"""
    order = bench.shop.order(100)
    bench.shop.register([bench.shop.invoice(order)])
    bench.link(order, 100)
    bench.expect_captured(order, measured=False)


@case
def group_payment_of_three_orders(bench):
    """one group payment of three invoices of three orders: three captures"""
    orders = [bench.order(price) for price in (100, 20.5, 3)]
    bench.shop.register([bench.shop.invoice(order) for order in orders], group_payment=True)
    for order in orders:
        bench.expect_captured(order)


@case
def group_payment_of_one_order(bench):
    """one group payment of three invoices of one order: one capture"""
    order = bench.order(120)
    invoices = [bench.shop.invoice(order, percentage=25), bench.shop.invoice(order, percentage=25),
                bench.shop.invoice(order)]
    bench.expect_nothing(order)
    bench.shop.register(invoices, group_payment=True)
    bench.expect_captured(order)


@case
def order_of_nobody(bench):
    """an order without a BigCommerce ID, paid: nothing happens"""
    order = bench.shop.order(100)
    bench.shop.register([bench.shop.invoice(order)])
    bench.expect_nothing(order)
