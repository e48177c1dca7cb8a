from odoo.exceptions import UserError
from odoo.tests import TransactionCase, tagged
from odoo.tools import file_open

from .common import BcpaidCase


class Guarded:
    """What must go on, whatever is wrong with the extension."""

    def assert_odoo_goes_on(self, banner):
        user = self.env.ref("base.user_admin")
        order = self.env["sale.order"].create({"partner_id": self.env["res.partner"].create({"name": "Customer"}).id})
        order.action_confirm()
        values, arch = self.form("sale.order", order, user)
        self.assertIn("action_bcpaid_mark", arch)
        self.assertIs(values["bcpaid_can_mark"], False)
        self.assertIn(banner, values["bcpaid_banner"])
        for situation in ("awaiting", "captured", "failed", "taken_back"):
            found = self.env["sale.order"].with_user(user).search([("bcpaid_situation", "=", situation)])
            self.assertNotIn(order, found)
        for model in ("bcpaid.capture", "bcpaid.store", "bcpaid.check", "bcpaid.history", "bcpaid.attempt"):
            self.env[model].with_user(user).web_search_read([], {"display_name": {}})
            self.env[model].with_user(user).get_views([(False, "list"), (False, "form"), (False, "search")])
        self.env["bcpaid.note"]._note_news()
        order.copy()
        order.with_user(user).action_bcpaid_why_not()
        with self.assertRaises(UserError):
            order.with_user(user).action_bcpaid_mark()
        order._action_cancel()

    def neutralize(self):
        with file_open("sale_bcpaid/data/neutralize.sql") as script:
            self.env.cr.execute(script.read())


@tagged("post_install", "-at_install")
class TestMissing(Guarded, TransactionCase):
    form = BcpaidCase.form

    def test_forms_open_and_say_so(self):
        self.assert_odoo_goes_on("not installed in this database")

    def test_neutralize(self):
        self.neutralize()

    def test_calls_are_refused_in_words(self):
        with self.assertRaisesRegex(UserError, "not installed"):
            self.env["bcpaid.store"].create({"name": "Store", "hash": "abc"})


@tagged("post_install", "-at_install")
class TestNotAttached(Guarded, TransactionCase):
    """As after DROP and CREATE EXTENSION, or before the first attach."""

    form = BcpaidCase.form

    def setUp(self):
        super().setUp()
        self.env.cr.execute("CREATE EXTENSION bcpaid")

    def test_forms_open_and_say_so(self):
        self.assert_odoo_goes_on("bcpaid is not attached")

    def test_neutralize(self):
        self.neutralize()


@tagged("post_install", "-at_install")
class TestBroken(Guarded, BcpaidCase):
    def test_older_extension(self):
        with self.an_older_extension():
            self.assert_odoo_goes_on("older than this addon")

    def test_column_gone(self):
        """An upgrade of Odoo took a column away."""
        self.env.cr.execute("ALTER TABLE sale_order DROP COLUMN bcpaid_payment_status")
        self.assert_odoo_goes_on("bcpaid_payment_status is gone")

    def test_environment_not_confirmed(self):
        values, _arch = self.form("sale.order", self.order(218), self.accountant)
        self.assertIn("environment is confirmed", values["bcpaid_banner"])

    def test_neutralize_pauses_the_stores(self):
        self.assertFalse(self.store.paused)
        self.neutralize()
        self.env.invalidate_all()
        self.assertTrue(self.store.paused)
