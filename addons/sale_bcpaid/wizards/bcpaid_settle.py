from odoo import fields, models


class BcpaidSettle(models.TransientModel):
    """Somebody captured orders in the control panel: who, and where."""

    _name = "bcpaid.settle"
    _description = "Settle Captures by Hand"

    capture_ids = fields.Json(default=lambda self: self.env.context.get("bcpaid_capture_ids", []))
    reason = fields.Char(required=True, help="Who captured the orders, and where.")

    def action_settle(self):
        self.ensure_one()
        captures = self.env["bcpaid.capture"].browse(self.capture_ids).exists()
        return captures._bcpaid_each("bcpaid.settle_by_hand", self.reason)
