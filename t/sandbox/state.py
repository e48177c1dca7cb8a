"""What the sandbox knows: stores, their orders, and what happened. One lock over all of it."""

import collections
import random
import threading
import time

from .match import SpecError, only_keys
from .order import Order, lag
from .quota import DEFAULTS as QUOTA_DEFAULTS
from .quota import PLANS, Quota

ALL_SCOPES = ["store_v2_orders", "store_v2_transactions", "store_v2_information_read_only"]
# name: (default, the values allowed; None means that the code that uses it looks).
SETTINGS = {
    "token": (None, None), "scopes": (ALL_SCOPES, None), "tokens": (None, None),
    "plan": ("standard", tuple(PLANS)), "quota": ({}, None), "latency_ms": (0, None),
    "name": ("Sandbox Store", None), "currency": ("USD", None),
    "payment_status_lag": (0, None), "transaction_lag": (0, None),
    "captured_status": ("captured", None), "status_change_sets": ("captured", None),
    "second_capture": ("accept", ("accept", "refuse")),
    "capture_status": (201, (200, 201)), "capture_answer": ("full", ("full", "minimal", "empty")),
    "empty_transactions": ("list", ("list", "204")), "page_size": (250, None),
    "amount_must_match": (True, (True, False)), "orders_on_demand": (None, None),
}


class Store:
    """One BigCommerce store: settings, tokens with their scopes, quota, orders."""

    def __init__(self, store_hash, settings):
        self.hash, self.orders = store_hash, {}
        self.settings = {name: default for name, (default, _) in SETTINGS.items()}
        self.captures = self.throttled = self.requests = 0
        self.change(settings)

    def change(self, settings):
        only_keys(settings, SETTINGS, "store")
        for name, value in settings.items():
            allowed = SETTINGS[name][1]
            if allowed and value not in allowed:
                raise SpecError(f"store: {name} is one of {allowed}, not {value!r}")
        only_keys(settings.get("quota", {}), QUOTA_DEFAULTS, "quota")
        merged = {**self.settings, **settings}
        self.lags = {name: lag(merged[name]) for name in ("payment_status_lag", "transaction_lag")}
        self.settings = merged
        self.tokens = dict(merged["tokens"] or {})
        if merged["token"]:
            self.tokens[merged["token"]] = merged["scopes"]
        if not hasattr(self, "quota") or "quota" in settings or "plan" in settings:
            self.quota = Quota(merged["plan"], merged["quota"])

    def order(self, order_id):
        """The order, made at the first touch where the store has orders on demand; else None."""
        found = self.orders.get(order_id)
        if found is None and self.settings["orders_on_demand"] is not None and order_id > 0:
            found = self.orders[order_id] = Order(order_id, self.settings["orders_on_demand"])
        return found

    def lag_of(self, order, name):
        return order.lags.get(name, self.lags[name])

    def summary(self):
        """The settings without the tokens, and the counts."""
        shown = {key: value for key, value in self.settings.items() if key not in ("token", "tokens")}
        return {"store": self.hash, "settings": shown, "tokens": len(self.tokens),
                "orders": len(self.orders), "requests": self.requests, "captures": self.captures,
                "throttled": self.throttled,
                "quota": {"left": self.quota.left(), "limit": self.quota.limit,
                          "reset_ms": self.quota.reset_ms()}}


def masked(text, tokens):
    """The text without these tokens. One of a few letters stays: it would blot out half of the text."""
    for token in tokens:
        if token and len(token) >= 6:
            text = text.replace(token, "***")
    return text


class World:
    """Everything. `changed` is notified after each change, so that a wait needs no polling."""

    def __init__(self, keep=10_000, seed=None):
        self.changed = threading.Condition(threading.RLock())
        self.stores, self.faults, self.held = {}, [], []
        self.log = collections.deque(maxlen=keep)
        self.violations, self.doubles, self.tls_failed = [], [], []
        self.latency_ms, self.last, self.opened, self.next_fault = 0, 0, 0, 1
        self.connections, self.handshake = {}, "normal"
        self.random = random.Random(seed)

    def reset(self, keep_stores=False):
        """Forgets what happened, and the stores too unless they are to stay; lets go what is held."""
        with self.changed:
            self.release(void=True)
            if not keep_stores:
                self.stores.clear()
            self.faults.clear()
            self.latency_ms, self.handshake = 0, "normal"
            for happened in (self.log, self.violations, self.doubles, self.tls_failed):
                happened.clear()
            self.changed.notify_all()

    def record(self, entry):
        """Notes a request that has just arrived; numbers only ever grow, also over a reset."""
        with self.changed:
            self.last += 1
            entry["n"] = self.last
            entry["at"] = time.time()
            self.log.append(entry)
            store = self.stores.get(entry["store"])
            if store:
                store.requests += 1
            self.changed.notify_all()

    def answered(self, entry, answer):
        with self.changed:
            entry["answer"], entry["answered_at"] = answer, time.time()
            self.changed.notify_all()

    def violation(self, entry, code, message, refused=True):
        """A request broke a rule. Tests assert that this list is empty."""
        with self.changed:
            tokens = [token for store in self.stores.values() for token in store.tokens]
            self.violations.append({"n": entry.get("n"), "code": code, "message": masked(message, tokens),
                                    "request": f"{entry.get('method')} {entry.get('path')}",
                                    "store": entry.get("store"), "order": entry.get("order"),
                                    "refused": refused})
            self.changed.notify_all()

    def capture(self, store, order, entry, kind, marker, amount):
        """Notes that money was taken. More than once for an order is what bcpaid may never do."""
        why = "captured twice" if order.captures else "was paid already" if order.paid_already() else None
        order.captures.append({"n": entry["n"], "kind": kind, "marker": marker, "amount": amount,
                               "at": time.time()})
        store.captures += 1
        if why:
            self.doubles.append({"store": store.hash, "order": order.id, "why": why,
                                 "captures": list(order.captures)})

    def hold(self, kind, n=None, fault_id=None):
        """Registers something that goes on when it is released; returns what to wait on."""
        item = {"kind": kind, "n": n, "fault": fault_id, "event": threading.Event(), "void": False}
        with self.changed:
            self.held.append(item)
            self.changed.notify_all()
        return item

    def let_go(self, item):
        with self.changed:
            if item in self.held:
                self.held.remove(item)
            self.changed.notify_all()

    def release(self, fault_id=None, void=False):
        """Lets go what is held. `void`: and it does nothing any more, it belongs to a test that is over."""
        with self.changed:
            chosen = [item for item in self.held if fault_id in (None, item["fault"])]
            for item in chosen:
                item["void"] = void
                item["event"].set()
            return len(chosen)
