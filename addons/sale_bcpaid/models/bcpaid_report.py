from odoo import _, api, fields, models
from odoo.exceptions import UserError


class BcpaidReport(models.AbstractModel):
    """A model over what bcpaid reports: no table of its own, nothing to lose with the addon."""

    _name = "bcpaid.report"
    _description = "Report of bcpaid"
    _auto = False

    def _bcpaid_query(self):
        """The query, which is only asked where bcpaid can be."""
        raise NotImplementedError

    @property
    def _table_query(self):
        database = self.env["bcpaid.database"]
        query = self._bcpaid_query() if database._is_usable() else None
        return query or self._bcpaid_nothing()

    def _bcpaid_nothing(self):
        """No row, with the columns of the fields."""
        columns = (f'NULL::{field.column_type[1]} AS "{name}"' for name, field in self._fields.items()
                   if field.store and field.column_type)
        return f"SELECT {', '.join(columns)} WHERE false"

    @api.model_create_multi
    def create(self, vals_list):
        raise UserError(_("Only bcpaid itself writes here."))

    def write(self, vals):
        raise UserError(_("Only bcpaid itself writes here."))

    def unlink(self):
        raise UserError(_("What bcpaid has recorded stays."))


class BcpaidOrder(models.Model):
    """Where each order stands at BigCommerce: what the filters of the list of orders are made of."""

    _name = "bcpaid.order"
    _description = "BigCommerce Order"
    _inherit = "bcpaid.report"
    _auto = False
    _depends = {"sale.order": ["state"]}

    store_id = fields.Many2one("bcpaid.store", readonly=True)
    remote_order_id = fields.Char(readonly=True)
    payment_status = fields.Char(readonly=True)
    situation = fields.Char(readonly=True)

    def _bcpaid_query(self):
        query = self.env["bcpaid.database"]._orders_query()
        return query and query.replace("%", "%%")
