from odoo import _, api, fields, models
from odoo.exceptions import UserError

from .. import compat

# What the worker has in hand, or will have at once.
UNDER_WAY = ("queued", "claimed", "sending", "captured")

STATES = [
    ("queued", "Queued"),
    ("claimed", "Looking"),
    ("sending", "Sending"),
    ("captured", "Captured"),
    ("applied", "Done"),
    ("waiting", "Waiting"),
    ("unknown", "Outcome Unknown"),
    ("refused", "Refused"),
    ("held", "Held"),
    ("not_ours", "Not Ours"),
    ("cancelled", "Cancelled"),
]


class BcpaidCapture(models.Model):
    _name = "bcpaid.capture"
    _description = "BigCommerce Capture"
    _inherit = "bcpaid.report"
    _auto = False
    _order = "changed_at desc, id desc"
    _rec_name = "remote_order"
    _depends = {"sale.order": ["company_id", "partner_id"]}

    order_id = fields.Many2one("sale.order", "Order", readonly=True)
    company_id = fields.Many2one("res.company", "Company", readonly=True)
    partner_id = fields.Many2one("res.partner", "Customer", readonly=True)
    store_id = fields.Many2one("bcpaid.store", "Store", readonly=True)
    remote_order = fields.Char("BigCommerce ID", readonly=True)
    state = fields.Selection(STATES, "State", readonly=True)
    reason = fields.Text("Reason", readonly=True)
    amount = fields.Monetary("Amount", readonly=True)
    currency_id = fields.Many2one("res.currency", "Currency", readonly=True)
    transaction = fields.Char("Transaction", readonly=True)
    marker = fields.Char("Marker", readonly=True)
    captured_by = fields.Char("Captured By", readonly=True)
    origin = fields.Selection(
        [("payment", "Payment"), ("button", "Button"), ("backfill", "Backfill"), ("sweep", "Sweep")], "Origin",
        readonly=True)
    requested_by = fields.Char("Requested By", readonly=True)
    tries = fields.Integer("Tries", readonly=True)
    failures = fields.Integer("Failures", readonly=True)
    due = fields.Datetime("Next Try", readonly=True)
    warning = fields.Text("Warning", readonly=True)
    taken_back_at = fields.Datetime("Payment Taken Back", readonly=True)
    created_at = fields.Datetime("Created", readonly=True)
    changed_at = fields.Datetime("Changed", readonly=True)
    captured_at = fields.Datetime("Captured On", readonly=True)
    history_ids = fields.One2many("bcpaid.history", "capture_id", "History", readonly=True)
    attempt_ids = fields.One2many("bcpaid.attempt", "capture_id", "Conversations with the Store", readonly=True)
    banner = fields.Text(compute="_compute_banner")

    def _bcpaid_query(self):
        times = ", ".join(f"c.{name} AT TIME ZONE 'UTC' AS {name}" for name in (
            "due", "taken_back_at", "created_at", "changed_at", "captured_at"))
        return f"""
            SELECT c.id, o.id AS order_id, o.company_id, o.partner_id, s.id AS store_id,
                   c.remote_order_id::varchar AS remote_order, c.state, c.reason, c.amount, y.id AS currency_id,
                   c.transaction_id AS "transaction", c.marker, c.captured_by, c.origin, c.requested_by,
                   c.sends AS tries, c.failures, c.warning, {times}
              FROM bcpaid.captures c
              LEFT JOIN bcpaid.stores s ON s.id = c.store_id
              LEFT JOIN sale_order o ON o.id = c.order_id
              LEFT JOIN res_currency y ON y.name = c.currency"""

    def _compute_banner(self):
        for capture in self:
            capture.banner = self.env["bcpaid.check"]._banner(capture.store_id.id)

    # --- What a person does, to one or to many --------------------------------------------------

    def action_retry(self):
        return self._bcpaid_each("bcpaid.retry")

    def action_approve(self):
        return self._bcpaid_each("bcpaid.approve")

    def action_cancel(self):
        return self._bcpaid_each("bcpaid.cancel")

    def action_settle(self):
        return {
            "type": "ir.actions.act_window",
            "name": _("Settle by Hand"),
            "res_model": "bcpaid.settle",
            "view_mode": "form",
            "views": [(False, "form")],
            "target": "new",
            "context": {"bcpaid_capture_ids": self.ids},
        }

    def _bcpaid_each(self, function, *arguments):
        """Calls it for each capture. One alone: its refusal is the answer. Of many, those that can be are done, and
        the others named with their refusals."""
        compat.check_access(self, "write")
        database = self.env["bcpaid.database"]
        if len(self) == 1:
            database._call(function, self.id, *arguments)
            self.env.invalidate_all()
            return True
        lines = []
        for capture in self.sorted("id"):
            try:
                with self.env.cr.savepoint():
                    database._call(function, capture.id, *arguments)
            except UserError as error:
                lines.append((capture.order_id.name or capture.remote_order, str(error)))
        self.env.invalidate_all()
        return not lines or self.env["bcpaid.answer"]._show(
            _("Done for %(done)s of %(all)s captures", done=len(self) - len(lines), all=len(self)), lines)

    def bcpaid_follow(self):
        """How the capture stands, for the widget: {done, text}."""
        self.ensure_one()
        compat.check_access(self, "read")
        words = dict(self._fields["state"]._description_selection(self.env))
        return {"done": self.state not in UNDER_WAY, "text": words[self.state]}

    def action_order(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "sale.order",
            "res_id": self.order_id.id,
            "view_mode": "form",
            "views": [(False, "form")],
        }

    @api.depends("remote_order", "order_id")
    def _compute_display_name(self):
        for capture in self:
            capture.display_name = " ".join(filter(None, (capture.order_id.sudo().name, capture.remote_order)))
