"""What goes wrong while the accountants work: at the stores, with the processes, and by operators' hands."""

import contextlib
import os
import signal
import threading
import time

from place import REQUEST_TIMEOUT_S
from session import Lost, Refused

# Of every request, one in so many is answered like this. What the store has done then is said by `taken`.
ANY = [
    (150, {"do": "drop"}),
    (150, {"do": "drop", "how": "reset"}),
    (300, {"do": "garbage"}),
    (500, {"do": "hang"}),
    (500, {"do": "hang", "seconds": 1, "then": "answer"}),
    (150, {"do": "answer", "status": 500}),
    (200, {"do": "answer", "status": 502, "shape": "html"}),
    (200, {"do": "answer", "status": 503, "shape": "empty"}),
    (300, {"do": "answer", "status": 504, "shape": "text"}),
    (5000, {"do": "answer", "status": 500, "shape": "huge"}),
    (400, {"do": "answer", "status": 408}),
    (400, {"do": "answer", "status": 409}),
    (400, {"do": "answer", "status": 423}),
    (200, {"do": "answer", "status": 429}),
    (300, {"do": "answer", "status": 429, "headers": {"X-Retry-After": "1"}}),
    (1000, {"do": "answer", "status": 400}),
    (1000, {"do": "answer", "status": 422, "shape": "v3-errors-array"}),
    (1000, {"do": "answer", "status": 404}),
    (4000, {"do": "answer", "status": 401}),
    (4000, {"do": "answer", "status": 403}),
    (4000, {"do": "redirect", "to": "https://elsewhere.example/"}),
    (300, {"do": "pass", "cut": 10}),
    (500, {"do": "pass", "drip": {"bytes": 40, "every_ms": 20}}),
    (100, {"do": "pass", "without": ["X-Rate-Limit-Requests-Left"]}),
    (300, {"do": "pass", "content_type": "text/html"}),
    (100, {"do": "pass", "close": True}),
    (100, {"do": "pass", "latency_ms": 300}),
]
# How an order is captured: by a transaction, or by a change of its status.
WRITING = ("POST", "PUT")
# Of every write. What comes late must land before a read may count, request_timeout + settle_time after the intent.
# 201 and nothing taken is a lie: after a yes there may be no second write.
WRITES = [
    (60, {"do": "drop", "taken": True}),
    (60, {"do": "drop", "taken": True, "how": "reset"}),
    (150, {"do": "hang", "taken": True}),
    (100, {"do": "garbage", "taken": True}),
    (60, {"do": "answer", "status": 500, "taken": True}),
    (100, {"do": "answer", "status": 504, "taken": True, "shape": "html"}),
    (100, {"do": "answer", "status": 200, "taken": True, "body": ""}),
    (100, {"do": "pass", "cut": 0}),
    (100, {"do": "pass", "cut": 30}),
    (100, {"do": "late", "seconds": 0.5}),
    (100, {"do": "late", "seconds": REQUEST_TIMEOUT_S / 2, "status": 504}),
    (200, {"do": "late", "seconds": REQUEST_TIMEOUT_S * 0.75}),
    (500, {"do": "answer", "status": 405}),
    (500, {"do": "answer", "status": 501}),
    (500, {"do": "answer", "status": 201, "body": ""}),
]
# For some seconds all is like this at one store.
BURSTS = [{"do": "drop"}, {"do": "answer", "status": 503}, {"do": "answer", "status": 429}, {"do": "hang"},
          {"do": "answer", "status": 401}]


class Trouble(threading.Thread):
    """Does one thing after the other, at random times, until it is over; counts them by name."""

    every_s = 1.0
    first = ()      # the beginnings of the names of what comes first, for no soak of two minutes may be without it

    def __init__(self, place, rng):
        super().__init__(daemon=True)
        self.place, self.rng, self.counts, self.over, self.problem = place, rng, {}, threading.Event(), None
        self.deeds = {name[5:].replace("_", " "): getattr(self, name) for name in dir(self) if name.startswith("deed")}

    def run(self):
        try:
            while not self.over.wait(self.rng.uniform(0.5, 1.5) * self.every_s):
                wanted = tuple(self.not_yet()) or ""
                name = self.rng.choice(sorted(name for name in self.deeds if name.startswith(wanted)))
                if self.deeds[name]() is not False:
                    self.counts[name] = self.counts.get(name, 0) + 1
        except Exception as problem:                # shown by who waits for us
            self.problem = problem

    def not_yet(self):
        return [one for one in self.first if not any(name.startswith(one) for name in self.counts)]

    def end(self):
        self.over.set()
        self.join()


class Killer(Trouble):
    """Ends processes. Each deed returns False if there was nobody to be ended. After it bcpaid keeps still for up to
    ten seconds: more often would leave it no time to be met at work."""

    every_s = 15.0
    first = ("worker killed", "cluster stopped")

    def deed_worker_killed(self):
        return self._signal("bcpaid worker", signal.SIGKILL)

    def deed_worker_sent_SIGTERM(self):
        return self._signal("bcpaid worker", signal.SIGTERM)

    def deed_launcher_sent_SIGTERM(self):
        return self.rng.random() < 0.4 and self._signal("bcpaid launcher", signal.SIGTERM)

    def deed_worker_terminated(self):
        """As Odoo's role, which may: the worker is a session of its own."""
        session = self.place.server.session()
        try:
            return session.value("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                                 " WHERE backend_type = 'bcpaid worker'") != "0"
        except (Lost, Refused):
            return False
        finally:
            session.close()

    def deed_cluster_stopped_immediately(self):
        self.place.server.stop("immediate")
        self.place.server.start()

    def deed_cluster_stopped_fast(self):
        self.place.server.stop("fast")
        self.place.server.start()

    def _signal(self, name, number):
        """Waits a little for one to be there, so that it is met at work."""
        for _ in range(200):
            with contextlib.suppress(ProcessLookupError):
                for process in self.place.server.processes(name):
                    os.kill(process, number)
                    return True
            if self.over.wait(0.02):
                break
        return False


class Weather(Trouble):
    """What is wrong with the stores for a while, besides what is wrong with single requests."""

    every_s = 2.0

    def order_faults(self):
        """Those of single requests."""
        self.place.ask("POST", "faults", [
            {"match": match, "chance": 1 / one_in, "times": "forever", **fault}
            for match, faults in (({}, ANY), *(({"method": one}, WRITES) for one in WRITING))
            for one_in, fault in faults])

    def deed_burst_of_faults(self):
        self.place.ask("POST", "faults", {"match": {"store": self.rng.choice(self.place.hashes)},
                                          "times": self.rng.randint(5, 30), **self.rng.choice(BURSTS)})

    def deed_quota_eaten_by_others(self):
        store = self.rng.choice(self.place.hashes)
        self.place.ask("POST", f"stores/{store}/quota", {"use": self.rng.randint(20, 100)})

    def deed_connections_closed(self):
        self.place.ask("POST", "disconnect", {"all": self.rng.random() < 0.5})

    def deed_handshakes_that_fail(self):
        bad = self.rng.choice(("close", "hang"))
        self._for_a_while("PATCH", "settings", {"handshake": bad}, {"handshake": "normal"})

    def deed_bad_certificate(self):
        bad = self.rng.choice(("expired", "wrong-host", "unknown-ca"))
        self._for_a_while("POST", "cert", {"cert": bad}, {"cert": "good"})

    def deed_slow_stores(self):
        self._for_a_while("PATCH", "settings", {"latency_ms": 200}, {"latency_ms": 0})

    def _for_a_while(self, method, path, bad, good):
        self.place.ask(method, path, bad)
        self.over.wait(self.rng.uniform(0.2, 0.6))
        self.place.ask(method, path, good)

    def end(self):
        """Fair again; returns the faults there were, by number."""
        super().end()
        faults = {fault["id"]: fault for fault in self.place.ask("GET", "faults")}
        self.place.ask("DELETE", "faults")
        self.place.ask("POST", "release", {})
        return faults


def named(fault):
    """What a fault is, in a few words."""
    words = [fault["do"]] + [str(fault[key]) for key in ("status", "how", "then") if key in fault]
    words += [key.replace("_", " ") for key in ("cut", "drip", "without", "content_type", "close", "latency_ms")
              if key in fault]
    return " ".join(words + ["taken"] * ("taken" in fault) + ["lie"] * (fault.get("status") == 201))


class Operator(Trouble):
    """A person at psql, not the most careful one."""

    every_s = 0.5

    def __init__(self, place, rng):
        super().__init__(place, rng)
        self.session = place.server.session()

    def deed_store_paused_and_resumed(self):
        store = self.rng.randint(1, len(self.place.hashes))
        self._say(f"SELECT bcpaid.pause({store})")
        self.over.wait(self.rng.uniform(0.1, 2))
        self._say(f"SELECT bcpaid.resume({store})")

    def deed_stopped_stores_resumed(self):
        return self._say("SELECT bcpaid.resume(id) FROM bcpaid.stores WHERE stopped_reason IS NOT NULL OR paused")

    def deed_capture_retried(self):
        return self._to_some("retry", "'refused', 'held', 'cancelled', 'waiting', 'queued'")

    def deed_capture_cancelled(self):
        return self.rng.random() < 0.3 and self._to_some("cancel", "'queued', 'claimed', 'waiting', 'refused', 'held'")

    def deed_store_retried(self):
        return self._say(f"SELECT bcpaid.retry_store({self.rng.randint(1, len(self.place.hashes))})")

    def deed_sweep(self):
        return self.rng.random() < 0.1 and self._say("SELECT bcpaid.sweep()")

    def _to_some(self, what, states):
        """The youngest in a state where it can be done when we look; it need not be any more when we do it."""
        return self._say(f"SELECT bcpaid.{what}(id) FROM (SELECT id FROM bcpaid.captures WHERE state IN ({states})"
                         " ORDER BY changed_at DESC LIMIT 1) c")

    def _say(self, statement):
        try:
            return self.session.run(statement)[0] != []
        except (Lost, Refused):
            return False
