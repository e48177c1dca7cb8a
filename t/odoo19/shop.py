"""The shop of the cases: its orders, invoices and payments, made and paid through Odoo's own API.

An order here is made ready to be paid: confirmed, invoiced, posted. How it is paid is the case's.
"""

# Runs inside one request of Odoo's, as a merchant's server action does. `gate` makes it stop before its
# commit (all SQL sent, nothing visible) until the case opens the gate; `fail` raises after everything is done.
PAY_IN_ACTION = """
context = env.context
wizard = env['account.payment.register'].with_context(active_model='account.move', active_ids=context['moves']).create(
    {'journal_id': context['journal']})
wizard.action_create_payments()
env.flush_all()
if context.get('gate'):
    env.cr.execute('SELECT pg_advisory_xact_lock_shared(%s)', [context['gate']])
if context.get('fail'):
    raise UserError('refused after the payment was registered')
"""


class Shop:
    def __init__(self, odoo, parent=None):
        """With the journals of its own company, or with those of the shop of the parent company."""
        self.odoo = odoo
        self.customer = odoo.create("res.partner", name="Customer of the cases")
        self.product = self.make_product()
        self.bank = parent.bank if parent else self.journal("bank")
        self.cash = parent.cash if parent else self.journal("cash")

    def make_product(self, **values):
        """A product without taxes, invoiced as ordered unless the values say otherwise."""
        return self.odoo.create("product.product", **{"name": "Thing", "type": "service", "invoice_policy": "order",
                                                      "taxes_id": [(5,)], **values})

    def journal(self, kind):
        """A new journal of that kind, with an outstanding account: its payments get a journal entry."""
        journal = self.odoo.create("account.journal", name=f"Own {kind}", type=kind, code=f"OWN{kind[0]}".upper())
        account = self.odoo.create("account.account", name=f"Outstanding {kind}", code=f"1099{kind[0]}",
                                   account_type="asset_current", reconcile=True)
        for way in ("inbound", "outbound"):
            lines = self.odoo.read("account.journal", journal, f"{way}_payment_method_line_ids")
            self.odoo.call("account.payment.method.line", "write", lines, {"payment_account_id": account})
        return journal

    # --- Orders and invoices ------------------------------------------------------------------

    def order(self, *prices, line=None, **values):
        """A confirmed order with one line per price. Returns its id."""
        lines = [(0, 0, {"product_id": self.product, "price_unit": price, "product_uom_qty": 1,
                         "tax_ids": [(5,)], **(line or {})}) for price in prices]
        order = self.odoo.create("sale.order", partner_id=self.customer, order_line=lines, **values)
        self.odoo.call("sale.order", "action_confirm", [order])
        return order

    def change_line(self, order, number, **values):
        """Changes a line of the order, counted from 0."""
        self.odoo.call("sale.order.line", "write", [self.odoo.read("sale.order", order, "order_line")[number]], values)

    def invoice(self, order, percentage=None):
        """Invoices what is left of the order, or that down payment, and posts it. Returns its id."""
        return self.post(self.draft_invoice(order, percentage=percentage))

    def draft_invoice(self, *orders, percentage=None):
        """The Create Invoice dialog for one order, or for several of one customer: one draft. Returns its id."""
        before = self.invoices(*orders)
        values = {"sale_order_ids": [(6, 0, orders)], "advance_payment_method": "delivered"}
        if percentage:
            values.update(advance_payment_method="percentage", amount=percentage)
        wizard = self.odoo.create("sale.advance.payment.inv", **values)
        self.odoo.call("sale.advance.payment.inv", "create_invoices", [wizard])
        move, = self.invoices(*orders) - before
        return move

    def invoices(self, *orders):
        """The invoices and credit notes that have a line of one of the orders."""
        return {move for order in orders for move in self.odoo.read("sale.order", order, "invoice_ids")}

    def post(self, move):
        self.odoo.call("account.move", "action_post", [move])
        return move

    def product_lines(self, move):
        return self.odoo.search("account.move.line", ["move_id", "=", move], ["display_type", "=", "product"], order="id")

    def draft_credit_note(self, invoice):
        """The Credit Note dialog; leaves a draft that is linked to the order's lines."""
        self._reverse(invoice, "refund_moves")
        draft, = self.odoo.search("account.move", ["reversed_entry_id", "=", invoice])
        return draft

    def replace(self, invoice):
        """The same dialog, 'Reverse and Create Invoice': the invoice is reversed, a new draft takes its place."""
        return self._reverse(invoice, "modify_moves")["res_id"]

    def _reverse(self, invoice, button):
        context = {"active_model": "account.move", "active_ids": [invoice]}
        wizard = self.odoo.call("account.move.reversal", "create", {"journal_id": self.odoo.read(
            "account.move", invoice, "journal_id")[0]}, context=context)
        return self.odoo.call("account.move.reversal", button, [wizard], context=context)

    # --- Payments -----------------------------------------------------------------------------

    def register(self, moves, journal=None, **values):
        """The Register Payment dialog, as the web client sends it: open, fill in, Create Payment."""
        context = {"active_model": "account.move", "active_ids": moves}
        values["journal_id"] = journal or self.bank
        wizard = self.odoo.call("account.payment.register", "create", values, context=context)
        self.odoo.call("account.payment.register", "action_create_payments", [wizard], context=context)

    def paid_amounts(self, invoice):
        """The amounts of the payments that were registered on the invoice, each in its own currency."""
        return [self.odoo.read("account.payment", payment, "amount")
                for payment in self.odoo.read("account.move", invoice, "matched_payment_ids")]

    def pay_in_action(self, moves, journal=None, **extra):
        """Pays in one request by the server action; extra: gate=, fail=."""
        self.odoo.run(PAY_IN_ACTION, moves=moves, journal=journal or self.bank, **extra)

    def receive(self, amount):
        """A payment that belongs to no invoice yet. Returns its open credit line."""
        payment = self.odoo.create("account.payment", payment_type="inbound", partner_type="customer",
                                   partner_id=self.customer, amount=amount, journal_id=self.bank)
        self.odoo.call("account.payment", "action_post", [payment])
        return self.receivable_line(self.odoo.read("account.payment", payment, "move_id")[0])

    def assign(self, move, credit_line):
        """'Outstanding credits: Add' on the invoice."""
        self.odoo.call("account.move", "js_assign_outstanding_line", [move], credit_line)

    def take_back(self, move):
        """'Unreconcile' on the payment of the invoice: it is open again."""
        paid = self.receivable_line(move)
        partial, = self.odoo.search("account.partial.reconcile", ["debit_move_id", "=", paid])
        self.odoo.call("account.move", "js_remove_outstanding_partial", [move], partial)

    def payment_line(self, move):
        """The credit line that the invoice is reconciled with."""
        partial, = self.odoo.search("account.partial.reconcile", ["debit_move_id", "=", self.receivable_line(move)])
        return self.odoo.read("account.partial.reconcile", partial, "credit_move_id")[0]

    def bank_line(self, amount):
        """A line of the bank statement, not matched yet. Returns its journal entry."""
        line = self.odoo.create("account.bank.statement.line", journal_id=self.bank, amount=amount,
                                payment_ref="transfer", partner_id=self.customer)
        return self.odoo.read("account.bank.statement.line", line, "move_id")[0]

    def match(self, bank_move, invoice):
        """Matches the bank line with the invoice: the counterpart becomes receivable, then both reconcile."""
        receivable = self.receivable_line(invoice)
        account = self.odoo.read("account.move.line", receivable, "account_id")[0]
        suspense = self.odoo.read("account.journal", self.bank, "suspense_account_id")[0]
        counterpart, = self.odoo.search("account.move.line", ["move_id", "=", bank_move],
                                        ["account_id", "=", suspense])
        self.odoo.call("account.move.line", "write", [counterpart], {"account_id": account})
        self.odoo.call("account.move.line", "reconcile", [receivable, counterpart])

    def receivable_line(self, move):
        line, = self.odoo.search("account.move.line", ["move_id", "=", move],
                                 ["account_type", "=", "asset_receivable"])
        return line
