from odoo.exceptions import UserError
from odoo.tests import tagged

from .common import BcpaidCase


@tagged("post_install", "-at_install")
class TestConnector(BcpaidCase):
    """Beside a connector: here one that keeps its stores in crm_team, the link in team_id and client_order_ref,
    and the status in origin."""

    profile = "beside"

    @classmethod
    def before_attach(cls):
        cls.team = cls.env["crm.team"].create({"name": "Shop"})
        cls.env.flush_all()
        cls.env.cr.execute("""
            INSERT INTO bcpaid.profile (name, link_store_column, link_remote_column, store_table, store_name_column,
                                        status_column, status_captured)
            VALUES ('beside', 'team_id', 'client_order_ref', 'crm_team', 'name', 'origin', 'Captured')""")
        cls.env.cr.execute("INSERT INTO bcpaid.store (id, name, hash, mark_order_as_paid) VALUES (%s, 'Shop', 'shop', true)",
                           [cls.team.id])
        cls.store = cls.env["bcpaid.store"].browse(cls.team.id)

    def linked(self):
        return self.paid_order(team_id=self.team.id, client_order_ref="218")

    def test_link_and_status_are_the_connectors(self):
        order = self.linked().with_user(self.accountant)
        self.assertEqual((order.bcpaid_linked_order, order.bcpaid_linked_store_id), ("218", self.store))
        self.assertFalse(order.bcpaid_link_is_ours)
        self.assertTrue(order.bcpaid_can_mark)
        order.sudo().origin = "Captured"
        order.invalidate_recordset()
        self.assertEqual((order.bcpaid_status, order.bcpaid_situation), ("Captured", "captured"))
        self.assertFalse(order.bcpaid_can_mark)
        self.assertIn(order, order.search([("bcpaid_situation", "=", "captured")]))

    def test_its_link_is_not_ours_to_write(self):
        order = self.linked()
        with self.assertRaisesRegex(UserError, "connector"), self.env.cr.savepoint():
            order.write({"bcpaid_linked_order": "219"})
        self.assertEqual(order.client_order_ref, "218")

    def test_its_status_is_shown_once_and_its_button_not(self):
        button = self.env["ir.ui.view"].create({
            "name": "connector", "model": "sale.order", "inherit_id": self.env.ref("sale.view_order_form").id,
            "arch": """<xpath expr="//header" position="inside">
                <button name="action_lock" type="object" string="Mark Order as Paid?"/></xpath>"""})
        views = self.env["sale.order"].with_user(self.accountant).get_views([(False, "form"), (False, "list")])["views"]
        form, columns = views["form"]["arch"], views["list"]["arch"]
        self.assertNotIn('name="bcpaid_status"', form)
        self.assertEqual(form.count('name="origin"'), 1)
        self.assertRegex(columns, '<field name="origin"[^>]*/>')
        self.assertNotIn('name="bcpaid_status"', columns)
        self.assertRegex(form, 'string="Mark Order as Paid\\?"[^>]*invisible="1"')
        self.assertNotRegex(form, '<button name="action_bcpaid_mark"[^>]*invisible="1"')
        self.assertTrue(button)

    def test_its_stores_are_named_by_their_id(self):
        other = self.env["crm.team"].create({"name": "Other"})
        stores = self.env["bcpaid.store"].with_user(self.administrator)
        self.assertTrue(stores.new({}).has_connector)
        self.assertEqual(stores.create({"connector_id": other.id, "name": "Other"}).id, other.id)
        self.assertEqual(stores.browse(other.id).name, "Other")
        with self.assertRaisesRegex(UserError, "no BigCommerce store"), self.env.cr.savepoint():
            stores.create({"connector_id": 999999, "name": "Nobody's"})
        with self.assertRaisesRegex(UserError, "(?i)which store"), self.env.cr.savepoint():
            stores.create({"name": "Unnamed"})

    def test_unknown_store(self):
        """Linked to a store of the connector that bcpaid has not been told of."""
        other = self.env["crm.team"].create({"name": "Other"})
        order = self.order(team_id=other.id, client_order_ref="219")
        values, _arch = self.form("sale.order", order, self.accountant)
        self.assertFalse(values["bcpaid_linked_store_id"])
        self.assertFalse(values["bcpaid_can_mark"])
