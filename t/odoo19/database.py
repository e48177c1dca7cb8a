"""The database next to Odoo, by psql, as Odoo's own role: so every call also shows that the role may."""

import contextlib
import json
import subprocess

from waiting import wait_for


class SqlError(Exception):
    pass


class Database:
    def __init__(self, host, port, name):
        self.host, self.port, self.name = host, port, name
        self.psql = ["psql", "-h", host, "-p", str(port), "-U", "odoo", "-d", name,
                     "-XAtq", "-v", "ON_ERROR_STOP=1"]

    def superuser(self):
        """The same database for what Odoo's role may not do."""
        same = Database(self.host, self.port, self.name)
        same.psql[same.psql.index("odoo")] = "postgres"
        return same

    def other(self, name):
        """Another database of the same server."""
        return Database(self.host, self.port, name)

    def drop(self):
        """As Odoo's database manager does: the sessions first, its own and the worker's, then the database."""
        other = self.other("postgres")
        other.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :'name';"
                  ' DROP DATABASE :"name"', name=self.name)

    def run(self, statement, **variables):
        """Runs it; a variable v is quoted by psql where the statement says :'v'. Returns the output."""
        options = [word for name, value in variables.items() for word in ("-v", f"{name}={value}")]
        done = subprocess.run(self.psql + options, input=statement, capture_output=True, text=True)
        if done.returncode:
            raise SqlError(done.stderr.strip())
        return done.stdout.rstrip("\n")

    def rows(self, query, **variables):
        """A list of dictionaries, typed as JSON types them."""
        text = f"SELECT coalesce(json_agg(to_json(q)), '[]') FROM ({query}) q"
        return json.loads(self.run(text, **variables))

    def value(self, query, **variables):
        rows = self.rows(query, **variables)
        return next(iter(rows[0].values())) if rows else None

    @contextlib.contextmanager
    def gate(self, key):
        """Holds the advisory lock `key` until the block ends. Transactions that ask for it share it: they
        stop at the gate and, when the block ends, commit at the same time."""
        holder = subprocess.Popen(self.psql, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        try:
            holder.stdin.write(f"SELECT pg_advisory_lock({key});\n")
            holder.stdin.flush()
            wait_for(lambda: self._at_gate(key, granted=True), f"the gate {key} to close")
            yield
        finally:
            holder.stdin.close()
            holder.wait()

    def wait_at_gate(self, key, count):
        wait_for(lambda: self._at_gate(key, granted=False) == count,
                 f"{count} transactions to stop at the gate {key}")

    def _at_gate(self, key, granted):
        return self.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = :'key'::oid"
                          f" AND granted = {granted}", key=key)
