"""One remote order as the store keeps it: its members, its transactions and what was captured on it."""

import email.utils
import itertools
import time

from .match import SpecError, only_keys

NEVER = float("inf")
STATUS = ("Incomplete", "Pending", "Shipped", "Partially Shipped", "Refunded", "Cancelled", "Declined",
          "Awaiting Payment", "Awaiting Pickup", "Awaiting Shipment", "Completed", "Awaiting Fulfillment",
          "Manual Verification Required", "Disputed", "Partially Refunded")
# Above 2^53: a client that reads an int64 through a double shows itself.
FIRST_TRANSACTION_ID = 9007199254740993
_transaction_ids = itertools.count(FIRST_TRANSACTION_ID)

# What every order shows unless a test says otherwise: an offline order that awaits its payment. Shared by
# all orders, so that a million of them fit in memory.
TEMPLATE = {
    "customer_id": 1, "date_created": "Tue, 07 Apr 2026 09:00:00 +0000",
    "date_modified": "Tue, 07 Apr 2026 09:00:00 +0000", "date_shipped": "", "status_id": 7,
    "subtotal_ex_tax": "58.6900", "subtotal_inc_tax": "69.8400", "subtotal_tax": "11.1500",
    "total_ex_tax": "58.6900", "total_inc_tax": "69.8400", "total_tax": "11.1500", "items_total": 1,
    "items_shipped": 0, "payment_method": "Bank Deposit", "payment_provider_id": None,
    "payment_status": "", "refunded_amount": "0.0000", "order_is_digital": False,
    "store_credit_amount": "0.0000", "gift_certificate_amount": "0.0000", "ip_address": "192.0.2.1",
    "currency_id": 1, "currency_code": "USD", "currency_exchange_rate": "1.0000000000",
    "default_currency_id": 1, "default_currency_code": "USD", "staff_notes": "", "customer_message": "",
    "discount_amount": "0.0000", "coupon_discount": "0.0000", "is_deleted": False, "channel_id": 1,
    "external_id": None, "external_source": None, "order_source": "www",
    "billing_address": {"first_name": "Zoë", "last_name": "Example", "email": "zoe@shop.example",
                        "street_1": "1 Example Street", "city": "Example", "country_iso2": "US"},
}
LAGS = ("payment_status_lag", "transaction_lag")
OPTIONS = LAGS + ("transactions", "remove")


def lag(value):
    """How many reads still show the old state: a number, or "never" for ever."""
    if value == "never":
        return NEVER
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise SpecError(f'a lag is a number of reads or "never", not {value!r}')


class Order:
    """`members` holds only what differs from the template."""

    def __init__(self, order_id, members, options=None):
        self.id, self.members, self.removed = order_id, {}, ()
        self.transactions, self.captures, self.lags = [], [], {}
        self.old_status, self.old_status_reads = None, 0
        self.change(members, options or {})

    def change(self, members, options):
        only_keys(options, OPTIONS, "sandbox")
        self.members.update({key: _as_text(key, value) for key, value in members.items()})
        self.removed = tuple(options.get("remove", self.removed))
        self.lags.update({key: lag(options[key]) for key in LAGS if key in options})
        for members_of_one in options.get("transactions", ()):
            self.add_transaction(members_of_one)

    def get(self, name):
        return self.members.get(name, TEMPLATE.get(name))

    def shown(self):
        """The order as it truly is, all members."""
        whole = {"id": self.id, **TEMPLATE, **self.members}
        status_id = whole["status_id"]
        if isinstance(status_id, int) and 0 <= status_id < len(STATUS):
            whole.setdefault("status", STATUS[status_id])
        return {key: value for key, value in whole.items() if key not in self.removed}

    def read(self):
        """The order as a GET sees it: a changed payment_status may lag behind by some reads."""
        whole = self.shown()
        if self.old_status_reads > 0:
            self.old_status_reads -= 1
            whole["payment_status"] = self.old_status
        return whole

    def set_payment_status(self, status, reads):
        if reads:
            self.old_status, self.old_status_reads = self.get("payment_status"), reads
        self.members["payment_status"] = status
        self.members["date_modified"] = email.utils.formatdate()

    def add_transaction(self, given, reads=0):
        """Adds a transaction; `given` overrides any member, None removes nothing but is shown as null."""
        made = {"id": next(_transaction_ids), "order_id": str(self.id), "event": "capture",
                "method": "offline", "gateway": "custom", "gateway_transaction_id": None, "status": "ok",
                "amount": float(self.get("total_inc_tax") or 0), "currency": self.get("default_currency_code"),
                "test": False, "fraud_review": False, "reference_transaction_id": None,
                "offline": {"display_name": self.get("payment_method")}, "custom": None,
                "date_created": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())}
        made.update(given)
        self.transactions.append([made, reads])
        return made

    def read_transactions(self, first_page=True):
        """The transactions as a GET sees them. Only a first page counts as a read of a lagging one."""
        seen = []
        for item in self.transactions:
            if item[1] > 0:
                item[1] -= 1 if first_page else 0
            else:
                seen.append(item[0])
        return seen

    def paid_already(self):
        """Whether money was taken for it before, lag or no lag."""
        status = str(self.get("payment_status") or "").lower().replace("_", " ")
        return (status in ("captured", "paid", "partially refunded", "refunded")
                or any(one.get("event") in ("capture", "purchase", "settled") and one.get("status") == "ok"
                       for one, _ in self.transactions))


def _as_text(name, value):
    """v2 amounts are text with four decimals; a test may write a number."""
    is_amount = name.startswith(("total_", "subtotal_")) or name.endswith("_amount")
    if is_amount and isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{value:.4f}"
    return value
