from contextlib import contextmanager
from unittest.mock import patch

from odoo.tests import TransactionCase

from odoo.addons.sale_bcpaid.models import bcpaid_database

HASH = "testhash"


class BcpaidCase(TransactionCase):
    """Odoo with bcpaid in it, made in the transaction of the tests, which nothing outside of it ever sees.

    The store is there before attach: so the environment is not confirmed, as after a restore, and Odoo's role may
    write captures in every state into the ledger, which otherwise only bcpaid does.
    """

    profile = "native"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env.cr.execute("CREATE EXTENSION bcpaid")
        cls.before_attach()
        cls.env.cr.execute("SELECT bcpaid.attach(%s)", [cls.profile])
        cls.company = cls.env.company
        cls.customer = cls.env["res.partner"].create({"name": "Customer"})
        cls.product = cls.env["product.product"].create(
            {"name": "Thing", "type": "service", "invoice_policy": "order", "taxes_id": [(5,)]})
        cls.accountant = cls.user("accountant", "account.group_account_invoice")
        cls.salesman = cls.user("salesman", "sales_team.group_sale_salesman_all_leads")
        cls.administrator = cls.user(
            "administrator", "account.group_account_manager", "sales_team.group_sale_manager")

    @classmethod
    def before_attach(cls):
        cls.env.cr.execute(
            "INSERT INTO bcpaid.store (id, name, hash, mark_order_as_paid)"
            " VALUES (nextval('bcpaid.store_id_seq'), 'Store', %s, true) RETURNING id", [HASH])
        cls.store = cls.env["bcpaid.store"].browse(cls.env.cr.fetchone()[0])

    @classmethod
    def user(cls, login, *groups, company=None):
        company = company or cls.env.company
        user = cls.env["res.users"].create({
            "name": login.title(), "login": login, "email": f"{login}@example.com",
            "company_id": company.id, "company_ids": [(6, 0, company.ids)]})
        for group in groups:
            field = "group_ids" if "group_ids" in user._fields else "groups_id"
            user.write({field: [(4, cls.env.ref(group).id)]})
        return user

    # --- Orders ---------------------------------------------------------------------------------

    def order(self, remote=None, price=100, **values):
        """A confirmed order, linked where a remote order is named."""
        order = self.env["sale.order"].create({
            "partner_id": self.customer.id, **values,
            "order_line": [(0, 0, {"product_id": self.product.id, "price_unit": price, "product_uom_qty": 1,
                                   "tax_ids" if "tax_ids" in self.env["sale.order.line"]._fields else "tax_id": [(5,)]})]})
        order.action_confirm()
        if remote:
            order.write({"bcpaid_linked_store_id": self.store.id, "bcpaid_linked_order": str(remote)})
        return order

    def paid_order(self, remote=None, **values):
        order = self.order(remote, **values)
        invoice = order._create_invoices()
        invoice.action_post()
        self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=invoice.ids).create({})._create_payments()
        # Community's payments in process leave an invoice in_payment or paid; both are accepted.
        self.assertIn(invoice.payment_state, ("paid", "in_payment"))
        return order

    def capture(self, order, state, **values):
        """A capture as bcpaid might have left it, with a row of history. Returns its record."""
        values = {
            "store_hash": HASH, "remote_order_id": int(order.bcpaid_linked_order or order.id), "order_id": order.id,
            "store_id": self.store.id, "state": state, "origin": "payment", "requested_by": "bcpaid", "marker": "m",
            "amount": 100, "currency": order.currency_id.name, **values}
        names = ", ".join(values)
        self.env.cr.execute(
            f"INSERT INTO bcpaid.capture ({names}) VALUES ({', '.join(['%s'] * len(values))}) RETURNING id",
            list(values.values()))
        capture = self.env["bcpaid.capture"].browse(self.env.cr.fetchone()[0])
        self.history(capture, state, values.get("reason"))
        self.env.invalidate_all()
        return capture

    def history(self, capture, state, reason=None, at="infinity"):
        self.env.cr.execute(
            "INSERT INTO bcpaid.history (capture_id, at, state, reason, by)"
            " VALUES (%s, CASE %s WHEN 'infinity' THEN clock_timestamp() ELSE %s::timestamptz END, %s, %s, 'worker')",
            [capture.id, at, at, state, reason])

    def value(self, query, *params):
        self.env.cr.execute(query, params)
        return self.env.cr.fetchone()[0]

    @contextmanager
    def an_older_extension(self):
        """The addon wants a call that this extension has not."""
        with patch.object(bcpaid_database, "CALLS", (*bcpaid_database.CALLS, "call_of_a_later_version")):
            yield
            self.env.invalidate_all()

    def form(self, model, record, user=None):
        """Opens the form as the web client does: its view, then what it reads. Returns values and arch."""
        model = self.env[model].with_user(user or self.env.user)
        views = model.get_views([(False, "form"), (False, "list"), (False, "search")])
        arch = views["views"]["form"]["arch"]
        shown = {name: {} for name in model._fields if f'<field name="{name}"' in arch}
        return model.browse(record.id).web_read(shown)[0], arch
