"""The Odoo server as a browser sees it: one login, then calls over JSON-RPC.

Equals an accountant at the web client: every call is the request that the web client sends for the
same click, so transactions begin, retry and commit as they do in production.
"""

import json
import urllib.error
import urllib.request

from waiting import wait_for


class OdooError(Exception):
    """Odoo answered, and refused: its own message."""


class Odoo:
    def __init__(self, url, database):
        self.url = url
        self.database = database
        self.cookie = None
        self.user = None

    def login(self, user="admin", password="admin", timeout_s=90):
        """Logs in; waits for a server that is still starting."""

        def authenticate():
            try:
                return self._post("/web/session/authenticate",
                                  {"db": self.database, "login": user, "password": password})
            except (urllib.error.URLError, ConnectionError):
                return None

        self.user = wait_for(authenticate, "Odoo to answer a login", timeout_s)["uid"]
        return self

    def call(self, model, method, *args, **kwargs):
        """What the web client sends for a click: model.method(*args), in a transaction of its own."""
        params = {"model": model, "method": method, "args": list(args), "kwargs": kwargs}
        return self._post(f"/web/dataset/call_kw/{model}/{method}", params)

    def create(self, model, **values):
        return self.call(model, "create", values)

    def read(self, model, row, field):
        """One field of one row."""
        return self.call(model, "read", [row], [field])[0][field]

    def search(self, model, *domain, **kwargs):
        return self.call(model, "search", list(domain), **kwargs)

    def duplicate_database(self, name, master_password="admin", neutralize=False):
        """Database manager, Duplicate: Odoo ends the other sessions, then copies."""
        self._post("/jsonrpc", {"service": "db", "method": "duplicate_database",
                                "args": [master_password, self.database, name, neutralize]})

    def _post(self, path, params):
        body = json.dumps({"jsonrpc": "2.0", "method": "call", "params": params}).encode()
        request = urllib.request.Request(self.url + path, body, {"Content-Type": "application/json"})
        if self.cookie:
            request.add_header("Cookie", self.cookie)
        with urllib.request.urlopen(request, timeout=300) as response:
            answer = json.load(response)
            cookie = response.headers.get("Set-Cookie")
        if cookie and not self.cookie:
            self.cookie = cookie.split(";")[0]
        if "error" in answer:
            data = answer["error"].get("data", {})
            raise OdooError(data.get("message") or answer["error"]["message"])
        return answer.get("result")
