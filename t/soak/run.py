#!/usr/bin/env python3
"""The soak: thousands of payments while all that can go wrong does; then nothing may be wrong.

Runs as a user that PostgreSQL accepts, with the server's programs in PATH and a directory in BCPAID_WORK. Ends with
0 only if every promise that verdict.py holds was kept. The seed decides who does what; when, the machine does.
"""

import argparse
import os
import random
import sys
import tempfile
import time

from evidence import Evidence
from figures import figures
from place import Watch, place_in, wait_until
from shop import Problem
from stories import SHARES, Accountant, Board, Story
from trouble import Killer, Operator, Weather
from verdict import Verdict

FULL_S, FULL_ORDERS = 600, 10_000
SHORT_S = 120                   # what CI does
ACCOUNTANTS = 6
LOAD = 0.75                     # so much of the time orders come in; the rest is for what is still under way
QUIET_S = 600                   # on the busiest machine
DESCRIBED, SHOWN = 3, 20        # findings: with all that is known, and in a line
PLANS = ("standard", "standard", "plus", "pro", "unlimited")
LEFT = """
SELECT (SELECT count(*) FROM bcpaid.candidate) || ' candidates, ' || coalesce((
       SELECT string_agg(n || ' ' || state, ', ') FROM (SELECT state, count(*) AS n FROM bcpaid.capture
        WHERE state IN ('queued', 'claimed', 'sending', 'captured', 'unknown')
           OR (state = 'waiting' AND due < 'infinity')
        GROUP BY state) c), 'all settled') || CASE WHEN swept_at > '{since}' THEN ', swept' ELSE ', not swept' END
  FROM bcpaid.progress"""


def arguments():
    parser = argparse.ArgumentParser(prog="script/soak", description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9),
                        help="to do what was done in the run that printed it")
    parser.add_argument("--seconds", type=int, default=FULL_S, help=f"about so long, {FULL_S} by default")
    parser.add_argument("--orders", type=int, help=f"by default {FULL_ORDERS} for {FULL_S} s")
    parser.add_argument("--stores", type=int, default=20)
    chosen = parser.parse_args()
    chosen.orders = chosen.orders or FULL_ORDERS * chosen.seconds // FULL_S
    return chosen


class Soak:
    def __init__(self, chosen):
        self.chosen, self.rng = chosen, random.Random(chosen.seed)
        # Each has chances of its own, so that the haste of one changes nothing for the others.
        self.chances = {name: random.Random(self.rng.random()) for name in ("stories", "killer", "weather", "operator")}

    def run(self):
        """True if nothing is wrong."""
        directory = tempfile.mkdtemp(dir=os.environ.get("BCPAID_WORK"))
        with place_in(directory, self.chosen.stores, self.chosen.seed, self.make_stores) as self.place:
            self.work()
            self.calm_down()
            self.evidence = Evidence(self.place, self.seen, self.faults)
            self.verdict = Verdict(self.evidence)
            self.expect_trouble()
            for what, how_many in figures(self):
                print(f"{what:<16}  {how_many}")
            self.tell_findings()
        return not self.verdict.findings

    def make_stores(self, place):
        for number, name in enumerate(place.hashes, start=1):
            place.ask("PUT", f"stores/{name}", {
                "token": f"{name}-token", "plan": self.rng.choice(PLANS), "second_capture": "accept",
                "quota": {"kind": self.rng.choice(("fixed", "sliding")), "retry_after": self.rng.random() < 0.5},
                "capture_answer": self.rng.choices(("full", "minimal", "empty"), (8, 1, 1))[0],
                "empty_transactions": self.rng.choice(("list", "204")), "latency_ms": self.rng.choice((0, 0, 5, 30)),
                "orders_on_demand": {"status_id": 7, "total_inc_tax": f"{Story.total_of(number)}.0000"}})

    # --- The work, and what is in its way ---

    def work(self):
        self.began, self.seen, board = time.monotonic(), {}, Board()
        for story in self.stories():
            board.add(story, self.began + story.number * LOAD * self.chosen.seconds / self.chosen.orders)
        self.watch = Watch(self.place.server)
        self.killer = Killer(self.place, self.chances["killer"])
        self.weather = Weather(self.place, self.chances["weather"])
        self.operator = Operator(self.place, self.chances["operator"])
        self.accountants = [Accountant(self.place.server, board, self.seen) for _ in range(ACCOUNTANTS)]
        self.weather.order_faults()
        for one in (self.watch, self.killer, self.weather, self.operator, *self.accountants):
            one.start()
        while any(one.is_alive() for one in self.accountants):
            time.sleep(0.5)
            for one in (self.killer, self.weather, self.operator, *self.accountants):
                if one.problem:
                    raise one.problem
        self.worked = time.monotonic() - self.began

    def stories(self):
        rng, kinds = self.chances["stories"], list(SHARES)
        chosen = rng.choices(kinds, [SHARES[kind] for kind in kinds], k=self.chosen.orders)
        return [Story(n, rng.randint(1, self.chosen.stores), kind, rng) for n, kind in enumerate(chosen)]

    def calm_down(self):
        """No faults any more, and the operator has what was stopped go on. Only what was refused needs a hand more."""
        self.killer.end()
        self.operator.end()
        self.faults = self.weather.end()
        self.faulty = time.monotonic() - self.began
        session = self.place.server.session()
        for clean_up in ("SELECT bcpaid.resume(id) FROM bcpaid.stores",
                         "SELECT bcpaid.retry(id) FROM bcpaid.captures WHERE state = 'refused'"):
            session.run(clean_up)
            since = session.value("SELECT clock_timestamp()")
            wait_until("all is quiet", lambda: self.unsettled(since), QUIET_S)
        session.close()
        self.took = time.monotonic() - self.began
        self.watch.over.set()

    def unsettled(self, since):
        """What is in the way of being quiet, a sweep that began after all is over included."""
        session = self.place.server.session("postgres")
        # An answer that was on its way may still have stopped one.
        session.run("SELECT bcpaid.resume(id) FROM bcpaid.stores WHERE stopped_reason IS NOT NULL")
        left = session.value(LEFT.format(since=since))
        session.close()
        return "" if left == "0 candidates, all settled, swept" else left

    def expect_trouble(self):
        """A soak in which nothing went wrong shows nothing."""
        for name in ("killer", "weather", "operator"):
            one = getattr(self, name)
            missing = (sorted(set(one.deeds) - set(one.counts)) if self.chosen.seconds >= FULL_S
                       else one.not_yet() if self.chosen.seconds >= SHORT_S else [])
            if missing or not one.counts:
                self.verdict.wrong(None, f"the {name} never did this: {', '.join(missing) or 'anything'}")

    def tell_findings(self):
        """What is read first at the end."""
        findings = self.verdict.findings
        for order in list(dict.fromkeys(order for order, _ in findings if order is not None))[:DESCRIBED]:
            print("\n".join(self.evidence.describe(order)))
        for order, why in findings[:SHOWN]:
            print(f"WRONG {'' if order is None else f'order {order}: '}{why}")
        print(f"{len(findings)} things are wrong; again with: script/soak --seed {self.chosen.seed} --seconds"
              f" {self.chosen.seconds} --orders {self.chosen.orders} --stores {self.chosen.stores}" if findings else
              "Nothing is wrong: no order captured twice, none lost, none too early, every capture explained.")


def main():
    chosen = arguments()
    print(f"{'seed':<16}  {chosen.seed}", flush=True)
    try:
        return 0 if Soak(chosen).run() else 1
    except Problem as problem:
        print(f"WRONG {problem}\nagain with: --seed {chosen.seed}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
