from odoo import fields, models

from .bcpaid_capture import STATES


class BcpaidHistory(models.Model):
    _name = "bcpaid.history"
    _description = "BigCommerce Capture History"
    _inherit = "bcpaid.report"
    _auto = False
    _order = "at desc, id desc"
    _rec_name = "state"
    _depends = {"sale.order": ["company_id"]}

    capture_id = fields.Many2one("bcpaid.capture", "Capture", readonly=True)
    company_id = fields.Many2one("res.company", "Company", readonly=True)
    at = fields.Datetime("At", readonly=True)
    state = fields.Selection(STATES, "State", readonly=True)
    reason = fields.Text("Reason", readonly=True)
    by = fields.Char("By", readonly=True)

    def _bcpaid_query(self):
        return """
            SELECT h.id, h.capture_id, o.company_id, h.at AT TIME ZONE 'UTC' AS at, h.state, h.reason, h.by
              FROM bcpaid.history h
              JOIN bcpaid.captures c ON c.id = h.capture_id
              LEFT JOIN sale_order o ON o.id = c.order_id"""


class BcpaidAttempt(models.Model):
    _name = "bcpaid.attempt"
    _description = "Conversation with a BigCommerce Store"
    _inherit = "bcpaid.report"
    _auto = False
    _order = "at desc, id desc"
    _rec_name = "purpose"
    _depends = {"sale.order": ["company_id"]}

    capture_id = fields.Many2one("bcpaid.capture", "Capture", readonly=True)
    company_id = fields.Many2one("res.company", "Company", readonly=True)
    at = fields.Datetime("At", readonly=True)
    purpose = fields.Char("Purpose", readonly=True)
    requests = fields.Integer("Requests", readonly=True)
    status = fields.Integer("HTTP Status", readonly=True)
    took_ms = fields.Integer("Milliseconds", readonly=True)
    outcome = fields.Char("Outcome", readonly=True)
    detail = fields.Text("Detail", readonly=True)

    def _bcpaid_query(self):
        return """
            SELECT a.id, a.capture_id, o.company_id, a.at AT TIME ZONE 'UTC' AS at, a.purpose, a.requests, a.status,
                   a.took_ms, a.outcome, a.detail
              FROM bcpaid.attempts a
              LEFT JOIN sale_order o ON o.id = a.order_id"""
