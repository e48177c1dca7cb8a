from odoo import models

SETTING = "in_payment.is_on"


class AccountMove(models.Model):
    """Enterprise matches bank lines with payments: until then an invoice is in payment, and a payment of a journal
    without outstanding account has no journal entry. All of that follows from this one hook."""

    _inherit = "account.move"

    def _get_invoice_in_payment_state(self):
        if self.env["ir.config_parameter"].sudo().get_param(SETTING):
            return "in_payment"
        return super()._get_invoice_in_payment_state()
