"""What the cases of a person at the browser start from: the browser, the roles, and orders in each state."""

import atexit
import functools

from cases import case
from waiting import wait_for

PASSWORD = "password-of-the-cases"
ACCOUNTANT = ("account.group_account_invoice", "sales_team.group_sale_salesman_all_leads")
SALESMAN = ("sales_team.group_sale_salesman_all_leads",)


def browsed(function):
    """A case of a person at the browser. When it fails there is a picture of what was seen last; when it does not,
    nothing went wrong in the browser's console either."""
    @functools.wraps(function)
    def run(bench):
        person = person_at(bench)
        person.complaints()
        try:
            function(bench, person)
            assert not person.complaints(), person.complaints()
        except Exception:
            person.picture(f"failed-{function.__name__}")
            raise
    return case(run)


@functools.cache
def person_at(bench):
    """One browser for all cases; imported here, because a folder without Chromium runs the other cases."""
    from person import Person
    person = Person(bench.odoo.url, bench.screenshots)
    atexit.register(person.leave)
    return person


@functools.cache
def login_of(bench, name, groups):
    """A user with these groups, made once. Returns the name to log in by."""
    rows = [bench.odoo.search("ir.model.data", ["module", "=", module], ["name", "=", group])[0]
            for module, group in (group.split(".") for group in groups)]
    ids = [row["res_id"] for row in bench.odoo.call("ir.model.data", "read", rows, ["res_id"])]
    bench.odoo.create("res.users", name=name.title(), login=name, password=PASSWORD, group_ids=[(6, 0, ids)])
    return name


def as_accountant(bench, person):
    person.log_in(login_of(bench, "accountant", ACCOUNTANT), PASSWORD)


def refused_orders(bench, count):
    """Paid orders whose captures the store refused."""
    orders = [bench.order(price) for price in (100, 45.5, 60)[:count]]
    for order in orders:
        bench.sandbox.misbehave(do="answer", status=422, body={"status": 422, "title": "This order takes no captures yet"},
                                match={"method": "POST", "order": str(bench.remote_id(order))})
        pay_for(bench, order, "refused")
    return orders


def held_order(bench):
    """A paid order whose remote order is dearer."""
    order = bench.order(70)
    bench.sandbox.make_order(bench.remote_id(order), 75)
    pay_for(bench, order, "held")
    return order


def pay_for(bench, order, state):
    """Pays it, and waits until its capture is in that state."""
    bench.shop.register([bench.shop.invoice(order)])
    wait_for(lambda: (bench.capture(order) or {}).get("state") == state, f"the capture to be {state}")


def name_of(bench, order):
    return bench.odoo.read("sale.order", order, "name")
