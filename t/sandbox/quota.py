"""The request quota of one store: BigCommerce counts per store, over all its apps."""

import collections
import time

from .match import SpecError, only_keys

# bigcommerce.md, "Quota". Enterprise is by contract; "unlimited" is the sandbox's own, for benchmarks.
PLANS = {"standard": 150, "plus": 150, "pro": 450, "enterprise": 10_000, "unlimited": 10**9}
WINDOW_MS = 30_000
# others: {"after": N, "use": M}: in each window, once N requests are used, other apps use M at once.
DEFAULTS = {"limit": None, "window_ms": WINDOW_MS, "kind": "fixed", "headers": True,
            "headers_on_429": True, "retry_after": False, "others": None}


class Quota:
    """Counts requests in a window that is fixed (starts with the first request) or sliding."""

    def __init__(self, plan, settings):
        chosen = {**DEFAULTS, **settings}
        self.limit = PLANS[plan] if chosen["limit"] is None else chosen["limit"]
        self.window, self.kind = chosen["window_ms"] / 1000, chosen["kind"]
        self.headers_shown, self.headers_on_429 = chosen["headers"], chosen["headers_on_429"]
        self.retry_after, self.others = chosen["retry_after"], chosen["others"]
        if self.others is not None:
            only_keys(self.others, ("after", "use"), "quota others")
            if self.kind != "fixed":
                raise SpecError("quota: others come in windows that are fixed")
        self.reset()

    def reset(self):
        self.started, self.used, self.times = None, 0, collections.deque()
        self.others_came = False

    def take(self, count=1):
        """Uses `count` requests. False when there was not one left: that is the 429."""
        now = time.monotonic()
        self._expire(now)
        if self.used >= self.limit:
            return False
        self.started = now if self.started is None else self.started
        self.used += count
        if self.kind == "sliding":
            self.times.append((now, count))
        if self.others and not self.others_came and self.used >= self.others["after"]:
            self.others_came = True
            self.used += self.others["use"]
        return True

    def _expire(self, now):
        if self.kind == "sliding":
            while self.times and now - self.times[0][0] >= self.window:
                self.used -= self.times.popleft()[1]
        elif self.started is not None and now - self.started >= self.window:
            self.reset()

    def left(self):
        self._expire(time.monotonic())
        return max(0, self.limit - self.used)

    def reset_ms(self):
        """How long until the window gives something back; never 0 while something is used."""
        since = self.times[0][0] if self.times else self.started
        if since is None:
            return int(self.window * 1000)
        return max(1, int((self.window - (time.monotonic() - since)) * 1000) + 1)

    def headers(self, throttled=False):
        """The X-Rate-Limit headers. A 429 may come without them: bigcommerce.md."""
        shown = []
        if self.headers_on_429 if throttled else self.headers_shown:
            shown = [("X-Rate-Limit-Requests-Left", str(self.left())),
                     ("X-Rate-Limit-Requests-Quota", str(self.limit)),
                     ("X-Rate-Limit-Time-Window-Ms", str(int(self.window * 1000))),
                     ("X-Rate-Limit-Time-Reset-Ms", str(self.reset_ms()))]
        if throttled and self.retry_after:
            shown.append(("X-Retry-After", str(-(-self.reset_ms() // 1000))))
        return shown
