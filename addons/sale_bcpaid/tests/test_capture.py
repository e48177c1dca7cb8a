import psycopg2

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from .common import BcpaidCase


@tagged("post_install", "-at_install")
class TestCapture(BcpaidCase):
    def setUp(self):
        super().setUp()
        self.held = self.capture(self.order(218), "held", reason="the amount differs").with_user(self.accountant)

    def test_fields(self):
        self.env.cr.execute("INSERT INTO bcpaid.attempt (capture_id, purpose, requests, status, took_ms, outcome)"
                            " VALUES (%s, 'look', 2, 200, 12, 'held')", [self.held.id])
        self.env.invalidate_all()
        self.assertEqual(self.held.display_name, f"{self.held.order_id.name} 218")
        self.assertEqual(self.held.currency_id, self.company.currency_id)
        self.assertEqual((self.held.amount, self.held.reason, self.held.store_id), (100, "the amount differs", self.store))
        self.assertEqual(self.held.history_ids.mapped("state"), ["held"])
        self.assertEqual(self.held.attempt_ids.mapped(lambda one: (one.purpose, one.status)), [("look", 200)])
        self.form("bcpaid.capture", self.held, self.accountant)

    def test_who_sees(self):
        with self.assertRaises(AccessError):
            self.env["bcpaid.capture"].with_user(self.salesman).search([])
        other = self.env["res.company"].create({"name": "Other"})
        stranger = self.user("stranger", "account.group_account_invoice", company=other)
        for model in ("bcpaid.capture", "bcpaid.history"):
            self.assertTrue(self.env[model].with_user(self.accountant).search([]))
            self.assertFalse(self.env[model].with_user(stranger).search([]))
        with self.assertRaises(AccessError):
            self.held.with_user(stranger).read(["state"])
        with self.assertRaises(AccessError):
            self.held.with_user(stranger).action_approve()
        self.assertEqual(self.held.state, "held")

    def test_company_that_is_not_flushed(self):
        """_depends: a change of the order's company counts at once."""
        other = self.env["res.company"].create({"name": "Other"})
        order = self.order(219)
        capture = self.capture(order, "held")
        self.assertIn(capture, self.env["bcpaid.capture"].with_user(self.accountant).search([]))
        # Without Odoo's own checks of a company that changes: only whether the value in memory counts.
        self.env.cache.update(order, order._fields["company_id"], [other.id], dirty=True)
        self.assertNotIn(capture, self.env["bcpaid.capture"].with_user(self.accountant).search([]))

    def test_nobody_writes_through_odoo(self):
        for call in (lambda: self.held.write({"state": "applied"}), self.held.unlink,
                     lambda: self.held.create({"state": "applied"})):
            with self.assertRaises(UserError):
                call()
        self.assertEqual(self.held.state, "held")

    def test_approve_cancel_retry(self):
        self.held.action_approve()
        self.assertEqual(self.held.state, "queued")
        self.assertEqual(self.held.history_ids[0].reason, "approved")
        self.assertRegex(self.held.history_ids[0].by, " for Accountant$")
        self.held.action_cancel()
        self.assertEqual(self.held.state, "cancelled")
        self.held.action_retry()
        self.assertEqual(self.held.state, "queued")

    def test_refusal_in_words(self):
        done = self.capture(self.order(219), "applied").with_user(self.accountant)
        with self.assertRaisesRegex(UserError, "(?s)Cannot retry capture.*It is applied"):
            done.action_retry()

    def test_many(self):
        refused = self.capture(self.order(219), "refused")
        done = self.capture(self.order(220), "applied")
        action = (self.held + refused + done).with_user(self.accountant).action_retry()
        self.assertEqual((self.held.state, refused.state, done.state), ("queued", "queued", "applied"))
        answer = self.env["bcpaid.answer"].browse(action["res_id"])
        self.assertEqual(answer.title, "Done for 2 of 3 captures")
        self.assertIn("It is applied", answer.body)
        self.assertIn(done.order_id.name, answer.body)

    def test_all_of_many(self):
        """Nobody needs a dialog that says yes."""
        refused = self.capture(self.order(219), "refused")
        self.assertIs((self.held + refused).with_user(self.accountant).action_retry(), True)
        self.assertEqual((self.held + refused).mapped("state"), ["queued", "queued"])

    def test_follow(self):
        self.assertEqual(self.held.bcpaid_follow(), {"done": True, "text": "Held"})
        self.held.action_approve()
        self.assertEqual(self.held.bcpaid_follow(), {"done": False, "text": "Queued"})
        with self.assertRaises(AccessError):
            self.held.with_user(self.salesman).bcpaid_follow()

    def test_settle_by_hand(self):
        action = self.held.action_settle()
        wizard = self.env["bcpaid.settle"].with_user(self.accountant).with_context(**action["context"]).create(
            {"reason": "Marc, in the control panel"})
        wizard.action_settle()
        self.assertEqual(self.held.state, "captured")
        self.assertEqual(self.held.captured_by, "hand")
        self.assertEqual(self.held.history_ids[0].reason, "Marc, in the control panel")

    def test_order_is_gone(self):
        order = self.order()
        capture = self.capture(order, "refused", remote_order_id=230)
        order._action_cancel()
        order.unlink()
        self.env.invalidate_all()
        self.assertFalse(capture.order_id)
        self.assertEqual(capture.display_name, "230")

    def test_retry_of_a_serialization_failure_is_odoos(self):
        """Only refusals become words: what Odoo repeats a request for must come through as it is."""
        with self.assertRaises(psycopg2.errors.SerializationFailure), self.env.cr.savepoint():
            self.env["bcpaid.database"]._run(lambda cr: cr.execute(
                "DO $$ BEGIN RAISE EXCEPTION 'could not serialize' USING ERRCODE = '40001'; END $$",
                log_exceptions=False))
