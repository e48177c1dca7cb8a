from odoo import api, fields, models


class BcpaidCheck(models.Model):
    """bcpaid.doctor(): everything that must be right before a capture can be sent."""

    _name = "bcpaid.check"
    _description = "BigCommerce Payments Check"
    _inherit = "bcpaid.report"
    _auto = False
    _order = "id"

    name = fields.Char("Check", readonly=True)
    ok = fields.Boolean("OK", readonly=True)
    detail = fields.Char("Found", readonly=True)
    hint = fields.Char("What to Do", readonly=True)

    def _bcpaid_query(self):
        return """
            SELECT d.n::int4 AS id, d."check" AS name, d.ok, d.detail, d.hint
              FROM bcpaid.doctor() WITH ORDINALITY d ("check", ok, detail, hint, n)"""

    @api.model
    def _open(self, action):
        """A menu's list; with what keeps captures from being sent above it, where something does."""
        action = self.env["ir.actions.actions"]._for_xml_id(action)
        banner = self._banner()
        if not banner:
            return action
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {"type": "danger", "sticky": True, "message": banner, "next": action},
        }

    @api.model
    def _banner(self, store_id=None):
        """What keeps captures from being sent, to this store or to any; empty if nothing does."""
        problem = self.env["bcpaid.database"]._problem()
        if problem:
            return problem
        found = self.sudo().search([("ok", "=", False)])
        wrong = [check for check in found if check.name not in ("instance file", "captures", "stores")
                 and (not check.name.startswith("store ") or store_id is None or check.name == f"store {store_id}")]
        return "\n".join(f"{check.name}: {check.detail}" for check in wrong)
