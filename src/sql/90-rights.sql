/*
 * Rights.  PUBLIC gets the three functions that Odoo calls, which check the
 * caller's rights on sale_order themselves, and nothing else.
 */
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA bcpaid FROM PUBLIC;
REVOKE ALL ON ALL PROCEDURES IN SCHEMA bcpaid FROM PUBLIC;

/* The owner of the database, which Odoo's role is; attach() adds the owner of sale_order if that is another. */
GRANT EXECUTE ON FUNCTION bcpaid.attach(text), bcpaid.detach(), bcpaid.detect(), bcpaid.confirm_environment(),
    bcpaid.set_store(integer, text, text, boolean, text[], text[], numeric, text, real),
    bcpaid.set_token(integer, text), bcpaid.set_token_from_file(integer, text),
    bcpaid.orders_query(), bcpaid.profile_in_use(), bcpaid.set_link(integer, integer, text),
    bcpaid.pause(integer), bcpaid.resume(integer), bcpaid.want_test(integer),
    bcpaid.retry(bigint), bcpaid.retry_store(integer), bcpaid.approve(bigint), bcpaid.cancel(bigint),
    bcpaid.settle_by_hand(bigint, text), bcpaid.sweep(), bcpaid.backfill(date, boolean),
    bcpaid.export_ledger(), bcpaid.import_ledger(jsonb)
    TO pg_database_owner;
GRANT EXECUTE ON PROCEDURE bcpaid.test_store(integer, boolean, text) TO pg_database_owner;

/* A trigger runs whatever its table's user may do; creating one needs this right. */
GRANT EXECUTE ON FUNCTION bcpaid.note() TO pg_database_owner;

/* Who may see a capture may wait for it.  A view calls its functions with the rights of the one who reads it. */
GRANT SELECT ON bcpaid.captures, bcpaid.attempts, bcpaid.stores, bcpaid.status, bcpaid.news TO pg_database_owner, pg_monitor;
GRANT EXECUTE ON FUNCTION bcpaid.sender_is_ready(), bcpaid.environment_is_confirmed(), bcpaid.doctor(),
    bcpaid.capture_state(bigint) TO pg_database_owner, pg_monitor;
GRANT EXECUTE ON PROCEDURE bcpaid.wait(bigint, interval, text) TO pg_database_owner, pg_monitor;

/* Members of pg_read_all_data read every table; without a policy they find no row in this one. */
ALTER TABLE bcpaid.token ENABLE ROW LEVEL SECURITY;
/* Statistics are rows of another table. */
ALTER TABLE bcpaid.token ALTER token SET STATISTICS 0;
ALTER TABLE bcpaid.token_inbox ALTER token SET STATISTICS 0;
