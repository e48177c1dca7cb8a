"""The payment of a vendor bill, which bcpaid drops by the row alone: the instructions that a backend needs."""

import payments

TARGET = "at most 1.005"


def measure(bench):
    mine, bare = payments.instructions(bench, payments.BILL)
    return {"figure": mine, "unit": "instructions", "limit": bare, "met": mine / bare <= 1.005,
            "limit_is": "the same payment without triggers", "more": mine - bare}
