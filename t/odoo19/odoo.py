"""The Odoo server as a browser sees it: one login, then calls over JSON-RPC.

Equals an accountant at the web client: every call is the request that the web client sends for the
same click, so transactions begin, retry and commit as they do in production.
"""

import json
import urllib.error
import urllib.request

from waiting import wait_for


MASTER_PASSWORD = "admin"       # Odoo's own default


class OdooError(Exception):
    """Odoo answered, and refused: its own message."""


class Odoo:
    def __init__(self, url, database):
        self.url = url
        self.database = database
        self.cookie = None
        self.user = None
        self.actions = {}

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

    def by_name(self, name):
        """The row that Odoo's data calls module.name."""
        module, name = name.split(".")
        row, = self.search("ir.model.data", ["module", "=", module], ["name", "=", name])
        return self.read("ir.model.data", row, "res_id")

    def grant(self, user, *groups):
        for group in groups:
            self.call("res.groups", "write", [self.by_name(group)], {"user_ids": [(4, user)]})

    def run(self, code, **values):
        """Runs Python inside Odoo, in one request, as a merchant's server action does: for what no click does
        alone. The values are in env.context, an answer is what the code puts into `action`."""
        if code not in self.actions:
            model = self.search("ir.model", ["model", "=", "res.partner"])[0]
            self.actions[code] = self.create("ir.actions.server", name="Code of the cases", model_id=model,
                                             state="code", code=code)
        return self.call("ir.actions.server", "run", [self.actions[code]], context=values)

    # --- The database manager -----------------------------------------------------------------

    def backup(self, file_format):
        """Database manager, Backup: the file as a browser gets it."""
        return self._form("backup", name=self.database, backup_format=file_format)

    def restore(self, name, backup, **options):
        """Database manager, Restore; options as in its form: copy, neutralize_database."""
        page = self._form("restore", files={"backup_file": backup}, name=name, **options)
        assert b"restore error" not in page, page.decode()[-3000:]

    def drop_database(self, name):
        """Database manager, Delete."""
        self._post("/jsonrpc", {"service": "db", "method": "drop", "args": [MASTER_PASSWORD, name]})

    def _form(self, action, files=None, **fields):
        """Sends a form of the database manager, as a browser does; returns the body of the answer."""
        border = b"--a-border-that-is-in-no-backup-of-the-cases"
        fields["master_pwd"] = MASTER_PASSWORD
        parts = [(f'name="{name}"', str(value).encode()) for name, value in fields.items()]
        parts += [(f'name="{name}"; filename="{name}"', content) for name, content in (files or {}).items()]
        body = b"".join(b"%s\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (border, head.encode(), content)
                        for head, content in parts) + border + b"--\r\n"
        request = urllib.request.Request(f"{self.url}/web/database/{action}", body, {
            "Content-Type": "multipart/form-data; boundary=" + border[2:].decode()})
        with urllib.request.urlopen(request, timeout=300) as response:
            return response.read()

    def duplicate_database(self, name, neutralize=False):
        """Database manager, Duplicate: Odoo ends the other sessions, then copies."""
        self._post("/jsonrpc", {"service": "db", "method": "duplicate_database",
                                "args": [MASTER_PASSWORD, self.database, name, neutralize]})

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
