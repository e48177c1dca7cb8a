"""What people do to an order in Odoo, step by step, and the accountants who do it."""

import collections
import heapq
import itertools
import threading
import time

from session import Lost, Refused

SOON, LATER = 0.04, 1.5     # Seconds: between payment and capture, most likely; and when that has come to its end.
# Serialization failure, deadlock: Odoo sends the request again, as we do.
AGAIN = ("40001", "40P01")
FAILED_ON_PURPOSE = "P0999"
# How many of a hundred orders go which way.
SHARES = {
    "paid": 66, "two invoices": 12, "failed first": 2, "taken back, paid again": 4, "taken back": 2,
    "cancelled": 2, "cancelled, confirmed again": 2, "credited": 2, "credited, paid out": 2,
    "linked elsewhere": 2, "unlinked, linked again": 2, "deleted": 1, "button": 1,
}
Step = collections.namedtuple("Step", "delay fact which")


def plan(kind, rng):
    """The steps of a story: (seconds since the step before, fact, of which invoice or to what)."""
    def soon():
        return rng.expovariate(1 / SOON)

    def later():
        return rng.uniform(0.2, 2 * LATER)
    start = [Step(0, "open", 2 if kind == "two invoices" else 1)]
    pay = Step(soon(), "pay", 0)
    after = {
        "paid": [], "two invoices": [], "failed first": [],
        "taken back, paid again": [Step(soon(), "unpay", 0), Step(later(), "pay", 0)],
        "taken back": [Step(soon(), "unpay", 0)],
        "cancelled": [Step(soon(), "state", "cancel")],
        "cancelled, confirmed again": [Step(soon(), "state", "cancel"), Step(later(), "state", "sale")],
        "credited": [Step(soon(), "credit", 1)],
        "credited, paid out": [Step(soon(), "credit", 2), Step(later(), "pay out", 0)],
        "linked elsewhere": [Step(soon(), "link", "other")],
        "unlinked, linked again": [Step(soon(), "link", ""), Step(later(), "link", "own")],
        "deleted": [Step(soon(), "delete", 0)],
        "button": [Step(soon(), "press", 0)],
    }[kind]
    if kind == "two invoices":
        return start + [Step(soon(), "pay both", 0)]
    return start + [Step(soon(), "fail", 0)] * (kind == "failed first") + [pay] + after


class Story:
    """One order: where it is, what comes next, and what the steps so far have made."""

    def __init__(self, number, store, kind, rng):
        self.number, self.store, self.kind = number, store, kind
        self.total = self.total_of(store)
        self.steps, self.invoices, self.payments = collections.deque(plan(kind, rng)), [], {}
        # Two apart: to pay two invoices takes two.
        self.tokens = itertools.count(number * 100, 2)
        self.hold = rng.choice((0, 0, 0, rng.uniform(0, 0.03)))
        self.order = self.credit = self.token = None
        self.remotes = {"own": str(1000 + number), "other": str(1_000_000 + number), "": ""}

    @staticmethod
    def total_of(store):
        """All orders of a store are of the same amount, in two equal parts if need be."""
        return 50 + 2 * store

    def statements(self, step, token):
        """The requests of a step: one, or two to be made at the same time."""
        if step.fact == "pay both":
            return [self._step(token + nth, "pay", str(nth), self._paying(nth), max(self.hold, 0.02))
                    for nth in (0, 1)]
        if step.fact == "fail":
            return [f"SELECT soak.fail($act${self._paying(0)}$act$, {self.hold})"]
        if step.fact == "press":
            return [f"SELECT bcpaid_mark({self.order})"]
        value, act = getattr(self, "_" + step.fact.replace(" ", "_"))(step.which)
        return [self._step(token, step.fact, value, act, self.hold)]

    def _step(self, token, fact, value, act, hold):
        return f"SELECT soak.step({token}, {self.order or 'NULL'}, '{fact}', '{value}', $act${act}$act$, {hold})"

    def _open(self, invoices):
        parts = ", ".join(f"fixture.invoice(o, {self.total / invoices})" for _ in range(invoices))
        return (f"{self.remotes['own']} {invoices} {self.total}", f"SELECT concat_ws(' ', o, {parts})"
                f" FROM fixture.order({self.total}, '{self.remotes['own']}', {self.store}) o")

    def _paying(self, nth):
        return f"SELECT fixture.pay({self.invoices[nth]})"

    def _pay(self, nth):
        return str(nth), self._paying(nth)

    def _unpay(self, nth):
        return str(nth), f"SELECT fixture.unpay({self.payments[nth]})"

    def _state(self, state):
        return state, f"UPDATE sale_order SET state = '{state}' WHERE id = {self.order} RETURNING id"

    def _credit(self, part):
        """All of the order, or half of it."""
        return f"{self.total / part}", f"SELECT fixture.credit({self.invoices[0]}, {self.total / part})"

    def _pay_out(self, _):
        return "", f"SELECT fixture.pay({self.credit})"

    def _link(self, to):
        remote = self.remotes[to]
        return remote, f"UPDATE sale_order SET bcpaid_remote_order_id = '{remote}' WHERE id = {self.order} RETURNING id"

    def _delete(self, _):
        return "", f"DELETE FROM sale_order WHERE id = {self.order} RETURNING id"

    def learn(self, step, results):
        """What the later steps must know."""
        if step.fact == "open":
            self.order, *self.invoices = map(int, results[0].split())
        elif step.fact in ("pay", "pay both"):
            self.payments = dict(enumerate(map(int, results)))
        elif step.fact == "credit":
            self.credit = int(results[0])


class Board:
    """The stories whose next step is due, soonest first."""

    def __init__(self):
        self.changed, self.waiting, self.open, self.order = threading.Condition(), [], 0, itertools.count()

    def add(self, story, when):
        with self.changed:
            heapq.heappush(self.waiting, (when, next(self.order), story))
            self.changed.notify()

    def take(self):
        """The next story, when it is due; None once there is none any more."""
        with self.changed:
            while self.waiting or self.open:
                left = self.waiting[0][0] - time.monotonic() if self.waiting else None
                if left is not None and left <= 0:
                    self.open += 1
                    return heapq.heappop(self.waiting)[2]
                self.changed.wait(left)
            return None

    def put_back(self, story):
        """After a step: its next one, or that it is over."""
        with self.changed:
            self.open -= 1
            if story.steps:
                heapq.heappush(self.waiting, (time.monotonic() + story.steps[0].delay, next(self.order), story))
            self.changed.notify_all()


class Accountant(threading.Thread):
    """Takes a step of one story after another; `seen` gets for each token what was visible right after its commit."""

    def __init__(self, server, board, seen):
        super().__init__(daemon=True)
        self.board, self.seen, self.problem = board, seen, None
        self.sessions = [server.session(default_transaction_isolation="repeatable\\ read") for _ in range(2)]
        self.paid = self.repeated = 0

    def run(self):
        try:
            while story := self.board.take():
                self._do(story)
                self.board.put_back(story)
        except Exception as problem:                # shown by who waits for us
            self.problem = problem

    def _do(self, story):
        step, token = story.steps[0], next(story.tokens)
        statements = story.statements(step, token)
        pending, results = list(range(len(statements))), [None] * len(statements)
        while pending:
            # Both are sent before the first answer is read: that is what "at the same time" means.
            for nth in pending:
                self._send(nth, statements[nth])
            pending = [nth for nth in pending if not self._received(nth, token + nth, results)]
        story.learn(step, results)
        story.steps.popleft()
        self.paid += step.fact in ("pay", "pay both")

    def _send(self, nth, statement):
        """And after it, in a transaction of its own: which transactions may still be invisible?"""
        try:
            self.sessions[nth].send(statement, "SELECT pg_snapshot_xmax(pg_current_snapshot())")
        except Lost:
            pass

    def _received(self, nth, token, results):
        try:
            done, visible = self.sessions[nth].receive(2)
        except Lost:                                # never sent, or who knows
            self.repeated += 1
            return False
        except Refused as error:
            self.repeated += error.state in AGAIN
            if error.state in AGAIN:
                return False
            if error.state in (FAILED_ON_PURPOSE, "55000"):
                return True
            raise
        results[nth] = done[0][0]
        self.seen[token] = int(visible[0][0])
        return True
