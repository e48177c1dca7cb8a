"""A connection to PostgreSQL: simple queries, errors as they are, and a lost connection told from an error.

Spoken here and not through psql because a soak needs both at every moment, and two sessions of one thread.
"""

import socket
import struct
import time

PROTOCOL = 196608
CONNECT_S = 120


class Lost(Exception):
    """The connection broke: whether the last statement was committed is not known."""


class Refused(Exception):
    """The server said no; `state` is the SQLSTATE."""

    def __init__(self, state, message):
        super().__init__(f"{state}: {message}")
        self.state = state


class Session:
    """Connects when it is used, and again after the server was away."""

    def __init__(self, directory, user="odoo", **settings):
        self.path, self.sock, self.rest = f"{directory}/.s.PGSQL.5432", None, b""
        self.startup = {"user": user, "database": "odoo",
                        "options": " ".join(f"-c {name}={value}" for name, value in settings.items())}

    def run(self, *statements):
        """Each in a transaction of its own, sent together; the rows of each, as lists of text."""
        self.send(*statements)
        return self.receive(len(statements))

    def value(self, statement):
        rows = self.run(statement)[0]
        return rows[0][0] if rows else None

    def send(self, *statements):
        if self.sock is None:
            self._connect()
        self._write(b"".join(_message(b"Q", text.encode() + b"\0") for text in statements))

    def receive(self, count=1):
        """The answers to `count` statements; the first error is raised once all have been answered."""
        answers, refused = [], None
        for _ in range(count):
            rows, error = self._answer()
            answers.append(rows)
            refused = refused or error
        if refused:
            raise refused
        return answers

    def close(self):
        if self.sock is not None:
            self.sock.close()
            self.sock, self.rest = None, b""

    def _connect(self):
        """Waits for a server that is starting, or is not there."""
        deadline = time.monotonic() + CONNECT_S
        while True:
            try:
                self._try_to_connect()
                return
            except (OSError, Lost, Refused) as problem:
                self.close()
                if time.monotonic() > deadline:
                    raise Lost(f"no connection for {CONNECT_S} s: {problem}") from None
                time.sleep(0.05)

    def _try_to_connect(self):
        self.sock, self.rest = socket.socket(socket.AF_UNIX), b""
        self.sock.connect(self.path)
        words = b"".join(f"{name}\0{value}\0".encode() for name, value in self.startup.items()) + b"\0"
        self._write(struct.pack("!II", len(words) + 8, PROTOCOL) + words)
        _, error = self._answer()
        if error:
            raise error

    def _answer(self):
        """Up to ReadyForQuery: rows, and the error if there was one."""
        rows, error = [], None
        while True:
            kind, body = self._read()
            if kind == b"Z":
                return rows, error
            if kind == b"D":
                rows.append(_row(body))
            elif kind == b"E":
                fields = {part[:1]: part[1:].decode() for part in body.split(b"\0") if part}
                error = Refused(fields[b"C"], fields[b"M"])
                # What ends the session is not followed by a ReadyForQuery.
                if fields[b"V"] in ("FATAL", "PANIC"):
                    self.close()
                    raise Lost(str(error))

    def _read(self):
        head = self._read_bytes(5)
        return head[:1], self._read_bytes(struct.unpack("!I", head[1:])[0] - 4)

    def _read_bytes(self, count):
        while len(self.rest) < count:
            try:
                more = self.sock.recv(65536) if self.sock else b""
            except OSError:
                more = b""
            if not more:
                self.close()
                raise Lost("the server closed the connection")
            self.rest += more
        found, self.rest = self.rest[:count], self.rest[count:]
        return found

    def _write(self, data):
        try:
            self.sock.sendall(data)
        except OSError as problem:
            self.close()
            raise Lost(str(problem)) from None


def _message(kind, body):
    return kind + struct.pack("!I", len(body) + 4) + body


def _row(body):
    """The columns of a DataRow; NULL is None."""
    columns, at = [], 2
    for _ in range(struct.unpack("!H", body[:2])[0]):
        length = struct.unpack("!i", body[at:at + 4])[0]
        at += 4
        columns.append(None if length < 0 else body[at:at + length].decode())
        at += max(length, 0)
    return columns
