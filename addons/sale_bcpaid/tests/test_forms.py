from odoo.tests import TransactionCase, tagged


@tagged("post_install", "-at_install")
class TestForms(TransactionCase):
    def test_opens_without_extension(self):
        order = self.env["sale.order"].create({"partner_id": self.env["res.partner"].create({"name": "x"}).id})
        self.assertFalse(order.bcpaid_can_mark)
        self.assertIn("not installed", order.bcpaid_banner)
