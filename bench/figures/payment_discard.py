"""A full payment with bcpaid's triggers, after DISCARD ALL, as Odoo sends it before each request."""

from figures import payment_warm

TARGET = payment_warm.TARGET


def measure(bench):
    return payment_warm.measure(bench, before=("DISCARD ALL",))
