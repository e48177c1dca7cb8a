"""The sockets: one thread per connection, plain and TLS told apart by the first byte on one port.

So the control API can be spoken to in plain HTTP (Perl's HTTP::Tiny has no TLS of its own) while the store
itself answers over TLS only.
"""

import functools
import socket
import ssl
import threading

from . import control, page
from .door import ADDRESS, Door, end
from .errors import v3
from .exchange import HANG_CHECK_S, Exchange
from .state import masked
from .wire import Answer, BadRequest, Wire

TLS_HANDSHAKE = b"\x16"


class Server:
    """`plain` allows the store's calls without TLS. `context` may be replaced while it runs."""

    def __init__(self, world, port=0, context=None, plain=False):
        self.world, self.context, self.plain = world, context, plain
        self.listener = socket.create_server((ADDRESS, port), backlog=1024)
        self.port = self.listener.getsockname()[1]
        self.certificates = None
        self.door = Door(self._serve)

    def start(self):
        self._serve(self.listener)

    def stop(self):
        """Takes no connection any more and ends those there are."""
        end(self.listener)
        self.door.remove()
        self.world.release()
        self._close(list(self.world.connections.values()))

    def disconnect(self, idle_only=True):
        """Closes the store's connections, as an edge does with idle ones; returns how many."""
        with self.world.changed:
            chosen = [one for one in self.world.connections.values()
                      if one["api"] and not (idle_only and one["busy"])]
        return self._close(chosen)

    def _close(self, chosen):
        for one in chosen:
            try:
                # Not the method of SSLSocket: that one would pull the TLS state from under its thread.
                socket.socket.shutdown(one["socket"], socket.SHUT_RDWR)
            except OSError:
                pass
        return len(chosen)

    def close_door(self):
        """As a store that goes away: what is answered from now on is the last answer of its connection, and says so."""
        self.door.close()
        self.disconnect()

    def _serve(self, listener, door=None):
        threading.Thread(target=self._accept, args=(listener, door), name="accept", daemon=True).start()

    def _accept(self, listener, door):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(sock, listener, door), daemon=True).start()

    def _converse(self, sock, listener, door):
        """A connection from its first byte to its last."""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.world.changed:
            self.world.opened += 1
            me = {"id": self.world.opened, "socket": sock, "busy": False, "api": False, "requests": 0,
                  "tls": False, "leaves": lambda: door is not None and door.listener is not listener}
            self.world.connections[me["id"]] = me
        try:
            self._secure(me)
            wire = Wire(me["socket"])
            while self._exchange(wire, me):
                pass
            if me["tls"] and not me["requests"]:
                self._note_tls(me, "closed without a request")
        except ssl.SSLError as problem:
            self._note_tls(me, problem.reason or str(problem))
        except (OSError, ValueError):
            pass    # The client left in the middle; that is the client's right.
        finally:
            me["socket"].close()
            with self.world.changed:
                del self.world.connections[me["id"]]
                self.world.changed.notify_all()

    def _secure(self, me):
        """Speaks TLS with who begins so; or, as a test ordered, leaves the handshake hanging."""
        if not self.context or me["socket"].recv(1, socket.MSG_PEEK) != TLS_HANDSHAKE:
            return
        me["tls"] = me["api"] = True
        if self.world.handshake == "hang":
            self._hang(me)
        if self.world.handshake != "normal":
            raise ConnectionAbortedError
        me["socket"] = self.context.wrap_socket(me["socket"], server_side=True)

    def _hang(self, me):
        item, wire = self.world.hold("handshake"), Wire(me["socket"])
        while not item["event"].wait(HANG_CHECK_S) and not wire.peer_has_left():
            pass
        self.world.let_go(item)

    def _note_tls(self, me, reason):
        """A client that refuses our certificate says so in an alert: tests want to see it."""
        with self.world.changed:
            self.world.tls_failed.append({"connection": me["id"], "reason": reason})
            self.world.changed.notify_all()

    def _exchange(self, wire, me):
        """One request. False ends the connection."""
        try:
            request = wire.read_request()
        except BadRequest as problem:
            entry = {"method": None, "path": None, "store": None, "order": None}
            self.world.violation(entry, "bad-request", str(problem))
            wire.send(v3(400, str(problem), headers=[("Connection", "close")]).encode())
            return False
        if request is None:
            return False
        me["busy"], me["requests"] = True, me["requests"] + 1
        try:
            goes_on = self._answer(wire, me, request)
        finally:
            with self.world.changed:
                me["busy"] = False
                self.world.changed.notify_all()
        return goes_on and not me["leaves"]() and (request.header("connection") or "").lower() != "close"

    def _answer(self, wire, me, request):
        if request.path == "/":
            answer = Answer(200, page.render(self.world), content_type="text/html; charset=utf-8")
        elif request.path.startswith("/sandbox"):
            answer = control.answer(self, request)
        else:
            me["api"] = True
            entry = self._entry(me, request)
            if not (me["tls"] or self.plain):
                self.world.violation(entry, "not-https", "a call of the store's API without TLS")
                answer = v3(400, "The plain HTTP request was sent to HTTPS port")
            else:
                return Exchange(self.world, wire, request, entry, me["leaves"]).run()
        wire.send(answer.encode())
        return True

    def _entry(self, me, request):
        """What the log keeps of a request. The token is not kept."""
        clean = functools.partial(masked, tokens=(request.header("x-auth-token"),))
        return {"connection": me["id"], "tls": me["tls"], "method": request.method,
                "path": clean(request.target), "store": None, "order": None, "call": None,
                "headers": [[name, "***" if name.lower() == "x-auth-token" else clean(value)]
                            for name, value in request.headers],
                "body": clean(request.body[:65536].decode("utf-8", "replace")),
                "fault": None, "taken": False, "answer": None}
