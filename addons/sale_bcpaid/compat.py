"""What Odoo 17, 18 and 19 call by different names."""

from odoo import release

# Up to 17 a list is a <tree>.
LIST_IS_TREE = release.version_info[0] < 18


def check_access(records, operation):
    """Raises AccessError unless the user may do this to all of the records."""
    if hasattr(records, "check_access"):
        records.check_access(operation)
    else:
        records.check_access_rights(operation)
        records.check_access_rule(operation)


def filtered_access(records, operation):
    """Those of the records that the user may do this to."""
    if hasattr(records, "_filtered_access"):
        return records._filtered_access(operation)
    if not records.check_access_rights(operation, raise_exception=False):
        return records.browse()
    return records._filter_access_rules(operation)
