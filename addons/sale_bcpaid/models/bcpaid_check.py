from odoo import _, api, fields, models


class BcpaidCheck(models.Model):
    """bcpaid.doctor(): everything that must be right before a capture can be sent."""

    _name = "bcpaid.check"
    _description = "BigCommerce Payments Check"
    _inherit = "bcpaid.report"
    _auto = False
    _order = "id"

    name = fields.Char("Check", readonly=True)
    ok = fields.Boolean("OK", readonly=True)
    detail = fields.Text("Found", readonly=True)
    hint = fields.Text("What to Do", readonly=True)

    def _bcpaid_query(self):
        return """
            SELECT d.n::int4 AS id, d."check" AS name, d.ok, d.detail, d.hint
              FROM bcpaid.doctor() WITH ORDINALITY d ("check", ok, detail, hint, n)"""

    @api.model
    def banner(self):
        """What stands above the lists of the menu."""
        return self._banner() if self.env.user.has_group("sale_bcpaid.group_user") else ""

    @api.model
    def _banner(self, store_id=None):
        """What keeps captures from being sent, to this store or to any; empty if nothing does."""
        problem = self.env["bcpaid.database"]._problem()
        if problem:
            return problem
        found = self.sudo().search([("ok", "=", False)])
        wrong = [check for check in found if check.name not in ("instance file", "captures", "stores")
                 and (not check.name.startswith("store ") or store_id is None or check.name == f"store {store_id}")]
        return "\n".join(check._in_words() for check in wrong)

    def _in_words(self):
        """SQL to type is for others: here there is a button. Stores have names."""
        if self.name.startswith("store "):
            store = self.env["bcpaid.store"].browse(int(self.name.removeprefix("store ")))
            return f"{store.display_name}: {self.detail}"
        if self.name == "environment":
            return _("Nothing is sent until the environment is confirmed, in the form of a store: %s", self.detail.partition(": run ")[0])
        return f"{self.name}: {self.detail}"
