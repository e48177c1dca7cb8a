from odoo.tests import tagged

from ..models.ir_ui_view import with_trees
from .common import BcpaidCase


@tagged("post_install", "-at_install")
class TestList(BcpaidCase):
    """The list of orders: filters, one query a page, many marked at once."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.captured_status = "UPDATE sale_order SET bcpaid_payment_status = 'Captured' WHERE id = %s"

    def of_each_situation(self):
        orders = {name: self.order(200 + number) for number, name in enumerate((
            "awaiting", "under_way", "captured", "taken_back", "refused", "held", "not_ours", "cancelled", "by_others"))}
        orders["unlinked"] = self.order()
        self.capture(orders["under_way"], "waiting")
        self.capture(orders["captured"], "applied")
        self.capture(orders["taken_back"], "applied", taken_back_at="2026-01-01")
        for state in ("refused", "held", "not_ours", "cancelled"):
            self.capture(orders[state], state)
        self.env.cr.execute(self.captured_status, [orders["by_others"].id])
        return orders

    def test_filters(self):
        orders = self.of_each_situation()
        expected = {
            ("awaiting",): ("awaiting", "cancelled"),
            ("awaiting", "under_way"): ("awaiting", "cancelled", "under_way"),
            ("captured",): ("captured", "by_others"),
            ("failed",): ("refused", "held"),
            ("taken_back",): ("taken_back",),
        }
        everything = sum(orders.values(), self.env["sale.order"])
        for situations, names in expected.items():
            found = self.env["sale.order"].with_user(self.salesman).search(
                [("bcpaid_situation", "in", situations), ("id", "in", everything.ids)])
            self.assertEqual(found.sudo(), sum((orders[name] for name in names), found.browse()).sudo().sorted(
                lambda order: found.ids.index(order.id)), situations)
        nowhere = everything.search([("bcpaid_situation", "=", False), ("id", "in", everything.ids)])
        self.assertEqual(set(nowhere), {orders["not_ours"], orders["unlinked"]})
        self.assertEqual(everything.search([("bcpaid_linked_order", "=", "203")]), orders["taken_back"])
        self.assertEqual(everything.search([("bcpaid_status", "=", "Captured")]), orders["by_others"])
        self.assertIn(orders["held"], everything.search([("bcpaid_linked_store_id", "=", self.store.id)]))

    def test_filter_of_what_can_be_marked(self):
        paid, unpaid, refused, done = self.paid_order(218), self.order(219), self.paid_order(220), self.paid_order(221)
        self.capture(refused, "refused")
        self.capture(done, "applied")
        every = self.env["sale.order"].with_user(self.accountant)
        among = [("id", "in", (paid + unpaid + refused + done).ids)]
        for domain, expected in (([("bcpaid_can_mark", "=", True)], paid + refused),
                                 ([("bcpaid_can_mark", "!=", True)], unpaid + done),
                                 ([("bcpaid_can_mark", "=", False)], unpaid + done)):
            found = every.search(domain + among)
            self.assertEqual(set(found.ids), set(expected.ids), domain)
            self.assertEqual(set(found.mapped("bcpaid_can_mark")), {domain[0][2] is (domain[0][1] == "=")})
        self.assertFalse(self.env["sale.order"].with_user(self.salesman).search([("bcpaid_can_mark", "=", True)] + among))

    def test_search_and_compute_agree(self):
        orders = self.of_each_situation()
        for name, order in orders.items():
            self.assertIn(order, order.search([("bcpaid_situation", "=", order.bcpaid_situation)]), name)

    def test_record_rules_hold(self):
        """The query inside the query knows no rules: Odoo's are around it."""
        other = self.env["res.company"].create({"name": "Other"})
        stranger = self.user("stranger", "sales_team.group_sale_manager", company=other)
        order = self.order(218)
        domain = [("bcpaid_situation", "=", "awaiting")]
        self.assertIn(order, order.search(domain))
        self.assertNotIn(order, order.with_user(stranger).search(domain))

    def test_one_query_a_page(self):
        """As many queries for forty orders as for two."""
        orders = self.env["sale.order"].concat(*(self.order(300 + number) for number in range(40)))
        fields = {"name": {}, "bcpaid_status": {}, "bcpaid_situation": {}, "bcpaid_can_mark": {}}

        def queries(some):
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            some.web_read(fields)
            return self.env.cr.sql_log_count - before

        queries(orders)
        self.assertEqual(queries(orders), queries(orders[:2]))

    def test_list_shows_status(self):
        arch = self.env["sale.order"].with_user(self.accountant).get_views([(False, "list")])["views"]["list"]["arch"]
        self.assertIn('name="bcpaid_status"', arch)
        quotations = self.env.ref("sale.view_quotation_tree").id
        arch_of_quotations = self.env["sale.order"].get_views([(quotations, "list")])["views"]["list"]["arch"]
        self.assertRegex(arch, '<field name="bcpaid_situation"[^>]*optional="show"')
        self.assertRegex(arch_of_quotations, '<field name="bcpaid_situation"[^>]*optional="hide"')
        self.assertIn('name="action_bcpaid_mark"', arch)
        arch = self.env["sale.order"].with_user(self.salesman).get_views([(False, "list")])["views"]["list"]["arch"]
        self.assertNotIn('name="action_bcpaid_mark"', arch)

    def test_views_for_odoo_17(self):
        """Which has no <list>: not to be run here, so only the words are looked at."""
        arch = '<form><field name="x"><list editable="top"><field name="list"/></list></field></form>'
        self.assertEqual(with_trees({"arch": arch, "name": "a <list>"}), {
            "arch": arch.replace("<list ", "<tree ").replace("</list>", "</tree>"), "name": "a <list>"})

    def test_mark_many(self):
        first, second = self.paid_order(218), self.paid_order(219)
        unpaid, unlinked = self.order(220), self.paid_order()
        action = (first + unpaid + second + unlinked).with_user(self.accountant).action_bcpaid_mark()
        answer = self.env["bcpaid.answer"].browse(action["res_id"])
        self.assertEqual(answer.title, "2 of 4 orders are being captured")
        for order, words in ((first, "is being captured"), (unpaid, "invoice status is"), (unlinked, "no store")):
            self.assertRegex(answer.body, f"<td>{order.name}</td><td>.*{words}")
        marked = self.env["bcpaid.capture"].search([]).mapped("order_id")
        self.assertEqual(set(marked), {first, second})
