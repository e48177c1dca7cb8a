"""Several companies in one Odoo, each with a store of its own, and a branch."""

from cases import case
from odoo import Odoo, OdooError

PASSWORD = "password-of-the-cases"

NEW_COMPANY = """
company = env['res.company'].create({'name': env.context['name'], 'currency_id': env.ref('base.USD').id,
                                     'country_id': env.ref('base.us').id})
env['account.chart.template'].try_loading(env.company.chart_template, company=company, install_demo=False)
"""

# Makes orders, invoices and payments, and may set up the journals of its company.
GROUPS = ("sales_team.group_sale_manager", "account.group_account_manager", "base.group_partner_manager",
          "product.group_product_manager")


def company(bench, name):
    """Another company with a chart of accounts. Returns its id."""
    bench.odoo.run(NEW_COMPANY, name=name)
    found, = bench.odoo.search("res.company", ["name", "=", name])
    return found


def user_of(bench, company, login):
    """Somebody who works for that company alone, logged in."""
    user = bench.odoo.create("res.users", name=login, login=login, password=PASSWORD, company_id=company,
                             company_ids=[(6, 0, [company])])
    bench.odoo.grant(user, *GROUPS)
    return Odoo(bench.odoo.url, bench.odoo.database).login(login, PASSWORD)


def refused(call, *args):
    """What Odoo says instead of an answer."""
    try:
        answer = call(*args)
    except OdooError as error:
        return str(error)
    raise AssertionError(f"it was allowed, with the answer {answer!r}")


def expect_not_theirs(odoo, order):
    """Somebody of another company neither sees what bcpaid knows of the order nor marks it."""
    assert odoo.search("sale.order", ["id", "=", order]) == []
    assert odoo.search("bcpaid.capture", ["order_id", "=", order]) == []
    for search in (["bcpaid_situation", "!=", False], ["bcpaid_can_mark", "=", True]):
        assert order not in odoo.search("sale.order", search), search
    for call in (("action_bcpaid_mark", [order]), ("action_bcpaid_why_not", [order]), ("read", [order], ["bcpaid_status"])):
        assert "access" in refused(odoo.call, "sale.order", *call), call


@case
def companies(bench):
    """two companies with a store each: each order goes to its own store, and nobody sees or marks the other company's"""
    here, = bench.odoo.search("res.company", limit=1, order="id")
    there = company(bench, "Second company")
    first, second = user_of(bench, here, "first"), user_of(bench, there, "second")
    other = bench.other("second", second)

    ours, theirs, unpaid = bench.order(100), other.order(100), other.order(50)
    bench.shop.register([bench.shop.invoice(ours)])
    other.shop.register([other.shop.invoice(theirs)])
    other.shop.invoice(unpaid)
    bench.expect_captured(ours)
    other.expect_captured(theirs)
    other.expect_nothing(unpaid, "settled", "not_paid")
    assert second.read("sale.order", theirs, "bcpaid_status") == "Captured"
    assert len(second.search("bcpaid.capture", ["order_id", "=", theirs])) == 1
    for odoo, order in ((first, theirs), (first, unpaid), (second, ours)):
        expect_not_theirs(odoo, order)
    other.expect_nothing(unpaid, "settled", "not_paid")


@case
def branch(bench):
    """a branch with a store of its own, that uses the accounts and journals of its parent company"""
    parent, = bench.odoo.search("res.company", limit=1, order="id")
    company = bench.odoo.create("res.company", name="Branch", parent_id=parent)
    other = bench.other("branch", user_of(bench, company, "branch"), parent=bench.shop)
    order = other.order(100)
    assert other.odoo.read("sale.order", order, "company_id")[0] == company
    other.shop.register([other.shop.invoice(order)])
    other.expect_captured(order)
