from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from .common import BcpaidCase


@tagged("post_install", "-at_install")
class TestStore(BcpaidCase):
    def setUp(self):
        super().setUp()
        self.own = self.store.with_user(self.administrator)

    def test_form_saves(self):
        self.own.write({
            "name": "Renamed", "payment_states": "paid", "offline_methods": "Cash\nCheck\n", "tolerance": 0.5,
            "strategy": "status", "quota_reserve": 0.25, "mark_order_as_paid": False})
        self.env.cr.execute("SELECT name, hash, payment_states, offline_methods, tolerance, strategy, quota_reserve,"
                            " mark_order_as_paid FROM bcpaid.stores WHERE id = %s", [self.store.id])
        self.assertEqual(self.env.cr.fetchone(), (
            "Renamed", "testhash", ["paid"], ["Cash", "Check"], 0.5, "status", 0.25, False))
        self.assertEqual((self.own.payment_states, self.own.offline_methods), ("paid", "Cash\nCheck"))
        values, _arch = self.form("bcpaid.store", self.store, self.administrator)
        self.assertEqual(values["name"], "Renamed")

    def test_names(self):
        """One that has none goes by its number; one that is being made has neither."""
        unnamed = self.env["bcpaid.store"].with_user(self.administrator).create({"hash": "abc"})
        self.assertEqual((self.store.display_name, unnamed.display_name), ("Store", f"Store {unnamed.id}"))
        self.assertFalse(unnamed.new({}).display_name)

    def test_one_setting_leaves_the_others(self):
        before = self.own.read(["hash", "strategy", "mark_order_as_paid", "payment_states"])
        self.own.write({"name": "Renamed"})
        self.assertEqual(self.own.read(["hash", "strategy", "mark_order_as_paid", "payment_states"]), before)

    def test_new_store(self):
        store = self.env["bcpaid.store"].with_user(self.administrator).create(
            {"name": "Second", "hash": "ABC123", "token": "secret-token"})
        self.assertNotEqual(store, self.store)
        self.assertEqual((store.hash, store.mark_order_as_paid, store.has_token), ("abc123", False, True))

    def test_new_form_leaves_the_defaults(self):
        """What the web client sends for a form in which only the name and the hash were typed."""
        store = self.env["bcpaid.store"].with_user(self.administrator).create({
            "name": "Second", "hash": "abc", "tolerance": 0, "quota_reserve": 0, "offline_methods": False, "strategy": False,
            "payment_states": False, "mark_order_as_paid": False, "token": False, "connector_id": 0})
        self.env.cr.execute("SELECT tolerance, quota_reserve > 0, cardinality(offline_methods) > 3, strategy, cardinality(payment_states),"
                            " mark_order_as_paid FROM bcpaid.stores WHERE id = %s", [store.id])
        self.assertEqual(self.env.cr.fetchone(), (None, True, True, "transaction", 2, False))
        store.write({"tolerance": 0})
        self.assertTrue(store.has_own_tolerance)

    def test_bad_settings_are_refused_in_words(self):
        for values, words in (({"hash": "no hash!"}, "Invalid store hash"), ({"tolerance": -1}, "out of range"),
                              ({"quota_reserve": 1}, "out of range")):
            with self.assertRaisesRegex(UserError, words), self.env.cr.savepoint():
                self.own.write(values)

    def test_token_goes_in_and_never_comes_out(self):
        with self.assertLogs("odoo.sql_db", "DEBUG") as logs:
            self.own.write({"token": " secret-token "})
            self.env["bcpaid.store"].search([])
        self.assertNotIn("secret-token", "".join(logs.output))
        self.assertTrue(self.own.has_token)
        self.assertFalse(self.own.token)
        self.env.invalidate_all()
        self.assertFalse(self.own.read(["token"])[0]["token"])

    def test_bad_token(self):
        for token in ("two words", "tab\tin", "back\\slash\nline", "é"):
            with self.assertRaisesRegex(UserError, "(?i)invalid access token") as caught, self.env.cr.savepoint():
                self.own.write({"token": token})
            self.assertNotIn(token, str(caught.exception))
        self.own.write({"token": "back\\slash"})
        self.assertTrue(self.own.has_token)

    def test_who_may(self):
        with self.assertRaises(AccessError):
            self.store.with_user(self.accountant).write({"name": "Renamed"})
        with self.assertRaises(AccessError):
            self.store.with_user(self.accountant).action_pause()
        with self.assertRaises(AccessError):
            self.store.with_user(self.accountant).read(["token"])
        with self.assertRaises(AccessError):
            self.store.with_user(self.accountant).create({"name": "New", "hash": "abc"})
        self.assertEqual(self.store.with_user(self.salesman).display_name, "Store")
        with self.assertRaises(UserError):
            self.own.unlink()

    def test_pause_and_resume(self):
        self.own.token = "token"
        self.own.action_pause()
        self.assertTrue(self.own.paused)
        self.assertIn("paused", self.own.banner)
        self.own.action_resume()
        self.assertFalse(self.own.paused)

    def test_retry_all(self):
        capture = self.capture(self.order(218), "refused")
        self.own.action_retry_all()
        self.env.invalidate_all()
        self.assertEqual(capture.state, "queued")

    def test_test_is_refused_where_nothing_may_be_sent(self):
        with self.assertRaisesRegex(UserError, "(?s)Cannot test store.*not confirmed|library"):
            self.own.action_test()

    def test_who_has_which_menu(self):
        menus = {name: self.env.ref(f"sale_bcpaid.menu_{name}") for name in (
            "bcpaid", "capture", "capture_failed", "store", "check")}

        def seen_by(user):
            visible = self.env["ir.ui.menu"].with_user(user)._visible_menu_ids()
            return {name for name, menu in menus.items() if menu.id in visible}

        self.assertEqual(seen_by(self.salesman), set())
        self.assertEqual(seen_by(self.accountant), {"bcpaid", "capture", "capture_failed", "store"})
        self.assertEqual(seen_by(self.administrator), set(menus))

    def test_lists_warn(self):
        """What stands above the lists of the menu where nothing can be sent; it is for those who have the menu."""
        checks = self.env["bcpaid.check"]
        banner = checks.with_user(self.accountant).banner()
        self.assertIn("until the environment is confirmed, in the form of a store", banner)
        self.assertIn("Store: no access token", banner)
        self.assertNotIn("SELECT", banner)
        self.assertFalse(checks.with_user(self.salesman).banner())
        for model in ("bcpaid.capture", "bcpaid.store"):
            arch = self.env[model].with_user(self.accountant).get_views([(False, "list")])["views"]["list"]["arch"]
            self.assertIn('js_class="bcpaid_list"', arch)

    def test_banner_and_checks(self):
        self.assertIn("environment", self.own.banner)
        self.assertTrue(self.own.is_unconfirmed)
        checks = self.env["bcpaid.check"].with_user(self.administrator).search([])
        self.assertIn(("attached", True), checks.mapped(lambda check: (check.name, check.ok)))
        self.assertIn(("environment", False), checks.mapped(lambda check: (check.name, check.ok)))
        self.own.action_confirm_environment()
        self.assertFalse(self.own.is_unconfirmed)
        self.assertNotIn("environment", self.own.banner or "")
