"""HTTP/1.1 on one socket: read a request, write an answer, nothing else.

Not http.server: that one hides the header order and spelling that we check, and cannot send the broken
answers that we need.
"""

import json
import select
import urllib.parse

HEAD_LIMIT = 64 * 1024
BODY_LIMIT = 16 * 1024 * 1024
# Linux tells with it that the peer has closed, even while bytes of it are still unread.
PEER_CLOSED = getattr(select, "POLLRDHUP", 0x2000) | select.POLLHUP | select.POLLERR
REASONS = {200: "OK", 201: "Created", 204: "No Content", 302: "Found", 400: "Bad Request",
           401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
           406: "Not Acceptable", 409: "Conflict", 411: "Length Required",
           415: "Unsupported Media Type", 422: "Unprocessable Entity", 429: "Too Many Requests",
           500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable",
           504: "Gateway Timeout"}


class BadRequest(Exception):
    """The bytes are no request that we can read; the connection cannot be used any further."""


class Request:
    """One request as it arrived: headers in order and in their own spelling."""

    def __init__(self, method, target, version, headers):
        self.method, self.target, self.version, self.headers = method, target, version, headers
        self.path, _, self.query_text = target.partition("?")
        self.body = b""

    def all(self, name):
        """Every value of a header, so that a header sent twice is noticed."""
        return [value for key, value in self.headers if key.lower() == name]

    def header(self, name):
        values = self.all(name)
        return values[0] if values else None

    def query(self):
        return urllib.parse.parse_qsl(self.query_text, keep_blank_values=True)


class Answer:
    """One answer: a status, headers and bytes. `declared` is a Content-Length that is a lie."""

    def __init__(self, status, body=b"", headers=(), content_type="application/json"):
        self.status, self.body = status, body
        self.headers = [("Content-Type", content_type)] if body and content_type else []
        self.headers += list(headers)
        self.declared = None

    def set_header(self, name, value):
        """Replaces a header, whatever its case; None removes it."""
        self.headers = [pair for pair in self.headers if pair[0].lower() != name.lower()]
        if value is not None:
            self.headers.append((name, str(value)))

    def encode(self):
        lines = [f"HTTP/1.1 {self.status} {REASONS.get(self.status, 'Status')}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        names = {name.lower() for name, _ in self.headers}
        # RFC 9110, 8.6: a 204 carries no Content-Length.
        if self.status != 204 and "content-length" not in names:
            lines.append(f"Content-Length: {self.declared or len(self.body)}")
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + self.body


def json_answer(status, value, headers=()):
    return Answer(status, json.dumps(value).encode(), headers)


class Wire:
    """A socket with what was read of it but not used yet."""

    def __init__(self, sock):
        self.sock, self.rest = sock, b""

    def read_request(self):
        """The next request, or None when the peer has closed between two requests."""
        head = self._read_head()
        if head is None:
            return None
        request = parse_head(head)
        if request.header("transfer-encoding") is not None:
            raise BadRequest("a chunked request body; BigCommerce's documentation knows Content-Length only")
        length = request.header("content-length") or "0"
        if not length.isdigit() or int(length) > BODY_LIMIT:
            raise BadRequest(f"Content-Length is {length!r}")
        if (request.header("expect") or "").lower() == "100-continue":
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.body = self._read_body(int(length))
        return request

    def _read_head(self):
        while b"\r\n\r\n" not in self.rest:
            if len(self.rest) > HEAD_LIMIT:
                raise BadRequest("the headers are too long")
            more = self.sock.recv(65536)
            if not more:
                if self.rest:
                    raise BadRequest("the connection ended within the headers")
                return None
            self.rest += more
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        return head

    def _read_body(self, length):
        while len(self.rest) < length:
            more = self.sock.recv(65536)
            if not more:
                raise BadRequest("the connection ended within the body")
            self.rest += more
        body, self.rest = self.rest[:length], self.rest[length:]
        return body

    def send(self, data):
        self.sock.sendall(data)

    def peer_has_left(self, wait_ms=0):
        """Whether the client closed its end; waits at most wait_ms for it."""
        poll = select.poll()
        poll.register(self.sock, PEER_CLOSED)
        return bool(poll.poll(wait_ms))


def parse_head(head):
    """The request line and the headers; strict, since the client under test is ours."""
    try:
        lines = head.decode("latin-1").split("\r\n")
        method, target, version = lines[0].split(" ")
    except ValueError:
        raise BadRequest(f"the request line is {head[:80]!r}") from None
    headers = []
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequest(f"a header line is {line[:80]!r}")
        headers.append((name, value.strip()))
    return Request(method, target, version, headers)
