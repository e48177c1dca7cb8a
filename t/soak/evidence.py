"""All that is known after a soak: what people did, what bcpaid wrote down, what the stores saw."""

import collections
import re

from trouble import WRITING, named

Event = collections.namedtuple("Event", "token fact value committed seen")
Move = collections.namedtuple("Move", "at state reason by transaction")
Capture = collections.namedtuple("Capture", "id store remote order state reason captured_by marker sends")

JOURNAL = """SELECT token, order_id, fact, value, extract(epoch FROM pg_xact_commit_timestamp(xmin)) FROM soak.journal
              ORDER BY token"""
CAPTURES = """SELECT id, store_hash, remote_order_id, order_id, state, coalesce(reason, ''), coalesce(captured_by, ''), marker, sends
                FROM bcpaid.capture ORDER BY id"""
# Rows that say what became of the payment meanwhile are no change of state.
HISTORY = """SELECT capture_id, extract(epoch FROM at), state, coalesce(reason, ''), by, xmin FROM bcpaid.history
              WHERE reason IS NULL OR reason !~ '^the payment (was taken back|is there again)' ORDER BY at, ctid"""
STATUSES = "SELECT id, coalesce(bcpaid_payment_status, '') FROM sale_order"
LOUD = re.compile(r" (WARNING|ERROR|FATAL|PANIC):  (.*)")


class Evidence:
    """`seen`: by token, the first transaction that could not yet be seen right after the step's commit. `faults`: what
    the stores were told to do wrong, by number."""

    def __init__(self, place, seen, faults):
        self.place, self.faults, session = place, faults, place.server.session("postgres")
        journal, captures, history, statuses = session.run(JOURNAL, CAPTURES, HISTORY, STATUSES)
        session.close()
        self.events = collections.defaultdict(list)
        for token, order, fact, value, committed in journal:
            self.events[int(order)].append(Event(int(token), fact, value, float(committed), seen[int(token)]))
        self.captures = [Capture(int(id), store, int(remote), int(order), state, reason, by, marker, int(sends))
                         for id, store, remote, order, state, reason, by, marker, sends in captures]
        self.history = collections.defaultdict(list)
        for id, at, state, reason, by, transaction in history:
            self.history[int(id)].append(Move(float(at), state, reason, by, int(transaction)))
        self.status = {int(id): status for id, status in statuses}
        self._ask_the_stores()
        self.log = read_log(place.server.log)

    def _ask_the_stores(self):
        self.report = self.place.ask("GET", "report")
        self.taken = {(one["store"], one["order"]): one["captures"]
                      for one in self.place.ask("GET", "captures")["orders"]}
        self.writes = collections.defaultdict(list)
        for method in WRITING:
            for one in self.place.ask("GET", f"requests?method={method}")["requests"]:
                self.writes[one["store"], one["order"]].append(one)

    def requests(self, store, remote):
        return self.place.ask("GET", f"requests?store={store}&order={remote}")["requests"]

    def fault(self, request):
        return named(self.faults[request["fault"]]) if request["fault"] in self.faults else "none"

    def describe(self, order):
        """Everything about one order, as lines of text."""
        lines = [f"  order {order}, status {self.status.get(order, '(deleted)')!r}"]
        lines += [f"    {one.committed:.3f} Odoo: {one.fact} {one.value} (token {one.token}, seen before {one.seen})"
                  for one in self.events[order]]
        for capture in (one for one in self.captures if one.order == order):
            lines += [f"    capture {capture.id} of {capture.store}/{capture.remote}: {capture.state} {capture.reason}"]
            lines += [f"    {one.at:.3f} {one.state} by {one.by} in {one.transaction}: {one.reason}"
                      for one in self.history[capture.id]]
            lines += [f"    {one['at']:.3f} store: {one['method']} {one['path']} taken {one['taken']}, answer"
                      f" {(one['answer'] or {}).get('status', one['answer'])}, fault {self.fault(one)}"
                      for one in self.requests(capture.store, capture.remote)]
        return lines


def read_log(path):
    """What the server complained of, numbers left out: (level, text) and how often."""
    with open(path, errors="replace") as file:
        found = (LOUD.search(line) for line in file)
        return collections.Counter((one[1], re.sub(r"\d+", "N", one[2])) for one in found if one)
