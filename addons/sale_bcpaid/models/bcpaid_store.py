import io

from odoo import _, api, fields, models
from odoo.exceptions import UserError

from .. import compat

PAYMENT_STATES = {"paid": ["paid"], "paid_or_in_payment": ["paid", "in_payment"]}

# What set_store takes as it is.
SETTINGS = ("name", "hash", "mark_order_as_paid", "tolerance", "strategy", "quota_reserve")


class BcpaidStore(models.Model):
    """A store of bcpaid. Its token goes in and never comes out."""

    _name = "bcpaid.store"
    _description = "BigCommerce Store"
    _inherit = "bcpaid.report"
    _auto = False
    _order = "id"

    name = fields.Char("Name")
    hash = fields.Char("Store Hash", help="The part after /stores/ in the API path that BigCommerce shows with the token.")
    mark_order_as_paid = fields.Boolean("Mark Order as Paid?")
    payment_states = fields.Selection(
        [("paid", "Paid"), ("paid_or_in_payment", "Paid or In Payment"), ("other", "Other")],
        "Accepted Payment States", help="Which payment states of an invoice count as settled.")
    offline_methods = fields.Text(
        "Offline Methods", help="Payment methods at the store that are captured, a line each. Orders paid by others are held.")
    tolerance = fields.Float(
        "Tolerance", digits=(16, 4), help="By how much the amounts in Odoo and at the store may differ, in the order's currency.")
    has_own_tolerance = fields.Boolean(readonly=True)
    strategy = fields.Selection(
        [("transaction", "Record a Capture"), ("transaction_then_status", "Record a Capture, or Change the Status"),
         ("status", "Change the Status")], "Strategy")
    quota_reserve = fields.Float("Share of the Quota Left to Others", digits=(16, 2))
    paused = fields.Boolean("Paused", readonly=True)
    stopped_reason = fields.Text("Stopped", readonly=True)
    warning = fields.Text("Warning", readonly=True)
    switched_on_at = fields.Datetime("Switched On", readonly=True)
    last_success_at = fields.Datetime("Last Success", readonly=True)
    tested_at = fields.Datetime("Tested", readonly=True)
    test_ok = fields.Boolean("Test Passed", readonly=True)
    test_result = fields.Text("Result of the Test", readonly=True)
    being_tested = fields.Boolean(readonly=True)
    has_token = fields.Boolean("Has a Token", readonly=True)
    token = fields.Char("Access Token", compute="_compute_token", inverse="_inverse_token", groups="sale_bcpaid.group_manager",
                        help="Goes in and never comes out. A connector's own token is used where it has one.")
    due = fields.Integer("Due", readonly=True)
    held = fields.Integer("Held", readonly=True)
    refused = fields.Integer("Refused in 24 Hours", readonly=True)
    has_connector = fields.Boolean(compute="_compute_has_connector")
    connector_id = fields.Integer("Id at the Connector", store=False, help="The id of the connector's own row for this store.")
    is_unconfirmed = fields.Boolean(compute="_compute_banner")
    banner = fields.Text(compute="_compute_banner")

    def _bcpaid_query(self):
        times = ", ".join(f"s.{name} AT TIME ZONE 'UTC' AS {name}" for name in (
            "switched_on_at", "last_success_at", "tested_at"))
        return f"""
            SELECT s.id, s.name, s.hash, s.mark_order_as_paid, s.tolerance, s.tolerance IS NOT NULL AS has_own_tolerance,
                   CASE s.payment_states WHEN '{{paid}}' THEN 'paid' WHEN '{{paid,in_payment}}' THEN 'paid_or_in_payment'
                        ELSE 'other' END AS payment_states,
                   array_to_string(s.offline_methods, E'\\n') AS offline_methods, s.strategy,
                   s.quota_reserve::numeric AS quota_reserve,
                   s.paused, s.stopped_reason, s.warning, {times}, s.test_ok, s.test_result,
                   s.tested_at IS NULL AND s.test_result IS NOT NULL AS being_tested,
                   s.has_token, t.due, t.held, t.refused
              FROM bcpaid.stores s
              JOIN bcpaid.status t ON t.store_id = s.id"""

    @api.depends("name")
    def _compute_display_name(self):
        for store in self:
            store.display_name = store.name or (_("Store %s", store._origin.id) if store._origin else False)

    def _compute_token(self):
        self.token = False

    def _compute_has_connector(self):
        profile = self.env["bcpaid.database"]._profile()
        self.has_connector = bool(profile["profile"]) and not profile["link_is_ours"]

    def _compute_banner(self):
        database = self.env["bcpaid.database"]
        is_confirmed = not database._problem() and database._is_confirmed()
        for store in self:
            store.is_unconfirmed = not is_confirmed
            store.banner = self.env["bcpaid.check"]._banner(store.id)

    # --- What a form saves becomes a call of set_store ------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        compat.check_access(self, "create")
        # A new form sends 0 and nothing for what nobody has touched: that is left to bcpaid's own defaults.
        return self.browse([self._bcpaid_save(values.get("connector_id") or None, {
            name: value for name, value in values.items() if value}) for values in vals_list])

    def write(self, vals):
        compat.check_access(self, "write")
        for store in self:
            self._bcpaid_save(store.id, vals)
        return True

    def unlink(self):
        raise UserError(_("A store stays, with its history: switch it off instead."))

    def _bcpaid_save(self, store_id, vals):
        """Returns the id of the store; without one, or with one that bcpaid does not know yet, it is made."""
        settings = {name: vals[name] for name in SETTINGS if vals.get(name) not in (None, "")}
        settings = {name: value for name, value in settings.items() if value is not False or name == "mark_order_as_paid"}
        if vals.get("payment_states") in PAYMENT_STATES:
            settings["payment_states"] = PAYMENT_STATES[vals["payment_states"]]
        if "offline_methods" in vals:
            settings["offline_methods"] = [line.strip() for line in (vals["offline_methods"] or "").splitlines() if line.strip()]
        if settings or store_id is None or "connector_id" in vals:
            if store_id is not None:
                settings["store_id"] = store_id
            store_id = self.env["bcpaid.database"]._call("bcpaid.set_store", **settings)
        if vals.get("token"):
            self.browse(store_id)._bcpaid_set_token(vals["token"])
        self.env.invalidate_all()
        return store_id

    def _inverse_token(self):
        for store in self:
            if store.token:
                store._bcpaid_set_token(store.token)

    def _bcpaid_set_token(self, token):
        """By COPY: a statement with the token in it would be in the server's log. What COPY itself cannot
        split it quotes there, so what would need a look by it is written in its own spelling."""
        self.ensure_one()
        spelt = token.strip().replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
        self.env["bcpaid.database"]._run(lambda cr: cr.copy_expert(
            "COPY bcpaid.token_inbox FROM STDIN", io.StringIO(f"{self.id}\t{spelt}\n")))

    # --- Buttons ----------------------------------------------------------------------------------

    def _bcpaid_do(self, function):
        compat.check_access(self, "write")
        for store in self:
            self.env["bcpaid.database"]._call(function, store.id)
        self.env.invalidate_all()
        return True

    def action_test(self):
        return self._bcpaid_do("bcpaid.want_test")

    def action_pause(self):
        return self._bcpaid_do("bcpaid.pause")

    def action_resume(self):
        return self._bcpaid_do("bcpaid.resume")

    def action_retry_all(self):
        return self._bcpaid_do("bcpaid.retry_store")

    def action_confirm_environment(self):
        compat.check_access(self, "write")
        self.env["bcpaid.database"]._call("bcpaid.confirm_environment")
        self.env.invalidate_all()
        return True

    def action_captures(self):
        self.ensure_one()
        action = self.env["ir.actions.actions"]._for_xml_id("sale_bcpaid.action_capture")
        return dict(action, domain=[("store_id", "=", self.id)], context={})

    def bcpaid_follow(self):
        """How the test stands, for the widget: {done, text}."""
        self.ensure_one()
        compat.check_access(self, "read")
        return {"done": not self.being_tested, "text": self.test_result or ""}
