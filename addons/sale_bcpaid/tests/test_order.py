from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from .common import BcpaidCase


@tagged("post_install", "-at_install")
class TestOrder(BcpaidCase):
    def test_button_is_there_when_paid(self):
        paid, unpaid, unlinked = self.paid_order(218), self.order(219), self.paid_order()
        orders = (paid + unpaid + unlinked).with_user(self.accountant)
        self.assertEqual(orders.mapped("bcpaid_can_mark"), [True, False, False])
        self.assertEqual(orders.mapped("bcpaid_situation"), ["awaiting", "awaiting", False])

    def test_button_is_for_the_group(self):
        order = self.paid_order(218)
        self.assertFalse(order.with_user(self.salesman).bcpaid_can_mark)
        with self.assertRaises(AccessError):
            order.with_user(self.salesman).action_bcpaid_mark()
        _values, arch = self.form("sale.order", order, self.salesman)
        self.assertNotIn("action_bcpaid_mark", arch)
        self.assertNotIn("action_bcpaid_why_not", arch)

    def test_button_needs_the_right_to_write(self):
        """In the group, but the order is another company's, or a rule forbids to write it."""
        order = self.paid_order(218)
        self.env["ir.rule"].create({
            "name": "nobody writes", "model_id": self.env.ref("sale.model_sale_order").id,
            "perm_read": False, "perm_create": False, "perm_unlink": False, "domain_force": [("id", "=", 0)]})
        self.assertFalse(order.with_user(self.accountant).bcpaid_can_mark)
        with self.assertRaises(AccessError):
            order.with_user(self.accountant).action_bcpaid_mark()
        self.assertEqual(self.value("SELECT count(*) FROM bcpaid.captures"), 0)

    def test_other_company(self):
        other = self.env["res.company"].create({"name": "Other"})
        stranger = self.user("stranger", "account.group_account_invoice", company=other)
        order = self.paid_order(218)
        with self.assertRaises(AccessError):
            order.with_user(stranger).action_bcpaid_mark()
        with self.assertRaises(AccessError):
            order.with_user(stranger).action_bcpaid_why_not()
        with self.assertRaises(AccessError):
            order.with_user(stranger).bcpaid_follow()

    def test_mark(self):
        order = self.paid_order(218).with_user(self.accountant)
        self.assertTrue(order.bcpaid_can_mark)
        self.assertIs(order.action_bcpaid_mark(), True)
        capture = order.env["bcpaid.capture"].search([("order_id", "=", order.id)])
        self.assertEqual(capture.state, "queued")
        self.assertEqual((capture.amount, capture.remote_order), (100, "218"))
        self.assertRegex(capture.requested_by, " for Accountant$")
        self.assertFalse(order.bcpaid_can_mark)
        self.assertEqual(order.bcpaid_situation, "under_way")
        self.assertEqual(order.bcpaid_capture_count, 1)
        self.assertEqual(order.bcpaid_follow(), {"done": False, "text": "Being Captured"})

    def test_mark_is_refused_with_the_condition(self):
        order = self.order(218)
        with self.assertRaisesRegex(UserError, "(?s)cannot be marked as paid.*not met: .*invoice status") as caught:
            order.with_user(self.accountant).action_bcpaid_mark()
        self.assertNotIn("SELECT", str(caught.exception))

    def test_mark_sees_what_this_request_changed(self):
        """Values that are not flushed yet count."""
        order = self.paid_order(218)
        self.assertTrue(order.with_user(self.accountant).bcpaid_can_mark)
        order.invalidate_recordset()
        order.state = "cancel"
        self.assertFalse(order.with_user(self.accountant).bcpaid_can_mark)

    def test_what_it_waits_for(self):
        order = self.order(218)
        self.capture(order, "waiting", reason="the store answered 503")
        self.assertEqual(order.bcpaid_follow(), {"done": False, "text": "Being Captured: the store answered 503"})

    def test_followed_until_odoo_shows_it(self):
        """Captured at the store, and the order's own row is not written yet: a form read now would stay without the status."""
        order = self.order(218)
        self.capture(order, "captured")
        self.assertEqual(order.bcpaid_follow(), {"done": False, "text": "Captured"})
        values, _arch = self.form("sale.order", order, self.accountant)
        self.assertEqual((values["bcpaid_situation"], values["bcpaid_capture_state"]), ("captured", "captured"))
        applied = self.order(219)
        self.capture(applied, "applied")
        self.assertEqual(applied.bcpaid_follow(), {"done": True, "text": "Captured"})

    def test_why_it_failed(self):
        """In the form of those who may do something about it."""
        order = self.order(218)
        self.capture(order, "refused", reason="the store said no")
        values, arch = self.form("sale.order", order, self.accountant)
        self.assertEqual(values["bcpaid_reason"], "the store said no")
        _values, arch = self.form("sale.order", order, self.salesman)
        self.assertNotIn('name="bcpaid_reason"', arch)

    def test_why_not(self):
        action = self.order(218).with_user(self.accountant).action_bcpaid_why_not()
        answer = self.env["bcpaid.answer"].browse(action["res_id"])
        self.assertIn("Fully invoiced", answer.body)
        self.assertIn("invoice status is", answer.body)
        self.assertIn("remote order 218", answer.body)

    def test_unsaved_order(self):
        order = self.env["sale.order"].new({"partner_id": self.customer.id})
        self.assertFalse(order.bcpaid_can_mark)
        self.assertFalse(order.bcpaid_linked_order)

    # --- The link -------------------------------------------------------------------------------

    def columns(self, order):
        self.env.cr.execute("SELECT bcpaid_store_id, bcpaid_remote_order_id, bcpaid_payment_status"
                            " FROM sale_order WHERE id = %s", [order.id])
        return self.env.cr.fetchone()

    def test_link_is_written_to_the_profile(self):
        order = self.order("0218")
        self.assertEqual(self.columns(order), (self.store.id, "0218", None))
        self.assertEqual(order.bcpaid_linked_order, "218")
        order.write({"bcpaid_linked_order": "219"})
        self.assertEqual(self.columns(order), (self.store.id, "219", None))
        self.assertEqual(order.bcpaid_linked_store_id, self.store)
        order.write({"bcpaid_linked_store_id": False, "bcpaid_linked_order": False})
        self.assertEqual(self.columns(order), (None, None, None))

    def test_link_at_creation(self):
        order = self.env["sale.order"].create({
            "partner_id": self.customer.id, "bcpaid_linked_store_id": self.store.id, "bcpaid_linked_order": "218"})
        self.assertEqual(self.columns(order), (self.store.id, "218", None))

    def test_wrong_link(self):
        with self.assertRaisesRegex(UserError, "no order number"), self.env.cr.savepoint():
            self.order("abc")

    def test_duplicate_carries_nothing(self):
        order = self.paid_order(218)
        self.env.cr.execute("UPDATE sale_order SET bcpaid_payment_status = 'Captured' WHERE id = %s", [order.id])
        copy = order.copy()
        self.assertEqual(self.columns(copy), (None, None, None))
        self.assertEqual((copy.bcpaid_linked_order, copy.bcpaid_status, copy.bcpaid_situation), (False, False, False))

    def test_no_field_has_a_column(self):
        """What the addon's uninstall would take with it."""
        ours = [field for name, field in self.env["sale.order"]._fields.items() if name.startswith("bcpaid_")]
        self.assertGreater(len(ours), 5)
        self.assertEqual([field.name for field in ours if field.store], [])
        self.assertEqual([field.name for field in ours if field.copy], [])
