"""The shop of the cases: its orders, invoices and payments, made and paid through Odoo's own API.

An order here is made ready to be paid: confirmed, invoiced, posted. How it is paid is the case's.
"""

import itertools

# Runs inside one request of Odoo's, as a merchant's server action does. `gate` makes it stop before its
# commit (all SQL sent, nothing visible) until the case opens the gate; `fail` raises after everything is done.
PAY_IN_ACTION = """
context = env.context
wizard = env['account.payment.register'].with_context(active_model='account.move', active_ids=records.ids).create(
    {'journal_id': context['bcpaid_journal']})
wizard.action_create_payments()
env.flush_all()
if context.get('bcpaid_gate'):
    env.cr.execute('SELECT pg_advisory_xact_lock_shared(%s)', [context['bcpaid_gate']])
if context.get('bcpaid_fail'):
    raise UserError('refused after the payment was registered')
"""


class Shop:
    def __init__(self, odoo):
        self.odoo = odoo
        self._may("account.group_account_basic")
        self.customer = odoo.create("res.partner", name="Customer of the cases")
        self.product = odoo.create("product.product", name="Thing", type="service", invoice_policy="order",
                                   taxes_id=[(5,)])
        self.bank = self._journal("bank")
        self.cash = self._journal("cash")
        self._numbers = itertools.count(1)
        move_model = odoo.search("ir.model", ["model", "=", "account.move"])[0]
        self.pay_action = odoo.create("ir.actions.server", name="Pay", model_id=move_model, state="code",
                                      code=PAY_IN_ACTION)

    def _may(self, group):
        """Gives the user that group: bank statements are not among an administrator's own rights."""
        module, name = group.split(".")
        row, = self.odoo.search("ir.model.data", ["module", "=", module], ["name", "=", name])
        self.odoo.call("res.groups", "write", [self.odoo.read("ir.model.data", row, "res_id")],
                       {"user_ids": [(4, self.odoo.user)]})

    def _journal(self, kind):
        """A new journal of that kind, with an outstanding account: its payments get a journal entry."""
        journal = self.odoo.create("account.journal", name=f"Own {kind}", type=kind,
                                   code=f"OWN{kind[0]}".upper())
        account = self.odoo.create("account.account", name=f"Outstanding {kind}", code=f"1099{kind[0]}",
                                   account_type="asset_current", reconcile=True)
        lines = self.odoo.read("account.journal", journal, "inbound_payment_method_line_ids")
        self.odoo.call("account.payment.method.line", "write", lines, {"payment_account_id": account})
        return journal

    # --- Orders and invoices ------------------------------------------------------------------

    def order(self, *prices):
        """A confirmed order with one line per price. Returns its id."""
        lines = [(0, 0, {"product_id": self.product, "price_unit": price, "product_uom_qty": 1,
                         "tax_ids": [(5,)]}) for price in prices]
        order = self.odoo.create("sale.order", partner_id=self.customer, order_line=lines)
        self.odoo.call("sale.order", "action_confirm", [order])
        return order

    def invoice(self, order, percentage=None):
        """Invoices what is left of the order, or that down payment, and posts it. Returns its id."""
        before = self.odoo.read("sale.order", order, "invoice_ids")
        values = {"sale_order_ids": [(6, 0, [order])], "advance_payment_method": "delivered"}
        if percentage:
            values.update(advance_payment_method="percentage", amount=percentage)
        wizard = self.odoo.create("sale.advance.payment.inv", **values)
        self.odoo.call("sale.advance.payment.inv", "create_invoices", [wizard])
        move, = set(self.odoo.read("sale.order", order, "invoice_ids")) - set(before)
        self.odoo.call("account.move", "action_post", [move])
        return move

    def draft_credit_note(self, invoice):
        """The Credit Note dialog; leaves a draft that is linked to the order's lines."""
        context = {"active_model": "account.move", "active_ids": [invoice]}
        wizard = self.odoo.call("account.move.reversal", "create", {"journal_id": self.odoo.read(
            "account.move", invoice, "journal_id")[0]}, context=context)
        self.odoo.call("account.move.reversal", "refund_moves", [wizard], context=context)
        draft, = self.odoo.search("account.move", ["reversed_entry_id", "=", invoice])
        return draft

    # --- Payments -----------------------------------------------------------------------------

    def register(self, moves, journal=None, **values):
        """The Register Payment dialog, as the web client sends it: open, fill in, Create Payment."""
        context = {"active_model": "account.move", "active_ids": moves}
        values["journal_id"] = journal or self.bank
        wizard = self.odoo.call("account.payment.register", "create", values, context=context)
        self.odoo.call("account.payment.register", "action_create_payments", [wizard], context=context)

    def pay_in_action(self, moves, journal=None, **extra):
        """Pays in one request by the server action; extra: gate=, fail=."""
        context = {"active_model": "account.move", "active_ids": moves, "active_id": moves[0],
                   "bcpaid_journal": journal or self.bank}
        context.update({f"bcpaid_{name}": value for name, value in extra.items()})
        self.odoo.call("ir.actions.server", "run", [self.pay_action], context=context)

    def receive(self, amount):
        """A payment that belongs to no invoice yet. Returns its open credit line."""
        payment = self.odoo.create("account.payment", payment_type="inbound", partner_type="customer",
                                   partner_id=self.customer, amount=amount, journal_id=self.bank)
        self.odoo.call("account.payment", "action_post", [payment])
        return self._receivable_line(self.odoo.read("account.payment", payment, "move_id")[0])

    def assign(self, move, credit_line):
        """'Outstanding credits: Add' on the invoice."""
        self.odoo.call("account.move", "js_assign_outstanding_line", [move], credit_line)

    def take_back(self, move):
        """'Unreconcile' on the payment of the invoice: it is open again."""
        paid = self._receivable_line(move)
        partial, = self.odoo.search("account.partial.reconcile", ["debit_move_id", "=", paid])
        self.odoo.call("account.move", "js_remove_outstanding_partial", [move], partial)

    def bank_line(self, amount):
        """A line of the bank statement, not matched yet. Returns its journal entry."""
        line = self.odoo.create("account.bank.statement.line", journal_id=self.bank, amount=amount,
                                payment_ref="transfer", partner_id=self.customer)
        return self.odoo.read("account.bank.statement.line", line, "move_id")[0]

    def match(self, bank_move, invoice):
        """Matches the bank line with the invoice: the counterpart becomes receivable, then both reconcile."""
        receivable = self._receivable_line(invoice)
        account = self.odoo.read("account.move.line", receivable, "account_id")[0]
        suspense = self.odoo.read("account.journal", self.bank, "suspense_account_id")[0]
        counterpart, = self.odoo.search("account.move.line", ["move_id", "=", bank_move],
                                        ["account_id", "=", suspense])
        self.odoo.call("account.move.line", "write", [counterpart], {"account_id": account})
        self.odoo.call("account.move.line", "reconcile", [receivable, counterpart])

    def _receivable_line(self, move):
        line, = self.odoo.search("account.move.line", ["move_id", "=", move],
                                 ["account_type", "=", "asset_receivable"])
        return line
