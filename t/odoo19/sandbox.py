"""The sandbox store's control API (t/store.py), as far as the cases need it."""

import json
import urllib.error
import urllib.request


class Sandbox:
    def __init__(self, url, store, token):
        self.url = url
        self.store = store
        self.token = token

    def other(self, store, token):
        """Another store at the same sandbox."""
        return Sandbox(self.url, store, token)

    def make_store(self):
        self._ask("PUT", f"/stores/{self.store}", {"token": self.token})

    def make_order(self, remote_id, total, **members):
        self._ask("PUT", f"/stores/{self.store}/orders/{remote_id}", {"total_inc_tax": f"{total:.4f}", **members})

    def order(self, remote_id):
        """{"order": members, "transactions": [...], "captures": [...]}, as it truly is."""
        return self._ask("GET", f"/stores/{self.store}/orders/{remote_id}")

    def requests(self, remote_id):
        """How many requests of the API were about that order."""
        return self._ask("GET", f"/requests?store={self.store}&order={remote_id}")["count"]

    def wait_for_capture(self, remote_id, timeout_ms=3000):
        """Returns when the store has taken a capture of that order, or it took too long: says which. Asked once
        and answered later, so that waiting takes no time from those who are measured."""
        try:
            self._ask("POST", "/wait", {"timeout_ms": timeout_ms,
                                        "captures": {"store": self.store, "order": remote_id}})
            return True
        except urllib.error.HTTPError as answer:
            if answer.code != 504:
                raise
            return False

    def misbehave(self, **fault):
        """Orders a fault; see t/sandbox/faults.py."""
        self._ask("POST", "/faults", fault)

    def behave(self):
        self._ask("DELETE", "/faults")

    def report(self):
        return self._ask("GET", "/report")

    def _ask(self, method, path, spec=None):
        body = None if spec is None else json.dumps(spec).encode()
        request = urllib.request.Request(self.url + path, body, method=method)
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)
