"""Was money taken twice, lost, or taken too early? The promises, held against the evidence."""

import itertools
import re

from place import KINDS, REQUEST_TIMEOUT_S, SETTLE_S

# From state to state; by the worker, and by a person. None: enqueued.
WORKER = {
    None: "queued",
    "queued": "claimed waiting cancelled",
    "claimed": "sending captured waiting held refused not_ours queued cancelled",
    "sending": "captured unknown refused waiting queued held",
    "unknown": "unknown sending captured held waiting queued cancelled",
    "waiting": "claimed waiting cancelled",
    "captured": "applied",
    "applied": "", "refused": "", "held": "", "not_ours": "", "cancelled": "",
}
PERSON = {
    None: "queued",
    "queued": "queued cancelled", "claimed": "cancelled", "waiting": "queued cancelled",
    "refused": "queued cancelled", "held": "queued cancelled", "cancelled": "queued",
    "sending": "", "unknown": "", "captured": "", "applied": "", "not_ours": "",
}
# The ends of an order that is eligible and not captured: (state, reason), each with what must be its cause.
EXCUSES = [
    ("cancelled", r"^cancelled by hand$", "by hand"),
    ("held", r"^the store wants .* Odoo settled", "credited"),
    ("held", r"^the store said that it recorded the capture, but does not show it$", "lie"),
    ("held", r"^sent before, outcome not known; now: ", "fault"),
]
# What the server may say of numbers N: processes were ended, requests of Odoo met, operators erred. Where an operator
# and the worker want the same rows, the worker gives way, and comes again. It locks the table of notes for a moment
# to make it small again; who pays then is swept at once.
EXPECTED = [
    r"FATAL: terminating (connection|autovacuum process|background worker \"bcpaid (worker|launcher).*\") due to administrator command",
    r"(FATAL|WARNING): terminating connection (because of crash of another server process|due to immediate shutdown)",
    r"FATAL: the database system is (starting up|shutting down|in recovery mode|not (yet )?accepting)",
    r"ERROR: canceling statement due to lock timeout",
    r"WARNING: bcpaid could not note this payment: table bcpaid.candidate is locked",
    r"ERROR: could not serialize access due to concurrent (update|delete)",
    r"ERROR: soak: this request fails",
    r"ERROR: cannot (retry|cancel) capture N",
    r"ERROR: order N cannot be marked as paid",
]


class Verdict:
    """`findings` is what is wrong: (order or None, why)."""

    def __init__(self, evidence):
        self.evidence, self.findings = evidence, []
        self.exact = self.open = 0      # intents of which it is known what they saw, and the others
        self.never_twice()
        for capture in evidence.captures:
            self.walk_is_legal(capture)
            self.writes_are_explained(capture)
            self.was_eligible_when_sent(capture)
            self.stores_agree(capture)
        self.ledger_is_complete()
        self.nothing_is_lost()
        self.odoo_agrees()
        self.server_is_calm()

    def wrong(self, order, why):
        self.findings.append((order, why))

    # --- Never twice ---

    def never_twice(self):
        for one in self.evidence.report["doubles"]:
            self.wrong(None, f"{one['store']}/{one['order']}: {one['why']}")
        for (store, remote), captures in self.evidence.taken.items():
            if len(captures) != 1:
                self.wrong(None, f"{store}/{remote} was captured {len(captures)} times")
        for one in self.evidence.report["violations"]:
            # A worker that is killed ends in the middle of a request.
            if one["code"] != "bad-request" or "the connection ended within" not in one["message"]:
                self.wrong(None, f"a request broke a rule: {one}")

    # --- Every capture explained ---

    def walk_is_legal(self, capture):
        moves, before = self.evidence.history[capture.id], None
        for one in moves:
            allowed = (WORKER if one.by in ("worker", "bcpaid") else PERSON)[before]
            if one.state not in allowed.split():
                self.wrong(capture.order, f"capture {capture.id} went from {before} to {one.state} by {one.by}")
            before = one.state
        if before != capture.state:
            self.wrong(capture.order, f"capture {capture.id} is {capture.state}, its history ends with {before}")
        for first, second in itertools.pairwise(n for n, one in enumerate(moves) if one.state == "sending"):
            self.second_write_is_allowed(capture, moves[first:second + 1])

    def second_write_is_allowed(self, capture, moves):
        """From one intent to the next: either the first one surely came to nothing, or it was looked for twice."""
        if not any(one.state == "unknown" for one in moves):
            return
        reads = [one for one in moves if one.reason == "sent, outcome not known; one read did not find it"]
        if not reads or moves[-1].at - moves[0].at < REQUEST_TIMEOUT_S + 2 * SETTLE_S:
            self.wrong(capture.order, f"capture {capture.id} was sent again without two agreeing reads")

    def writes_are_explained(self, capture):
        """Each write arrived after an intent and before the next one, one for each at most."""
        intents = [one.at for one in self.evidence.history[capture.id] if one.state == "sending"]
        arrived = [one["at"] for one in self.evidence.writes.get((capture.store, capture.remote), [])]
        if len(intents) != capture.sends:
            self.wrong(capture.order, f"capture {capture.id} counts {capture.sends} writes, its history {len(intents)}")
        for begin, end in zip([0, *intents], [*intents, float("inf")]):
            count = sum(begin <= at < end for at in arrived)
            if count > (begin > 0):
                self.wrong(capture.order, f"capture {capture.id}: {count} writes arrived between {begin} and {end}")

    def stores_agree(self, capture):
        """Captured at the store, and said to be; or neither, unless a person was asked to look."""
        taken = self.evidence.taken.get((capture.store, capture.remote), [])
        if any(one["marker"] != capture.marker for one in taken):
            self.wrong(capture.order, f"capture {capture.id} was taken under another marker")
        kinds = KINDS[self.evidence.place.strategies[capture.store]]
        if any(one["kind"] not in kinds for one in taken):
            self.wrong(capture.order, f"capture {capture.id} is a {taken[0]['kind']}, the store's is {' or '.join(kinds)}")
        if taken and capture.captured_by not in ("", "bcpaid"):
            self.wrong(capture.order, f"capture {capture.id} is said to be captured by {capture.captured_by}")
        if capture.state == "held" and capture.reason.startswith("sent before"):
            return
        if bool(taken) != (capture.state in ("captured", "applied")):
            self.wrong(capture.order, f"capture {capture.id} is {capture.state}, the store has {len(taken)}")

    def ledger_is_complete(self):
        known = {(one.store, one.remote) for one in self.evidence.captures}
        for store, remote in set(self.evidence.writes) - known:
            self.wrong(None, f"the ledger does not know {store}/{remote}, to which was written")

    def odoo_agrees(self):
        applied = {one.order for one in self.evidence.captures if one.state == "applied" and not self.is_elsewhere(one)}
        for order, status in self.evidence.status.items():
            if (order in applied) != (status == "Captured"):
                self.wrong(order, f"Odoo shows {status!r}, applied is {order in applied}")

    def is_elsewhere(self, capture):
        """Captured, while somebody linked the order to another remote order: Odoo's status is for that one."""
        return (capture.reason == "the order is linked to another remote order now"
                and any(one.fact == "link" for one in self.evidence.events[capture.order]))

    # --- Never early ---

    def was_eligible_when_sent(self, capture):
        """
        Eligibility is judged in the transaction of the intent, by one snapshot, which is taken after that transaction
        has its id and before the row of history is written. So what had been seen to be committed before the id was
        given out was in it, what was committed after the row was written was not, and the rest may have been or not.
        """
        for move in self.evidence.history[capture.id]:
            if move.state != "sending":
                continue
            events, possible = self.evidence.events[capture.order], []
            for n in range(len(events) + 1):
                if (not any(one.committed > move.at for one in events[:n])
                        and not any(one.seen <= move.transaction for one in events[n:])):
                    possible.append(eligible_for(events[:n]))
            if str(capture.remote) not in possible:
                self.wrong(capture.order, f"capture {capture.id} was sent in transaction {move.transaction},"
                           f" when the order was eligible for {possible}")
            self.exact += len(possible) == 1
            self.open += len(possible) > 1

    # --- Never lost ---

    def nothing_is_lost(self):
        by_remote = {(one.order, one.remote): one for one in self.evidence.captures}
        for order, events in self.evidence.events.items():
            remote = eligible_for(events)
            if remote is None or self.evidence.status.get(order) == "Captured":
                continue
            capture = by_remote.get((order, int(remote)))
            if capture is None and not any(one.fact == "pay out" for one in events):
                self.wrong(order, "it is eligible, and has no capture")
            elif capture is not None and not self.is_excused(capture, events):
                self.wrong(order, f"it is eligible, and capture {capture.id} is {capture.state}: {capture.reason}")

    def is_excused(self, capture, events):
        for state, reason, cause in EXCUSES:
            if capture.state == state and re.search(reason, capture.reason):
                return {"by hand": self.evidence.history[capture.id][-1].by == "odoo",
                        "credited": any(one.fact == "credit" for one in events),
                        "fault": self.faults_of(capture) != {"none"},
                        "lie": "answer 201 lie" in self.faults_of(capture)}[cause]
        return False

    def faults_of(self, capture):
        return {self.evidence.fault(one) for one in self.evidence.requests(capture.store, capture.remote)}

    # --- Calm ---

    def server_is_calm(self):
        for (level, text), count in self.evidence.log.items():
            if not any(re.match(pattern, f"{level}: {text}") for pattern in EXPECTED):
                self.wrong(None, f"the server's log says, {count} times: {level}: {text}")

    def times(self):
        """Seconds from what made an order eligible to Captured in Odoo, shortest first."""
        found = []
        for capture in self.evidence.captures:
            moves = self.evidence.history[capture.id]
            if capture.state != "applied" or moves[-1].state != "applied":
                continue
            sent = max((one.at for one in moves if one.state == "sending"), default=moves[-1].at)
            causes = [one.committed for one in self.evidence.events[capture.order] if one.committed <= sent]
            end = next(one.at for one in moves if one.state == "applied")
            found.append((end - max(causes), capture.order))
        return sorted(found)


def eligible_for(events):
    """The remote order that may be captured for an order after these events, or None."""
    remote, confirmed, unpaid, open_credits, net = None, True, set(), 0, 0
    for one in events:
        if one.fact == "open":
            remote, invoices, total = one.value.split()
            unpaid, net = {str(n) for n in range(int(invoices))}, float(total)
        elif one.fact == "pay":
            unpaid.discard(one.value)
        elif one.fact == "unpay":
            unpaid.add(one.value)
        elif one.fact == "state":
            confirmed = one.value == "sale"
        elif one.fact == "credit":
            open_credits, net = open_credits + 1, net - float(one.value)
        elif one.fact == "pay out":
            open_credits -= 1
        elif one.fact == "link":
            remote = one.value or None
        elif one.fact == "delete":
            return None
    return remote if confirmed and not unpaid and not open_credits and net > 0 else None
