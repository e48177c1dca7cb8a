"""The rules that a request of ours must keep: the documented schema, and what bigcommerce.md adds.

A rule broken here is a bug of bcpaid, so each is answered as BigCommerce would and noted as a violation.
"""

import collections
import json
import re
from decimal import Decimal

Problem = collections.namedtuple("Problem", "code status message errors")
PRODUCT = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+/[0-9][0-9A-Za-z.+~-]*( .*)?\Z")
JSON_TYPE = re.compile(r"application/json\s*(;\s*charset=utf-8\s*)?\Z", re.IGNORECASE)
# At most the four decimals of total_inc_tax, and no exponent: more is what a double leaves behind.
AMOUNT = re.compile(r"(0|[1-9][0-9]*)(\.[0-9]{1,4})?\Z")
MARKER = re.compile(r"[!-~]{1,255}\Z")
CURRENCY = re.compile(r"[A-Z]{3}\Z")
# ISO 4217 currencies whose minor unit is not a hundredth.
MINOR_DIGITS = {**dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF".split(), 0),
                **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3)}
FOREIGN_HEADERS = ("authorization", "cookie", "x-auth-client", "idempotency-key")


class Number(str):
    """A JSON number in the very text in which it was sent."""


class Unreadable(Exception):
    """The body is not the JSON that we want."""


def body_of(request):
    """The JSON object of a body, numbers as their text; duplicate members and NaN are refused."""
    def members(pairs):
        names = [name for name, _ in pairs]
        if len(set(names)) != len(names):
            raise Unreadable("a member is there twice")
        return dict(pairs)

    def no_constant(text):
        raise Unreadable(f"{text} is no JSON")
    try:
        value = json.loads(request.body.decode("utf-8"), parse_float=Number, parse_int=Number,
                           parse_constant=no_constant, object_pairs_hook=members)
    except (ValueError, RecursionError) as problem:
        raise Unreadable(str(problem)) from None
    if not isinstance(value, dict):
        raise Unreadable("the body is no object")
    return value


def head(request, call, tokens):
    """The problems of the request line and the headers. `tokens` are those that must not leak."""
    found = []

    def add(code, status, message):
        found.append(Problem(code, status, message, None))
    for name in ("host", "x-auth-token", "accept", "user-agent", "content-type", "content-length"):
        if len(request.all(name)) > 1:
            add("header-twice", 400, f"{name} is there more than once")
    if request.version != "HTTP/1.1" or not request.header("host"):
        add("http-version", 400, "HTTP/1.1 with a Host header is wanted")
    if not request.header("x-auth-token"):
        add("no-token", 401, "X-Auth-Token is missing")
    if "application/json" not in (request.header("accept") or "").lower():
        add("accept", 406, "Accept must name application/json")
    if not PRODUCT.match(request.header("user-agent") or ""):
        add("user-agent", 400, "User-Agent must name a product and its version")
    for name in FOREIGN_HEADERS:
        if request.header(name) is not None:
            add("foreign-header", 400, f"{name} has no place in this API")
    elsewhere = request.target.encode() + request.body
    if any(token.encode() in elsewhere for token in tokens if token):
        add("token-leak", 400, "the token is outside its header")
    _content(request, call, add)
    _query(request, call, add)
    return found


def _content(request, call, add):
    if not call.writes:
        if request.body:
            add("body-on-read", 400, "a GET has no body")
    elif not JSON_TYPE.match(request.header("content-type") or ""):
        add("content-type", 415, "Content-Type must be application/json")


def _query(request, call, add):
    """Only documented parameters, each a plain number of its range, once."""
    names = [name for name, _ in request.query()]
    if len(set(names)) != len(names):
        add("query", 400, "a parameter is there twice")
    for name, value in request.query():
        low_high = call.parameters.get(name)
        if low_high is None:
            add("query", 400, f"no such parameter: {name}")
        elif not re.fullmatch(r"0|[1-9][0-9]{0,17}", value) or not low_high[0] <= int(value) <= low_high[1]:
            add("query", 400, f"{name}={value} is out of range")


def _is_text(value):
    return type(value) is str


def _offline(value):
    if not isinstance(value, dict) or set(value) - {"display_name"}:
        return False
    return all(_is_text(text) and 0 < len(text) <= 255 for text in value.values())


# member: (required, does the value fit, what is wanted). bigcommerce.md, way A: what we send, no more.
TRANSACTION = {
    "event": (True, lambda v: _is_text(v) and v == "capture", "the text capture"),
    "method": (True, lambda v: _is_text(v) and v == "offline", "the text offline"),
    "amount": (True, lambda v: isinstance(v, Number) and bool(AMOUNT.match(v)) and Decimal(v) > 0,
               "a positive JSON number with at most 4 decimals"),
    "currency": (True, lambda v: _is_text(v) and bool(CURRENCY.match(v)), "an ISO 4217 code"),
    "gateway": (True, lambda v: _is_text(v) and v == "custom", "the text custom"),
    "gateway_transaction_id": (True, lambda v: _is_text(v) and bool(MARKER.match(v)), "the marker"),
    "status": (False, lambda v: _is_text(v) and v == "ok", "the text ok"),
    "test": (False, lambda v: v is False, "false"),
    "fraud_review": (False, lambda v: v is False, "false"),
    "offline": (False, _offline, "an object with a display_name"),
}
STATUS_CHANGE = {
    "status_id": (True, lambda v: isinstance(v, Number) and v in ("10", "11"), "10 or 11"),
    "payment_provider_id": (False, lambda v: _is_text(v) and bool(MARKER.match(v)), "the marker"),
}


def members(value, schema, status):
    """The problems of a body against one of the tables above."""
    found = []
    for name in value:
        if name not in schema:
            found.append(Problem("unknown-member", status, f"{name} is not supported", {name: "unknown"}))
    for name, (required, fits, wanted) in schema.items():
        if name not in value:
            if required:
                found.append(Problem("missing-member", status, f"{name} is missing", {name: "required"}))
        elif not fits(value[name]):
            found.append(Problem(f"bad-{name.replace('_', '-')}", status,
                                 f"{name} must be {wanted}, not {value[name]!r}", {name: wanted}))
    return found


def body(request, call):
    """The parsed body, and its problems."""
    if call.schema is None:
        return None, []
    try:
        value = body_of(request)
    except Unreadable as problem:
        return None, [Problem("not-json", 400, f"the body cannot be read: {problem}", None)]
    return value, members(value, call.schema, call.bad_status)


def amount_differs(sent, currency, order):
    """Whether the amount is neither the order's total_inc_tax nor that rounded to the minor unit."""
    try:
        total, sent = Decimal(order.get("total_inc_tax")), Decimal(sent)
    except (ArithmeticError, TypeError):
        return True
    unit = Decimal(1).scaleb(-MINOR_DIGITS.get(currency, 2))
    return sent != total and (sent % unit != 0 or abs(sent - total) > unit / 2)
