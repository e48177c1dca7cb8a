from odoo import _, api, fields, models
from odoo.exceptions import AccessError

from .. import compat

USER = "sale_bcpaid.group_user"

SITUATIONS = [
    ("awaiting", "Awaiting Payment"),
    ("under_way", "Being Captured"),
    ("captured", "Captured"),
    ("taken_back", "Captured, No Longer Paid"),
    ("failed", "Failed or Held"),
]

# Capture and transaction of other addons have the same words: ours is told by its name.
CONNECTORS_BUTTON = ("mark order as paid", "mark as paid", "mark order as paid?")


class SaleOrder(models.Model):
    """What bcpaid knows about an order. No field has a column: links and history are the database's, and
    stay when the addon goes. Duplicates of an order carry nothing of it."""

    _inherit = "sale.order"

    bcpaid_linked_store_id = fields.Many2one(
        "bcpaid.store", string="BigCommerce Store", compute="_compute_bcpaid", inverse="_inverse_bcpaid_link",
        search="_search_bcpaid_linked_store_id", copy=False)
    bcpaid_linked_order = fields.Char(
        "BigCommerce ID", compute="_compute_bcpaid", inverse="_inverse_bcpaid_link",
        search="_search_bcpaid_linked_order", copy=False)
    bcpaid_link_is_ours = fields.Boolean(compute="_compute_bcpaid")
    bcpaid_status = fields.Char(
        "BigCommerce Payment Status", compute="_compute_bcpaid", search="_search_bcpaid_status", copy=False)
    bcpaid_situation = fields.Selection(
        SITUATIONS, "At BigCommerce", compute="_compute_bcpaid", search="_search_bcpaid_situation", copy=False)
    bcpaid_capture_count = fields.Integer("Captures", compute="_compute_bcpaid")
    bcpaid_capture_state = fields.Char(compute="_compute_bcpaid")
    bcpaid_reason = fields.Char("Reason", compute="_compute_bcpaid", help="Why its last capture failed, or what it waits for.")
    bcpaid_can_mark = fields.Boolean(
        "Can Be Marked As Paid", compute="_compute_bcpaid_can_mark", search="_search_bcpaid_can_mark")
    bcpaid_banner = fields.Char(compute="_compute_bcpaid_banner")

    def _compute_bcpaid(self):
        database = self.env["bcpaid.database"]
        known = database._orders(self._origin.ids)
        is_ours = database._profile()["link_is_ours"]
        for order in self:
            row = known.get(order._origin.id, {})
            order.bcpaid_linked_store_id = row.get("known_store_id")
            order.bcpaid_linked_order = row.get("remote_order_id")
            order.bcpaid_link_is_ours = is_ours
            order.bcpaid_status = row.get("payment_status")
            order.bcpaid_situation = row.get("situation")
            order.bcpaid_capture_count = row.get("captures", 0)
            order.bcpaid_capture_state = row.get("capture_state")
            order.bcpaid_reason = row.get("reason")

    @api.depends_context("uid")
    def _compute_bcpaid_can_mark(self):
        markable = self.env["bcpaid.database"]._markable(self._bcpaid_pressable()._origin.ids)
        for order in self:
            order.bcpaid_can_mark = order._origin.id in markable

    def _bcpaid_pressable(self):
        """Those of the orders that this user may mark, as far as Odoo has a say."""
        if not self.env.user.has_group(USER):
            return self.browse()
        return compat.filtered_access(self, "write")

    def _compute_bcpaid_banner(self):
        database = self.env["bcpaid.database"]
        banner = database._problem()
        if not banner and not database._is_confirmed():
            banner = _("Nothing is sent to BigCommerce from this database until its environment is confirmed.")
        self.bcpaid_banner = banner

    def _inverse_bcpaid_link(self):
        for order in self:
            self.env["bcpaid.database"]._call(
                "bcpaid.set_link", order.id, order.bcpaid_linked_store_id.id or None, order.bcpaid_linked_order or None)
        self._bcpaid_forget()

    def _bcpaid_forget(self):
        """What was asked before a call of bcpaid is no longer so."""
        self.invalidate_recordset([name for name in self._fields if name.startswith("bcpaid_")])

    # --- Searching: by a query inside the query, whatever the profile ---------------------------

    def _bcpaid_search(self, field, operator, value):
        query = self.env["bcpaid.order"].sudo()._search([(field, operator, value)])
        return [("id", "in", query)]

    def _search_bcpaid_linked_store_id(self, operator, value):
        return self._bcpaid_search("store_id", operator, value)

    def _search_bcpaid_linked_order(self, operator, value):
        return self._bcpaid_search("remote_order_id", operator, value)

    def _search_bcpaid_status(self, operator, value):
        return self._bcpaid_search("payment_status", operator, value)

    def _search_bcpaid_situation(self, operator, value):
        return self._bcpaid_search("situation", operator, value)

    def _search_bcpaid_can_mark(self, operator, value):
        """Of the orders that are not captured, those that bcpaid says may be marked. One question for all."""
        is_wanted = (operator in ("=", "in")) == (True in value if isinstance(value, (list, tuple, set)) else bool(value))
        markable = set()
        if self.env.user.has_group(USER):
            waiting = self.env["bcpaid.order"].sudo()._search([("situation", "in", ("awaiting", "failed"))])
            markable = self.env["bcpaid.database"]._markable(list(waiting))
        return [("id", "in" if is_wanted else "not in", list(markable))]

    # --- What a person does ---------------------------------------------------------------------

    def action_bcpaid_mark(self):
        """The button; in the list, for those of the selected orders that may be marked."""
        if not self.env.user.has_group(USER):
            raise AccessError(_("You are not allowed to mark orders as paid at BigCommerce."))
        compat.check_access(self, "write")
        if len(self) == 1:
            self.env["bcpaid.database"]._mark(self.id)
            self._bcpaid_forget()
            return True
        return self._bcpaid_mark_many()

    def _bcpaid_mark_many(self):
        database = self.env["bcpaid.database"]
        markable = database._markable(self.ids)
        marked = self.filtered(lambda order: order.id in markable)
        for order in marked:
            database._mark(order.id)
        others = self - marked
        reasons = {}
        for why in database._why_not(others.ids):
            if not why["met"]:
                reasons.setdefault(why["order_id"], why["detail"])
        self._bcpaid_forget()
        lines = [(order.name, _("is being captured")) for order in marked]
        lines += [(order.name, reasons.get(order.id) or database._problem()) for order in others]
        return self.env["bcpaid.answer"]._show(
            _("%(marked)s of %(all)s orders are being captured", marked=len(marked), all=len(self)), lines)

    def action_bcpaid_why_not(self):
        self.ensure_one()
        compat.check_access(self, "read")
        lines = [(why["condition"], why["detail"], why["met"]) for why in self.env["bcpaid.database"]._why_not(self.ids)]
        return self.env["bcpaid.answer"]._show_conditions(_("Why %s cannot be marked as paid", self.name), lines)

    def action_bcpaid_captures(self):
        self.ensure_one()
        action = self.env["ir.actions.actions"]._for_xml_id("sale_bcpaid.action_capture")
        return dict(action, domain=[("order_id", "=", self.id)], context={})

    def bcpaid_follow(self):
        """How the capture of this order stands, for the widget: {done, text}. What the store has captured is done
        once the order's own row says so."""
        self.ensure_one()
        compat.check_access(self, "read")
        row = self.env["bcpaid.database"]._orders(self.ids).get(self.id, {})
        words = dict(self._fields["bcpaid_situation"]._description_selection(self.env))
        reason = row.get("reason") if row.get("capture_state") in ("waiting", "unknown", "captured") else None
        facts = [words.get(row.get("situation")), reason]
        is_done = row.get("situation") != "under_way" and row.get("capture_state") != "captured"
        return {"done": is_done, "text": ": ".join(filter(None, facts))}

    # --- Beside a connector -----------------------------------------------------------------------

    @api.model
    def _get_view_cache_key(self, view_id=None, view_type="form", **options):
        key = super()._get_view_cache_key(view_id, view_type, **options)
        return (*key, self.env["bcpaid.database"]._profile()["profile"])

    @api.model
    def _get_view(self, view_id=None, view_type="form", **options):
        """A connector's own status field is shown in place of ours, its own button is not shown."""
        arch, view = super()._get_view(view_id, view_type, **options)
        if view_type in ("form", "list", "tree"):
            self._bcpaid_beside_connector(arch)
        return arch, view

    def _bcpaid_beside_connector(self, arch):
        profile = self.env["bcpaid.database"]._profile()
        if not profile["profile"] or profile["link_is_ours"]:
            return
        column = profile["status_column"]
        if column in self._fields:
            is_shown = bool(arch.xpath("//field[@name=$name]", name=column))
            for node in arch.xpath("//field[@name='bcpaid_status']"):
                if is_shown:
                    node.getparent().remove(node)
                else:
                    node.set("name", column)
                    node.set("readonly", "1")
        for node in arch.xpath("//button[@string]"):
            if node.get("name") != "action_bcpaid_mark" and node.get("string").strip().lower() in CONNECTORS_BUTTON:
                node.set("invisible", "1")
