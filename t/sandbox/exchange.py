"""One request and what becomes of it: take it and answer, or misbehave as a test ordered."""

import base64
import json
import socket
import struct
import threading
import time

from . import calls, faults
from .errors import shaped
from .wire import Answer

GARBAGE = b"\x16\x03\x01\x00\xff\xfe HELO garbage, no HTTP\r\n\r\n\x00\x00"
SHOWN_BODY = 2000
HANG_CHECK_S = 0.05     # How often to look whether the client of a hanging request has left.


class Exchange:
    """`run` says whether the connection can be used for the next request; `leaves()`, whether it is to be the last."""

    def __init__(self, world, wire, request, entry, leaves):
        self.world, self.wire, self.request, self.entry, self.leaves = world, wire, request, entry, leaves
        self.call = calls.route(request)
        entry.update(store=self.call.store, order=self.call.order, call=self.call.name,
                     query=request.query())
        self._know_token()

    def _know_token(self):
        """Says in the log whether the token is a good one, so that the token itself need not be there."""
        given, store = self.request.header("x-auth-token"), self.world.stores.get(self.call.store)
        known = store.tokens if store else {}
        self.entry["token"] = "missing" if not given else "ok" if given in known else "wrong"
        self.entry["scopes"] = known.get(given, ())

    def run(self):
        self.world.record(self.entry)
        self.judged = calls.judge(self.world, self.call, self.request, self.entry)
        fault = faults.due(self.world, self.entry)
        self._be_slow(fault)
        if fault is None:
            return self._send(self._take())
        return getattr(self, "do_" + fault.do)(fault)

    def _be_slow(self, fault):
        store = self.world.stores.get(self.call.store)
        wait_ms = (self.world.latency_ms + (store.settings["latency_ms"] if store else 0)
                   + (fault.get("latency_ms", 0) if fault else 0))
        if wait_ms:
            time.sleep(wait_ms / 1000)

    def _take(self):
        return calls.take(self.world, self.call, self.judged, self.entry)

    def do_answer(self, fault):
        """Another answer than the true one; with `taken` the store has done what it was asked all the same.

        If it refused that, it does not say yes: the true answer is sent.
        """
        answer = made_answer(fault, self.call.version)
        if fault.get("taken"):
            true = self._take()
            if true.status >= 400 > answer.status:
                return self._send(true, fault)
            answer.headers += [pair for pair in true.headers if pair[0].startswith("X-")]
        return self._send(answer, fault)

    def do_pass(self, fault):
        """The true answer, spoilt."""
        answer = self._take()
        answer.status = fault.get("status", answer.status)
        if fault.get("content_type") is not None:
            answer.set_header("Content-Type", fault.get("content_type"))
        return self._send(answer, fault)

    def do_drop(self, fault):
        """No answer: before the request is taken or, with `taken`, after (the answer is lost)."""
        if fault.get("taken"):
            self._take()
        return self._drop(fault.get("how", "close"))

    def do_hang(self, fault):
        """Silence until released or for some seconds; `then` answer means: as if nothing had been."""
        answer = self._take() if fault.get("taken") else None
        void = self._silence(fault)
        if void or fault.get("then", "close") == "close" or self.entry.get("client_left"):
            return self._drop("close")
        return self._send(answer or self._take())

    def do_garbage(self, fault):
        """Bytes that are no HTTP."""
        if fault.get("taken"):
            self._take()
        body = fault_bytes(fault)
        self.wire.send(GARBAGE if body is None else body)
        return self._drop("close", "garbage")

    def do_redirect(self, fault):
        """A client that follows it hands our token to a stranger."""
        answer = Answer(fault.get("status", 302), b"", [("Location", fault.get("to"))])
        return self._send(answer, fault)

    def do_late(self, fault):
        """No answer, or an error, and the request is taken later: the 504 that was a success after all."""
        item = self.world.hold("late", self.entry["n"], fault.number)
        threading.Thread(target=self._land, args=(item, fault.get("seconds")), daemon=True).start()
        if "status" in fault.spec:
            return self._send(made_answer(fault, self.call.version), fault)
        return self._drop("close")

    def _land(self, item, seconds):
        item["event"].wait(seconds)
        if not item["void"]:
            self._take()
        self.world.let_go(item)

    def _silence(self, fault):
        """Waits for the release, the time or the client's leaving, whichever is first."""
        item = self.world.hold("hang", self.entry["n"], fault.number)
        ends = time.monotonic() + fault.get("seconds", 10**6)
        while not item["event"].wait(HANG_CHECK_S) and time.monotonic() < ends:
            if self.wire.peer_has_left():
                self.entry["client_left"] = True
                break
        self.world.let_go(item)
        return item["void"]

    def _drop(self, how, what="dropped"):
        """Ends the connection; `reset` sends RST instead of FIN."""
        if how == "reset":
            self.wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.world.answered(self.entry, {"what": what, "how": how})
        return False

    def _send(self, answer, fault=None):
        spoil = fault.get if fault else {}.get
        for name in spoil("without", ()):
            answer.set_header(name, None)
        for name, value in spoil("headers", {}).items():
            answer.set_header(name, value)
        if spoil("header_case"):
            answer.headers = [(getattr(name, spoil("header_case"))(), value) for name, value in answer.headers]
        if self.leaves():
            answer.set_header("Connection", "close")
        cut, drip = spoil("cut"), spoil("drip")
        if cut is not None:
            answer.declared, answer.body = len(answer.body) + 1000, answer.body[:cut]
        self._note(answer, bool(drip))
        if drip:
            self._drip(answer.encode(), drip)
        else:
            self.wire.send(answer.encode())
        return not (cut is not None or spoil("close"))

    def _note(self, answer, slowly):
        """Before the bytes leave: who sees the answer must find it in the log."""
        self.world.answered(self.entry, {
            "what": "dripped" if slowly else "answered", "status": answer.status,
            "headers": [list(pair) for pair in answer.headers],
            "body": answer.body[:SHOWN_BODY].decode("utf-8", "replace")})

    def _drip(self, data, drip):
        """A few bytes at a time, until all is sent or the client has had enough."""
        size, pause_ms = drip.get("bytes", 1), drip.get("every_ms", 100)
        for start in range(0, len(data), size):
            self.wire.send(data[start:start + size])
            if self.wire.peer_has_left(pause_ms):
                self.entry["client_left"] = True
                break
        with self.world.changed:
            self.world.changed.notify_all()


def fault_bytes(fault):
    """The body that a fault prescribes, or None. JSON is written out, text is sent as it is."""
    if fault.get("body_base64") is not None:
        return base64.b64decode(fault.get("body_base64"))
    if "body" not in fault.spec:
        return None
    body = fault.get("body")
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


def made_answer(fault, version):
    """The answer that a fault prescribes: by shape, by body, or the plain error of the API version."""
    status, body = fault.get("status", 500), fault_bytes(fault)
    answer = Answer(status, body) if body is not None else shaped(fault.get("shape", version), status)
    if fault.get("content_type") is not None:
        answer.set_header("Content-Type", fault.get("content_type"))
    return answer
