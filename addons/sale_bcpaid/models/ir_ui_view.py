import re

from odoo import api, models

from .. import compat


def with_trees(values):
    """Our views are written for Odoo 18 and later; for 17, which has no <list>, as <tree>."""
    return {
        name: re.sub(r"(</?)list\b", r"\1tree", value) if name in ("arch", "arch_base", "arch_db") and value else value
        for name, value in values.items()
    }


if compat.LIST_IS_TREE:
    class IrUiView(models.Model):
        _inherit = "ir.ui.view"

        @api.model_create_multi
        def create(self, vals_list):
            return super().create([with_trees(values) for values in vals_list])

        def write(self, vals):
            return super().write(with_trees(vals))
