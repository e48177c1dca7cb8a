/*
 * The C functions.  Those in the extension's schema are Odoo's to call; the
 * ones in schema bcpaid are called by our own SQL only, unless granted below.
 */

/*
 * The language of every SECURITY DEFINER function: PL/pgSQL that first makes
 * sure of the extension, and keeps it (see elevate.h).  Bodies call by name, and
 * who owns the database may drop the extension and make a schema bcpaid himself.
 */
CREATE FUNCTION bcpaid.call_handler() RETURNS language_handler
    AS 'MODULE_PATHNAME', 'bcpaid_call_handler' LANGUAGE C;
COMMENT ON FUNCTION bcpaid.call_handler() IS 'runs a function in PL/pgSQL, with the extension kept from being dropped';
/* PL/pgSQL's validator under a name of ours: pg_upgrade cannot carry a language with a function of pg_catalog. */
CREATE FUNCTION bcpaid.call_validator(oid) RETURNS void
    AS '$libdir/plpgsql', 'plpgsql_validator' LANGUAGE C STRICT;
COMMENT ON FUNCTION bcpaid.call_validator(oid) IS 'checks a function in the language bcpaid as PL/pgSQL does';
CREATE LANGUAGE bcpaid HANDLER bcpaid.call_handler VALIDATOR bcpaid.call_validator;
COMMENT ON LANGUAGE bcpaid IS 'PL/pgSQL for SECURITY DEFINER functions of bcpaid: what they call is bcpaid''s, or nothing runs';

CREATE FUNCTION @extschema@.bcpaid_can_mark(order_id integer) RETURNS boolean
    AS 'MODULE_PATHNAME', 'bcpaid_can_mark'
    LANGUAGE C STABLE PARALLEL RESTRICTED COST 100;
COMMENT ON FUNCTION @extschema@.bcpaid_can_mark(integer) IS
    'is the order eligible to be marked as paid at its store; false for whatever is unknown, raises nothing of its own';

CREATE FUNCTION @extschema@.bcpaid_can_mark(order_ids integer[],
        OUT order_id integer, OUT can_mark boolean) RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'bcpaid_can_mark_set'
    LANGUAGE C STABLE PARALLEL RESTRICTED COST 1000 ROWS 80;
COMMENT ON FUNCTION @extschema@.bcpaid_can_mark(integer[]) IS
    'the same for a list of orders, in one query; ids that are no order are left out';

CREATE FUNCTION @extschema@.bcpaid_why_not(order_id integer,
        OUT condition text, OUT met boolean, OUT detail text) RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'bcpaid_why_not'
    LANGUAGE C STABLE PARALLEL RESTRICTED COST 1000 ROWS 8;
COMMENT ON FUNCTION @extschema@.bcpaid_why_not(integer) IS
    'every condition of eligibility, whether it is met, and the fact that decided it';

CREATE FUNCTION @extschema@.bcpaid_mark(order_id integer) RETURNS bigint
    AS 'MODULE_PATHNAME', 'bcpaid_mark'
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.bcpaid_mark(integer) IS
    'enqueue the capture of an eligible order and return the capture; twice is the same as once; SQLSTATE 55000 if not eligible, 42501 without the right to update sale_order';

CREATE FUNCTION bcpaid.note() RETURNS trigger
    AS 'MODULE_PATHNAME', 'bcpaid_note' LANGUAGE C;
COMMENT ON FUNCTION bcpaid.note() IS 'trigger on Odoo''s tables: note in memory that a row changed, write it down before commit';

CREATE FUNCTION bcpaid.attachment_changed() RETURNS trigger
    AS 'MODULE_PATHNAME', 'bcpaid_attachment_changed' LANGUAGE C;
COMMENT ON FUNCTION bcpaid.attachment_changed() IS 'trigger on bcpaid.attachment: every session reads it anew';
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON bcpaid.attachment
    FOR EACH STATEMENT EXECUTE FUNCTION bcpaid.attachment_changed();

CREATE FUNCTION bcpaid.judge(order_ids integer[],
        OUT order_id integer, OUT store_id integer, OUT store_hash text,
        OUT remote_order_id bigint, OUT amount numeric, OUT currency text, OUT lines integer,
        OUT can_mark boolean, OUT automatic boolean, OUT paid boolean,
        OUT capture_id bigint, OUT capture_state text, OUT failed text) RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'bcpaid_judge' LANGUAGE C STABLE STRICT;
COMMENT ON FUNCTION bcpaid.judge(integer[]) IS 'every fact about these orders, read as the owner of Odoo''s tables';

CREATE FUNCTION bcpaid.resolve(payments integer[], moves integer[], lines integer[]) RETURNS SETOF integer
    AS 'MODULE_PATHNAME', 'bcpaid_resolve' LANGUAGE C STABLE;
COMMENT ON FUNCTION bcpaid.resolve(integer[], integer[], integer[]) IS 'the orders that changed payments, journal entries and order lines belong to';

CREATE FUNCTION bcpaid.unswept(after_id integer, up_to_id integer) RETURNS SETOF integer
    AS 'MODULE_PATHNAME', 'bcpaid_unswept' LANGUAGE C STABLE STRICT;
COMMENT ON FUNCTION bcpaid.unswept(integer, integer) IS 'the orders in a range of ids that look worth judging';

CREATE FUNCTION bcpaid.connector_token(store_id integer) RETURNS text
    AS 'MODULE_PATHNAME', 'bcpaid_connector_token' LANGUAGE C STABLE STRICT;
COMMENT ON FUNCTION bcpaid.connector_token(integer) IS 'the token in the connector''s own store row, NULL if it keeps none';

CREATE FUNCTION bcpaid.as_owner(query text, VARIADIC args text[] DEFAULT '{}') RETURNS SETOF jsonb
    AS 'MODULE_PATHNAME', 'bcpaid_as_owner' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION bcpaid.as_owner(text, text[]) IS 'run a statement as the owner of Odoo''s tables and return its rows';

CREATE FUNCTION bcpaid.caller() RETURNS regrole
    AS 'MODULE_PATHNAME', 'bcpaid_caller' LANGUAGE C STABLE;
COMMENT ON FUNCTION bcpaid.caller() IS 'the role that called, seen from inside a SECURITY DEFINER function';

CREATE FUNCTION bcpaid.wake() RETURNS void
    AS 'MODULE_PATHNAME', 'bcpaid_wake' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION bcpaid.wake() IS 'have the worker look at what this transaction commits';

CREATE FUNCTION bcpaid.sender_is_ready() RETURNS boolean
    AS 'MODULE_PATHNAME', 'bcpaid_sender_is_ready' LANGUAGE C STABLE;
COMMENT ON FUNCTION bcpaid.sender_is_ready() IS 'was the library preloaded, so that a worker can run';

CREATE FUNCTION bcpaid.waits_for_slot() RETURNS boolean
    AS 'MODULE_PATHNAME', 'bcpaid_waits_for_slot' LANGUAGE C STABLE;
COMMENT ON FUNCTION bcpaid.waits_for_slot() IS 'is a worker to be started for which there is no process';

CREATE FUNCTION bcpaid.missing_column() RETURNS text
    AS 'MODULE_PATHNAME', 'bcpaid_missing_column' LANGUAGE C STABLE;
COMMENT ON FUNCTION bcpaid.missing_column() IS 'the first column that the attached profile needs and Odoo no longer has';

CREATE FUNCTION bcpaid.judging_problem() RETURNS text
    AS 'MODULE_PATHNAME', 'bcpaid_judging_problem' LANGUAGE C STABLE;
COMMENT ON FUNCTION bcpaid.judging_problem() IS 'why orders cannot be judged in this database, NULL if they can';

CREATE FUNCTION bcpaid.marker(store_hash text, remote_order_id bigint) RETURNS text
    AS 'MODULE_PATHNAME', 'bcpaid_marker' LANGUAGE C IMMUTABLE STRICT;
COMMENT ON FUNCTION bcpaid.marker(text, bigint) IS 'the text that identifies our capture of a remote order at its store';
