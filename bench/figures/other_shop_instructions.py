"""The payment of a customer's invoice that no BigCommerce order is behind: the instructions that a backend needs."""

import payments

TARGET = "at most 1.01"


def measure(bench):
    mine, bare = payments.instructions(bench, payments.INVOICE)
    return {"figure": mine, "unit": "instructions", "limit": bare, "met": mine / bare <= 1.01,
            "limit_is": "the same payment without triggers", "more": mine - bare}
