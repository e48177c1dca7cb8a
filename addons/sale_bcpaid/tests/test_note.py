from unittest.mock import patch

import psycopg2

from odoo.tests import tagged
from odoo.tools import mute_logger

from .common import BcpaidCase


@tagged("post_install", "-at_install")
class TestNote(BcpaidCase):
    def setUp(self):
        super().setUp()
        self.notes = self.env["bcpaid.note"]
        self.notes._note_news()

    def messages(self, order):
        return order.message_ids.filtered(lambda message: "BigCommerce" in (message.body or ""))

    def test_success(self):
        order = self.order(218)
        self.capture(order, "applied", transaction_id="T-1", origin="button", requested_by="odoo for Marc",
                     captured_by="bcpaid", amount="69.84")
        self.assertEqual(self.notes._note_news(), 1)
        note = self.messages(order)
        self.assertEqual(len(note), 1)
        for words in ("Captured at BigCommerce", "69.84", order.currency_id.name, "T-1", "the button, Marc"):
            self.assertIn(words, note.body)
        self.assertEqual(note.subtype_id, self.env.ref("mail.mt_note"))
        self.assertFalse(order.activity_ids)

    def test_once(self):
        order = self.order(218)
        self.capture(order, "applied")
        self.assertEqual([self.notes._note_news() for _ in range(3)], [1, 0, 0])
        self.assertEqual(len(self.messages(order)), 1)

    def test_failures_have_an_activity(self):
        for number, (state, words) in enumerate((("refused", "refused"), ("held", "held"))):
            order = self.order(218 + number, user_id=self.salesman.id)
            capture = self.capture(order, state, reason="the store said <no>")
            self.notes._note_news()
            self.assertIn(words, self.messages(order).body)
            self.assertIn("the store said &lt;no&gt;", self.messages(order).body)
            self.assertEqual(order.activity_ids.user_id, self.salesman)
            order.activity_schedule("mail.mail_activity_data_todo", summary="Call the customer", user_id=self.salesman.id)
            self.history(capture, "applied")
            self.assertEqual(self.notes._note_news(), 1)
            self.assertEqual(order.activity_ids.mapped("summary"), ["Call the customer"])

    def test_taken_back(self):
        order = self.order(218, user_id=self.salesman.id)
        capture = self.capture(order, "applied")
        self.notes._note_news()
        self.history(capture, "applied", "the payment was taken back after the capture")
        self.assertEqual(self.notes._note_news(), 1)
        self.assertIn("taken back", self.messages(order)[0].body)
        self.assertEqual(order.activity_ids.user_id, self.salesman)
        self.history(capture, "applied", "the payment is there again")
        self.assertEqual(self.notes._note_news(), 0)

    def test_no_news(self):
        """Nothing of what is not ours, under way, or from before the addon was installed."""
        for number, state in enumerate(("not_ours", "cancelled", "queued", "waiting", "unknown", "captured")):
            self.capture(self.order(218 + number), state)
        old = self.order(250)
        self.env.cr.execute("DELETE FROM bcpaid_note WHERE history = 0")
        self.capture(old, "applied")
        self.env.cr.execute("INSERT INTO bcpaid_note (history, at) VALUES (0, clock_timestamp() AT TIME ZONE 'UTC')")
        self.assertEqual(self.notes._note_news(), 0)
        self.assertFalse(self.messages(old))

    def test_installed_with_a_position(self):
        self.assertEqual(self.value("SELECT count(*) FROM bcpaid_note WHERE history = 0"), 1)

    def test_late_news(self):
        """What committed late, with an earlier time than what was noted before, is noted too."""
        order, late = self.order(218), self.order(219)
        self.env.cr.execute("UPDATE bcpaid_note SET at = at - interval '1 day' WHERE history = 0")
        capture = self.capture(late, "queued")
        self.capture(order, "applied")
        self.assertEqual(self.notes._note_news(), 1)
        self.history(capture, "refused", "no", at=self.value("SELECT (now() - interval '10 minutes')::text"))
        self.assertEqual(self.notes._note_news(), 1)
        self.assertTrue(self.messages(late))

    def test_position_moves_and_forgets(self):
        self.env.cr.execute("UPDATE bcpaid_note SET at = at - interval '1 day' WHERE history = 0")
        capture = self.capture(self.order(218), "queued")
        self.history(capture, "refused", "no", at=self.value("SELECT (now() - interval '3 hours')::text"))
        self.assertEqual(self.notes._note_news(), 1)
        self.assertEqual(self.value("SELECT count(*) FROM bcpaid_note"), 1)
        self.assertEqual(self.notes._note_news(), 0)

    def test_second_note_is_impossible(self):
        capture = self.capture(self.order(218), "applied")
        self.notes._note_news()
        news = self.env["bcpaid.database"]._rows("SELECT * FROM bcpaid.news WHERE capture_id = %s", capture.id)[0]
        with self.assertRaises(psycopg2.errors.UniqueViolation), mute_logger("odoo.sql_db"), self.env.cr.savepoint():
            self.notes._note_one(dict(news, failures=None))

    def test_a_note_that_fails_stops_no_other(self):
        bad, good = self.order(218), self.order(219)
        self.capture(bad, "applied")
        self.capture(good, "applied")
        post = type(self.env["sale.order"]).message_post

        def refuse(self, **values):
            if self == bad:
                raise ValueError("not here")
            return post(self, **values)

        with patch.object(type(self.env["sale.order"]), "message_post", refuse), \
                mute_logger("odoo.addons.sale_bcpaid.models.bcpaid_note"):
            self.assertEqual(self.notes._note_news(), 1)
        self.assertFalse(self.messages(bad))
        self.assertEqual(len(self.messages(good)), 1)
        self.assertEqual([self.notes._note_news() for _ in range(2)], [1, 0])
        self.assertEqual(len(self.messages(bad)), 1)

    def test_a_note_that_never_succeeds_is_given_up(self):
        self.capture(self.order(218), "applied")
        with patch.object(type(self.env["sale.order"]), "message_post", side_effect=ValueError("not here")) as post, \
                mute_logger("odoo.addons.sale_bcpaid.models.bcpaid_note"):
            for _ in range(8):
                self.assertEqual(self.notes._note_news(), 0)
        self.assertEqual(post.call_count, 5)
