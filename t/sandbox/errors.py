"""Error bodies: the shapes that bigcommerce.md names, v2, v3, their variants, and what the edge sends."""

import json

from .match import SpecError
from .wire import Answer, json_answer

TYPE = "/api-docs/getting-started/api-status-codes"
HUGE_BYTES = 10 * 1024 * 1024


def v2(status, message, headers=()):
    return json_answer(status, [{"status": status, "message": message}], headers)


def v3(status, title, errors=None, headers=()):
    body = {"status": status, "title": title, "type": TYPE}
    if errors is not None:
        body["errors"] = errors
    return json_answer(status, body, headers)


def error(version, status, message, errors=None, headers=()):
    """The error in the shape of the API version that was called."""
    if version == "v2":
        return v2(status, message, headers)
    return v3(status, message, errors, headers)


def _object(status, **more):
    return json_answer(status, {"status": status, "title": "The sandbox was told to fail", "type": TYPE, **more})


SHAPES = {
    "v2": lambda status: v2(status, "The sandbox was told to fail"),
    "v3": lambda status: _object(status, errors={"amount": "The sandbox was told to fail"}),
    "v3-detail": lambda status: _object(status, detail="No more is known"),
    "v3-instance": lambda status: _object(status, instance="/stores/orders/transactions"),
    "v3-errors-array": lambda status: _object(status, errors=[{"code": 1, "message": "told to fail"}]),
    "v3-data": lambda status: json_answer(status, {"data": [{"status": status, "message": "told to fail"}],
                                                   "meta": {}}),
    "html": lambda status: Answer(status, b"<html><head><title>Error</title></head><body><h1>Sorry</h1>"
                                  b"</body></html>\n", content_type="text/html; charset=utf-8"),
    "text": lambda status: Answer(status, b"upstream connect error\n", content_type="text/plain"),
    "empty": lambda status: Answer(status),
    "huge": lambda status: Answer(status, b'[{"status":500,"message":"' + b"x" * HUGE_BYTES + b'"}]'),
    "invalid-utf8": lambda status: Answer(status, b'[{"status":500,"message":"caf\xe9 \xff\xfe\x00"}]'),
    "personal-data": lambda status: v2(status, "zoe@shop.example of 1 Example Street may not do that"),
    "deep-json": lambda status: Answer(status, b"[" * 100_000),
    "number-json": lambda status: Answer(status, b"42"),
    "cut-json": lambda status: Answer(status, b'{"status":422,"title":"The sandbox w'),
}


def shaped(name, status):
    if name not in SHAPES:
        raise SpecError(f"no such shape: {name} (there are: {', '.join(SHAPES)})")
    return SHAPES[name](status)
