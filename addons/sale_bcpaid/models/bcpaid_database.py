import psycopg2

from odoo import _, api, models
from odoo.exceptions import UserError

# What the addon calls. An extension that lacks one is older than this addon.
CALLS = (
    "orders_query", "profile_in_use", "set_link", "set_store", "want_test", "pause", "resume", "retry_store",
    "retry", "approve", "cancel", "settle_by_hand", "doctor", "environment_is_confirmed", "confirm_environment",
)

# Refusals with words for a person. All else, serialization failures first of all, is Odoo's to see: it tries again.
REFUSALS = {
    "22004", "22023", "42501", "42703", "42704", "42P08", "55000",
}

USABLE = """
    SELECT pg_catalog.quote_ident(n.nspname) AS schema,
           COALESCE(pg_catalog.has_schema_privilege(s.oid, 'USAGE'), false) AS may_use,
           (SELECT pg_catalog.count(DISTINCT p.proname) FROM pg_catalog.pg_proc p
             WHERE p.pronamespace = s.oid AND p.proname = ANY (%s)
               AND pg_catalog.has_function_privilege(p.oid, 'EXECUTE')) AS calls
      FROM pg_catalog.pg_extension e
      JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
      LEFT JOIN pg_catalog.pg_namespace s ON s.nspname = 'bcpaid'
     WHERE e.extname = 'bcpaid'"""


class BcpaidDatabase(models.AbstractModel):
    """The extension bcpaid as Odoo's role sees it.

    Everything that the addon asks goes through here. Whether it may be asked is looked up in PostgreSQL's
    catalogs: an error would end Odoo's transaction, and forms must open also where the extension is missing.
    """

    _name = "bcpaid.database"
    _description = "Extension bcpaid"

    @api.model
    def _rows(self, query, *params):
        self.env.cr.execute(query, params)
        return self.env.cr.dictfetchall()

    @api.model
    def _state(self):
        """'usable', or why not: 'missing', 'older' or 'forbidden'; and the schema of the calls that are Odoo's."""
        found = self._rows(USABLE, list(CALLS))
        if not found:
            return "missing", None
        if not found[0]["may_use"]:
            return "forbidden", None
        return "usable" if found[0]["calls"] == len(CALLS) else "older", found[0]["schema"]

    @api.model
    def _is_usable(self):
        return self._state()[0] == "usable"

    @api.model
    def _problem(self):
        """Why nothing can be asked about orders, for a person; empty if it can."""
        state = self._state()[0]
        if state == "missing":
            return _("The extension bcpaid is not installed in this database, or was not restored with it: "
                     "no order can be marked as paid at BigCommerce.")
        if state == "older":
            return _("The extension bcpaid in this database is older than this addon: update it by "
                     "ALTER EXTENSION bcpaid UPDATE.")
        if state == "forbidden":
            return _("Odoo may not use the extension bcpaid in this database: call bcpaid.attach() as the owner of it.")
        return self._rows("SELECT problem FROM bcpaid.profile_in_use()")[0]["problem"] or ""

    @api.model
    def _is_confirmed(self):
        return self._rows("SELECT bcpaid.environment_is_confirmed() AS yes")[0]["yes"]

    @api.model
    def _profile(self):
        """profile, status_column and link_is_ours of the attached profile; all empty where there is none."""
        if not self._is_usable():
            return {"profile": None, "status_column": None, "link_is_ours": False}
        return self._rows("SELECT * FROM bcpaid.profile_in_use()")[0]

    @api.model
    def _orders_query(self):
        """The query with a row an order, None while it cannot be asked."""
        if not self._is_usable():
            return None
        return self._rows("SELECT bcpaid.orders_query() AS query")[0]["query"]

    @api.model
    def _orders(self, order_ids):
        """What is known about these orders, by id."""
        query = order_ids and self._orders_query()
        if not query:
            return {}
        self.env.flush_all()
        rows = self._rows(
            f"""SELECT q.*, s.id AS known_store_id, x.captures, l.reason
                  FROM ({query.replace('%', '%%')}) q
                  LEFT JOIN bcpaid.stores s ON s.id = q.store_id
                  LEFT JOIN bcpaid.captures l ON l.id = q.capture_id
                 CROSS JOIN LATERAL (SELECT count(*) AS captures FROM bcpaid.captures c WHERE c.order_id = q.id) x
                 WHERE q.id = ANY (%s)""", list(order_ids))
        return {row["id"]: row for row in rows}

    @api.model
    def _markable(self, order_ids):
        """Those of the orders that may be marked as paid, in one query."""
        state, schema = self._state()
        if not order_ids or state != "usable":
            return set()
        self.env.flush_all()
        rows = self._rows(f"SELECT order_id FROM {schema}.bcpaid_can_mark(%s::int4[]) WHERE can_mark", list(order_ids))
        return {row["order_id"] for row in rows}

    @api.model
    def _why_not(self, order_ids):
        """Every condition of these orders, in order."""
        state, schema = self._state()
        if not order_ids or state != "usable":
            return []
        self.env.flush_all()
        return self._rows(
            f"""SELECT o.id AS order_id, w.condition, w.met, w.detail
                  FROM unnest(%s::int4[]) WITH ORDINALITY o (id, n)
                 CROSS JOIN LATERAL {schema}.bcpaid_why_not(o.id) WITH ORDINALITY w (condition, met, detail, n)
                 ORDER BY o.n, w.n""", list(order_ids))

    @api.model
    def _mark(self, order_id):
        return self._call(f"{self._state()[1] or 'public'}.bcpaid_mark", order_id)

    @api.model
    def _call(self, function, *arguments, **named):
        """Calls a function of bcpaid on behalf of this user; its refusals become UserErrors."""
        places = ["%s"] * len(arguments) + [f"{name} => %s" for name in named]
        return self._run(lambda cr: cr.execute(
            f"SELECT {function}({', '.join(places)})", (*arguments, *named.values()), log_exceptions=False))

    @api.model
    def _run(self, statement):
        if not self._is_usable():
            raise UserError(self._problem())
        self.env.flush_all()
        self.env.cr.execute("SELECT pg_catalog.set_config('bcpaid_for.person', %s, true)", [self.env.user.name])
        try:
            statement(self.env.cr)
        except psycopg2.Error as error:
            if error.pgcode not in REFUSALS:
                raise
            raise UserError(self._words(error.diag)) from error
        return self.env.cr.fetchone()[0] if self.env.cr.description else None

    @api.model
    def _words(self, diag):
        """Message, detail and hint of an SQL error, a line each; hints to type SQL are for others."""
        hint = diag.message_hint or ""
        lines = [diag.message_primary, diag.message_detail, "" if "SELECT" in hint else hint]
        return "\n".join(line[0].upper() + line[1:] for line in lines if line)
