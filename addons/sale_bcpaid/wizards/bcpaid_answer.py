from markupsafe import Markup

from odoo import _, api, fields, models


class BcpaidAnswer(models.TransientModel):
    """An answer in several lines, in a dialog."""

    _name = "bcpaid.answer"
    _description = "Answer of bcpaid"

    title = fields.Char(readonly=True)
    body = fields.Html(readonly=True)

    @api.model
    def _show(self, title, lines):
        """Lines of name and text."""
        rows = Markup("").join(Markup("<tr><td>%s</td><td>%s</td></tr>") % line for line in lines)
        return self._open(title, Markup('<table class="table table-sm">%s</table>') % rows)

    @api.model
    def _show_conditions(self, title, lines):
        """Lines of condition, fact, and whether it is met."""
        words = self._conditions()
        rows = Markup("").join(
            Markup('<tr class="%s"><td>%s</td><td>%s</td><td>%s</td></tr>') % (
                "" if met else "text-danger", "✓" if met else "✗", words.get(condition, condition), detail or "")
            for condition, detail, met in lines)
        return self._open(title, Markup('<table class="table table-sm">%s</table>') % rows)

    @api.model
    def _conditions(self):
        """The names that bcpaid gives its conditions, in words."""
        return {
            "switch": _("Mark Order as Paid? is on"),
            "link": _("Linked to BigCommerce"),
            "invoiced": _("Fully invoiced"),
            "settled": _("Invoices are paid"),
            "status": _("BigCommerce payment status"),
            "gateway": _("Paid offline"),
            "capture": _("No capture yet"),
            "automatic": _("Left to a person"),
        }

    @api.model
    def _open(self, title, body):
        answer = self.create({"title": title, "body": body})
        return {
            "type": "ir.actions.act_window",
            "name": title,
            "res_model": self._name,
            "res_id": answer.id,
            "view_mode": "form",
            "views": [(False, "form")],
            "target": "new",
        }
