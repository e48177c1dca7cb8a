import logging

import psycopg2
from markupsafe import Markup

from odoo import _, api, fields, models

_logger = logging.getLogger(__name__)

BATCH = 100

# A note that cannot be written, whatever another addon has against it, comes after the others; after so many
# failures it is given up.
FAILURES = 5

# The row of the table whose time is the position: all news up to then is noted.
POSITION = 0

# A row of history shows once its transaction has committed, so news does not come in the order of its times. The
# worker's transactions take seconds: what is older than an hour has come. Up to then each piece of news is told
# apart by its row here.
NEWS = """
    SELECT n.*, x.failures
      FROM bcpaid.news n
      JOIN sale_order o ON o.id = n.order_id
      JOIN bcpaid_note p ON p.history = 0
      LEFT JOIN bcpaid_note x ON x.history = n.id AND x.at = n.at AT TIME ZONE 'UTC'
     WHERE n.at AT TIME ZONE 'UTC' > p.at
       AND COALESCE(x.failures BETWEEN 1 AND %s - 1, true)
     ORDER BY COALESCE(x.failures, 0), n.at, n.id
     LIMIT %s"""

ADVANCE = """
    UPDATE bcpaid_note SET at = now() AT TIME ZONE 'UTC' - interval '1 hour'
     WHERE history = 0 AND at < now() AT TIME ZONE 'UTC' - interval '2 hours'
       AND NOT EXISTS (SELECT FROM bcpaid_note x WHERE x.failures BETWEEN 1 AND %s - 1)"""


class BcpaidNote(models.Model):
    """Notes in the chatter of orders, one for each piece of bcpaid's news, written by a scheduled action.

    A row here says that a piece of news was noted, and commits with its note. Its unique index makes a second
    note impossible, whoever runs at the same time; after a crash neither is there.
    """

    _name = "bcpaid.note"
    _description = "Noted News of a BigCommerce Capture"
    _log_access = False
    _rec_name = "history"

    history = fields.Integer(required=True)
    at = fields.Datetime(required=True)
    failures = fields.Integer(default=0)

    def init(self):
        self.env.cr.execute("CREATE UNIQUE INDEX IF NOT EXISTS bcpaid_note_once ON bcpaid_note (history, at)")

    @api.model
    def _start_here(self):
        """What happened before now is no news."""
        self._remember(POSITION, None, 0)

    @api.model
    def _remember(self, history, at, failures):
        """In SQL: a Datetime field would cut the microseconds off."""
        self.env.cr.execute(
            "INSERT INTO bcpaid_note (history, at, failures)"
            " VALUES (%s, COALESCE(%s::timestamptz, now()) AT TIME ZONE 'UTC', %s)", [history, at, failures])

    @api.model
    def _note_news(self):
        """The scheduled action. Returns how many pieces of news it noted."""
        if not self.env["bcpaid.database"]._is_usable():
            return 0
        rows = self.env["bcpaid.database"]._rows(NEWS, FAILURES, BATCH)
        if rows:
            # One run at a time: a second one waits here, and is told by a serialization failure that its snapshot
            # is too old. It is run again a minute later.
            self.env.cr.execute("UPDATE bcpaid_note SET failures = 0 WHERE history = 0")
        noted = sum(self._note_one(news) for news in rows)
        if len(rows) == BATCH:
            self.env.ref("sale_bcpaid.ir_cron_note")._trigger()
        else:
            self.env.cr.execute(ADVANCE, [FAILURES])
            self.env.cr.execute("DELETE FROM bcpaid_note n USING bcpaid_note p"
                                " WHERE p.history = 0 AND n.history <> 0 AND n.at <= p.at")
        return noted

    @api.model
    def _note_one(self, news):
        """Whether its note could be written."""
        order = self.env["sale.order"].browse(news["order_id"])
        failures = 0
        try:
            with self.env.cr.savepoint():
                self._post(order, news)
        except psycopg2.errors.TransactionRollback:
            raise                       # Odoo's to repeat, with all that was done here
        except Exception:
            failures = (news["failures"] or 0) + 1
            _logger.exception("no note could be written on order %s, time %s", order.id, failures)
        if news["failures"]:
            self.env.cr.execute("DELETE FROM bcpaid_note WHERE history = %s AND failures > 0", [news["id"]])
        self._remember(news["id"], news["at"], failures)
        return not failures

    @api.model
    def _post(self, order, news):
        text = self._text(news)
        order.message_post(body=text, message_type="notification", subtype_xmlid="mail.mt_note")
        user = order.user_id or order.create_uid
        if news["event"] == "captured":
            self._failures(order).unlink()
        elif user.active and not user.share:
            order.activity_schedule("mail.mail_activity_data_todo", summary=self._summary(news), note=text, user_id=user.id)

    @api.model
    def _failures(self, order):
        """What is left to do where a capture failed; nothing, once it is captured."""
        failed = [self._summary({"event": event}) for event in ("refused", "held")]
        return order.activity_ids.filtered(lambda activity: activity.summary in failed)

    @api.model
    def _summary(self, news):
        return {
            "captured": _("Captured at BigCommerce"),
            "refused": _("Capture at BigCommerce refused"),
            "held": _("Capture at BigCommerce held"),
            "taken_back": _("Payment taken back after the capture at BigCommerce"),
        }[news["event"]]

    @api.model
    def _text(self, news):
        """What happened, and in a line each the facts that are known of it."""
        places = self.env["res.currency"].search([("name", "=", news["currency"])]).decimal_places or 2
        amount = news["amount"] and f"{news['amount']:.{places}f} {news['currency'] or ''}"
        facts = [
            (_("BigCommerce ID"), news["remote_order_id"]),
            (_("Amount"), amount),
            (_("Transaction"), news["transaction_id"]),
            (_("Captured by"), news["captured_by"]),
            (_("Triggered by"), self._trigger(news)),
            (_("Reason"), news["reason"]),
        ]
        if news["event"] == "taken_back":
            facts.append((_("To do"), _("The store is not told: refund there by hand, or register the payment again.")))
        lines = Markup("").join(Markup("<li>%s: %s</li>") % fact for fact in facts if fact[1])
        return Markup("<p>%s</p><ul>%s</ul>") % (self._summary(news), lines)

    @api.model
    def _trigger(self, news):
        """"odoo for Mitchell Admin": the role is the same for all, the person is who pressed."""
        person = news["requested_by"].partition(" for ")[2]
        words = {
            "payment": _("the payment"), "sweep": _("the payment, found by a sweep"),
            "button": _("the button"), "backfill": _("a backfill"),
        }[news["origin"]]
        return f"{words}, {person}" if person else words
