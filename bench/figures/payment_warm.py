"""A full payment as Odoo registers it, with bcpaid's triggers, in a session that goes on."""

import payments

TARGET = "at most 1.02, and at most 0.2 ms more"


def measure(bench, before=()):
    mine, bare, ratio = payments.compare(bench, before)
    counted = payments.instructions(bench)
    return {"figure": mine, "unit": "ms", "limit": bare, "ratio": ratio, "met": ratio <= 1.02 and bare * (ratio - 1) <= 0.2,
            "limit_is": "the same payment without triggers", "more_ms": bare * (ratio - 1),
            "statements": len(payments.payment()), "instructions_ratio": counted[0] / counted[1]}
