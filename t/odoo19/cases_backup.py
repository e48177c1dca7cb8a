"""Backups made and restored by Odoo's own database manager."""

import contextlib
import copy
import io
import subprocess
import zipfile

from cases import case
from cases_order import paid_and_waiting, store_down
from database import SqlError
from waiting import wait_for


def text_of(backup, file_format):
    """All that the backup says of the database, as SQL."""
    if file_format == "zip":
        with zipfile.ZipFile(io.BytesIO(backup)) as archive:
            return archive.read("dump.sql").decode()
    return subprocess.run(["pg_restore", "-f", "-"], input=backup, capture_output=True, check=True).stdout.decode()


class BackedUp:
    """A backup of a shop in which one order is captured, one is paid and waits for its store, and one is paid and not
    linked yet. The store comes back afterwards, and the shop goes on: it captures the one that waited."""

    def __init__(self, bench, file_format):
        self.bench = bench
        self.captured, self.unlinked = bench.order(100), bench.shop.order(100)
        bench.shop.register([bench.shop.invoice(self.captured)])
        bench.shop.register([bench.shop.invoice(self.unlinked)])
        bench.expect_captured(self.captured, measured=False)
        with store_down(bench):
            self.waiting, _ = paid_and_waiting(bench)
            self.backup = bench.odoo.backup(file_format)
        bench.expect_captured(self.waiting, measured=False)
        self._check_text(text_of(self.backup, file_format))

    def _check_text(self, text):
        marker = self.bench.capture(self.captured)["marker"]
        assert marker in text, "the backup does not hold the ledger"
        assert self.bench.sandbox.token not in text, "the backup holds the token"

    @contextlib.contextmanager
    def restored(self, name, **options):
        """The bench of the restored database, until the block ends. In it the order that was not linked is linked now:
        something is to be sent, if anything were."""
        asked = self._asked()
        self.bench.odoo.restore(name, self.backup, **options)
        there = copy.copy(self.bench)
        there.database = self.bench.database.other(name)
        try:
            there.link(self.unlinked, 100)
            self._expect_silence(there, asked)
            yield there
        finally:
            self.bench.odoo.drop_database(name)

    def _asked(self):
        return [self.bench.sandbox.requests(self.bench.remote_id(order)) for order in (self.captured, self.waiting)]

    def _expect_silence(self, there, asked):
        """It notes and judges, says that it does not send, and asks the store nothing."""
        there.wait_until_judged()
        assert there.capture(self.unlinked)["state"] == "queued", there.capture(self.unlinked)
        assert there.database.value("SELECT bool_or(environment_confirmed) FROM bcpaid.status") is False
        assert there.database.rows("SELECT FROM bcpaid.doctor() WHERE \"check\" = 'environment' AND NOT ok")
        wait_for(lambda: not there.database.rows("SELECT FROM pg_stat_activity WHERE datname = current_database()"
                                                 " AND backend_type LIKE 'bcpaid%'"), "its worker to leave")
        assert there.sandbox.requests(there.remote_id(self.unlinked)) == 0, "the restored database asked the store"
        assert self._asked() == asked, "the restored database asked the store"
        assert there.database.value("SELECT bool_or(has_token) FROM bcpaid.stores") is False, "a token was restored"

    def expect_goes_on(self, there):
        """With a token and a person's word it sends: what is new is captured, what was captured is not sent again."""
        before = self._asked()[0]
        there.give_token(there.store)
        there.database.run("SELECT bcpaid.confirm_environment()")
        there.expect_captured(self.unlinked, measured=False)
        there.expect_captured(self.waiting, measured=False)
        there.expect_captured(self.captured, measured=False)
        assert self._asked()[0] == before, "the store was asked about an order that the backup says is captured"
        # The shop itself sees the other's capture by its marker.
        self.bench.link_again(self.unlinked)
        self.bench.expect_captured(self.unlinked, measured=False)


@case
def restored_zip(bench):
    """a zip backup restored as a copy sends nothing and says so; confirmed, it goes on, and nothing is captured twice"""
    backed_up = BackedUp(bench, "zip")
    with backed_up.restored("shop_zip", copy="true") as there:
        backed_up.expect_goes_on(there)


@case
def restored_custom(bench):
    """the same with a backup in pg_dump's custom format, restored as the database that it was"""
    backed_up = BackedUp(bench, "dump")
    with backed_up.restored("shop_dump") as there:
        uuid = "SELECT value FROM ir_config_parameter WHERE key = 'database.uuid'"
        assert there.database.value(uuid) == bench.database.value(uuid), "it was restored as a copy"
        backed_up.expect_goes_on(there)


@case
def restored_neutralised(bench):
    """a backup restored neutralised: its stores are paused, and it refuses to be confirmed"""
    backed_up = BackedUp(bench, "zip")
    with backed_up.restored("shop_neutral", copy="true", neutralize_database="true") as there:
        assert there.database.value("SELECT bool_and(paused) FROM bcpaid.stores") is True, "a store is not paused"
        there.give_token(there.store)
        try:
            there.database.run("SELECT bcpaid.confirm_environment()")
            raise AssertionError("a neutralised database was confirmed")
        except SqlError as error:
            assert "neutralised" in str(error), error
        assert bench.sandbox.requests(bench.remote_id(backed_up.unlinked)) == 0, "the neutralised database asked the store"
    bench.link_again(backed_up.unlinked)
    bench.expect_captured(backed_up.unlinked, measured=False)
