/*
 * The tables: what bcpaid remembers.
 *
 * All are owned by the extension's owner (a superuser) and are written only
 * from elevated sections of our own code.  pg_database_owner may read what a
 * backup must carry, and may insert what a restore must load; the guard at
 * the end takes the latter away once a person has confirmed the environment.
 */

CREATE SCHEMA bcpaid;
COMMENT ON SCHEMA bcpaid IS 'bcpaid: captures, stores and settings of offline payments taken to BigCommerce';

/* Where a connector keeps things: one row a connector, see 20-profiles.sql. */
CREATE TABLE bcpaid.profile (
    name                text PRIMARY KEY,
    shipped             bool NOT NULL DEFAULT false,
    description         text NOT NULL DEFAULT '',

    link_table          text NOT NULL DEFAULT 'sale_order',
    link_order_column   text NOT NULL DEFAULT 'id',
    link_store_column   text,
    link_remote_column  text,

    store_table         text,
    store_filter        jsonb NOT NULL DEFAULT '{}',
    store_name_column   text,
    store_hash_column   text,
    store_token_column  text,

    status_table        text NOT NULL DEFAULT 'sale_order',
    status_order_column text NOT NULL DEFAULT 'id',
    status_column       text,
    status_captured     text,
    status_lookup       jsonb,

    gateway_column      text,
    gateway_real        text[] NOT NULL DEFAULT '{}',

    adds_columns        jsonb NOT NULL DEFAULT '{}',
    discover            jsonb NOT NULL DEFAULT '{}',
    own_switch          text,
    hazard              text
);
COMMENT ON TABLE bcpaid.profile IS 'where a connector keeps the link, the store and the status in an Odoo database: data, not code';

/* The one profile in use, as found in this database, and the queries made from it. */
CREATE TABLE bcpaid.attachment (
    one         bool PRIMARY KEY DEFAULT true CHECK (one),
    profile     text NOT NULL,
    found       jsonb NOT NULL,
    odoo_schema text NOT NULL,
    cheap       text NOT NULL,
    plain       text NOT NULL,
    judge       text NOT NULL,
    explain     text NOT NULL,
    resolve     text NOT NULL,
    sweep       text NOT NULL,
    apply       text NOT NULL,
    orders      text NOT NULL,
    token       text,
    columns     text[] NOT NULL,
    attached_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE bcpaid.attachment IS 'the profile in use, with the columns found in this database and the queries made from them';

CREATE SEQUENCE bcpaid.store_id_seq AS integer;
COMMENT ON SEQUENCE bcpaid.store_id_seq IS 'ids of stores';
CREATE TABLE bcpaid.store (
    id                  integer PRIMARY KEY DEFAULT pg_catalog.nextval('bcpaid.store_id_seq'),
    profile             text,           /* whose ids these are */
    name                text,
    hash                text CHECK (hash ~ '^[a-z0-9]{1,64}$'),
    mark_order_as_paid  bool NOT NULL DEFAULT false,
    payment_states      text[] NOT NULL DEFAULT '{paid,in_payment}',
    offline_methods     text[] NOT NULL DEFAULT
        '{Manual,Bank Deposit,Cash on Delivery,Check,Money Order,Pay in Store,Cash}',
    tolerance           numeric CHECK (tolerance >= 0),
    strategy            text NOT NULL DEFAULT 'transaction'
        CHECK (strategy IN ('transaction', 'transaction_then_status', 'status')),
    quota_reserve       real NOT NULL DEFAULT 0.1 CHECK (quota_reserve >= 0 AND quota_reserve < 1),
    paused              bool NOT NULL DEFAULT false,
    stopped_reason      text,
    generation          integer NOT NULL DEFAULT 0,    /* goes up with each token and resume */
    warning             text,
    no_transactions     bool NOT NULL DEFAULT false,
    read_back           bool NOT NULL DEFAULT false,
    failures            integer NOT NULL DEFAULT 0,
    retry_at            timestamptz,
    switched_on_at      timestamptz,
    last_success_at     timestamptz,
    test_wanted         bool NOT NULL DEFAULT false,
    tested_at           timestamptz,
    test_ok             bool,
    test_result         text
);
COMMENT ON TABLE bcpaid.store IS 'settings and condition of each BigCommerce store; hash and token of a connector''s store stay in its own row';

CREATE TABLE bcpaid.token (
    store_id    integer PRIMARY KEY,
    token       text NOT NULL CHECK (token ~ '^[!-~]{1,255}$')
);
COMMENT ON TABLE bcpaid.token IS 'access tokens: read by the worker only, in no backup';

/*
 * Text without constraints: an error that COPY raises while it reads quotes the row, token and all.
 * Unlogged: no row outlives its statement, and a publication of all tables takes none.
 */
CREATE UNLOGGED TABLE bcpaid.token_inbox (
    store_id    text,
    token       text
);
COMMENT ON TABLE bcpaid.token_inbox IS 'COPY a store id and its token in here; the row is moved away at once and cannot be read back';

/*
 * What a trigger saw change: plain appends, no key, no index (see note.c).
 * A vacuum that cuts off the empty end locks the table, and whoever pays then
 * cannot note it: queue_trim() does that, when there is much to be cut.
 * Without a key its rows are their own identity: else no row could be deleted
 * from it where somebody publishes all tables.
 */
CREATE TABLE bcpaid.candidate (
    kind        "char" NOT NULL,
    ref         integer NOT NULL
) USING heap WITH (vacuum_truncate = false);
ALTER TABLE bcpaid.candidate REPLICA IDENTITY FULL;
COMMENT ON TABLE bcpaid.candidate IS 'rows of Odoo that changed and are not yet judged: o order, m journal entry, p payment, l order line';

CREATE SEQUENCE bcpaid.capture_id_seq;
COMMENT ON SEQUENCE bcpaid.capture_id_seq IS 'ids of captures';
CREATE TABLE bcpaid.capture (
    id              bigint PRIMARY KEY DEFAULT pg_catalog.nextval('bcpaid.capture_id_seq'),
    store_hash      text NOT NULL,
    remote_order_id bigint NOT NULL CHECK (remote_order_id > 0),
    order_id        integer NOT NULL,
    store_id        integer NOT NULL,
    state           text NOT NULL DEFAULT 'queued' CHECK (state IN
        ('queued', 'claimed', 'sending', 'captured', 'applied', 'waiting', 'unknown',
         'refused', 'held', 'not_ours', 'cancelled')),
    reason          text,
    origin          text NOT NULL CHECK (origin IN ('payment', 'button', 'backfill', 'sweep')),
    requested_by    text NOT NULL,
    approved        text,                   -- the doubts that a person saw and approved of
    due             timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    sends           integer NOT NULL DEFAULT 0,
    failures        integer NOT NULL DEFAULT 0,
    absent_reads    integer NOT NULL DEFAULT 0,
    sent_at         timestamptz,
    answered        bool NOT NULL DEFAULT false,
    amount          numeric,
    currency        text,
    odoo_amount     numeric,        /* of the last claim: what an approval is of */
    marker          text NOT NULL,
    transaction_id  text,
    captured_by     text CHECK (captured_by IN ('bcpaid', 'somebody else', 'hand')),
    warning         text,
    taken_back_at   timestamptz,
    created_at      timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    changed_at      timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    captured_at     timestamptz,
    UNIQUE (remote_order_id, store_hash)    /* the number first: one comparison tells most apart */
);
COMMENT ON TABLE bcpaid.capture IS 'the ledger: one row for each remote order ever to be taken to Captured, never deleted';
CREATE INDEX capture_due ON bcpaid.capture (store_id, due)
    WHERE state IN ('queued', 'waiting', 'unknown');
CREATE INDEX capture_unapplied ON bcpaid.capture (due) WHERE state = 'captured';
CREATE INDEX capture_under_way ON bcpaid.capture (id) WHERE state IN ('claimed', 'sending');
CREATE INDEX capture_dormant ON bcpaid.capture (order_id) WHERE state = 'waiting' AND due = 'infinity';
CREATE INDEX capture_open ON bcpaid.capture (store_id) WHERE state <> 'applied';
CREATE INDEX capture_order ON bcpaid.capture (order_id);

CREATE SEQUENCE bcpaid.history_id_seq;
COMMENT ON SEQUENCE bcpaid.history_id_seq IS 'ids of rows of history';
CREATE TABLE bcpaid.history (
    id          bigint PRIMARY KEY DEFAULT pg_catalog.nextval('bcpaid.history_id_seq'),
    capture_id  bigint NOT NULL,
    at          timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    state       text NOT NULL,
    reason      text,
    by          text NOT NULL
);
COMMENT ON TABLE bcpaid.history IS 'every change of state of every capture, kept for bcpaid.retention';
CREATE INDEX history_capture ON bcpaid.history (capture_id, at);
CREATE INDEX history_at ON bcpaid.history (at);

CREATE SEQUENCE bcpaid.attempt_id_seq;
COMMENT ON SEQUENCE bcpaid.attempt_id_seq IS 'ids of attempts';
CREATE TABLE bcpaid.attempt (
    id          bigint PRIMARY KEY DEFAULT pg_catalog.nextval('bcpaid.attempt_id_seq'),
    capture_id  bigint NOT NULL,
    at          timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    purpose     text NOT NULL,
    requests    integer NOT NULL,
    status      integer,
    took_ms     integer,
    outcome     text NOT NULL,
    detail      text
);
COMMENT ON TABLE bcpaid.attempt IS 'conversations with a store on behalf of a capture, kept for bcpaid.retention';
CREATE INDEX attempt_capture ON bcpaid.attempt (capture_id, at);
CREATE INDEX attempt_at ON bcpaid.attempt (at);

/* Orders that were eligible before a store was switched on: for people only. */
CREATE TABLE bcpaid.baseline (
    order_id    integer PRIMARY KEY,
    store_id    integer NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE bcpaid.baseline IS 'orders that were eligible when their store was switched on: captured by backfill or button only';

/* Links and statuses that Odoo has no column for, or that detach took over. */
CREATE TABLE bcpaid.link (
    order_id        integer PRIMARY KEY,
    store_id        integer,
    remote_order_id text,
    payment_status  text
);
COMMENT ON TABLE bcpaid.link IS 'links and payment statuses that outlive detach, and statuses of connectors without a column for one';

CREATE TABLE bcpaid.progress (
    one         bool PRIMARY KEY DEFAULT true CHECK (one),
    swept_to    integer NOT NULL DEFAULT 0,
    again       bool NOT NULL DEFAULT false,
    swept_at    timestamptz
);
INSERT INTO bcpaid.progress DEFAULT VALUES;
COMMENT ON TABLE bcpaid.progress IS 'how far the sweep has come';

CREATE TABLE bcpaid.environment (
    one             bool PRIMARY KEY DEFAULT true CHECK (one),
    fingerprint     jsonb NOT NULL,
    confirmed_at    timestamptz NOT NULL DEFAULT pg_catalog.now(),
    confirmed_by    text NOT NULL
);
COMMENT ON TABLE bcpaid.environment IS 'the server and database that a person confirmed: in no backup, so that a copy starts unconfirmed';

/* What a backup carries: all that holds no secret and is not of this server. */
SELECT pg_catalog.pg_extension_config_dump('bcpaid.profile', 'WHERE NOT shipped');
SELECT pg_catalog.pg_extension_config_dump('bcpaid.attachment', '');
SELECT pg_catalog.pg_extension_config_dump('bcpaid.store_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('bcpaid.store', '');
SELECT pg_catalog.pg_extension_config_dump('bcpaid.candidate', '');
SELECT pg_catalog.pg_extension_config_dump('bcpaid.capture_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('bcpaid.capture', '');
SELECT pg_catalog.pg_extension_config_dump('bcpaid.history_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('bcpaid.history', '');
SELECT pg_catalog.pg_extension_config_dump('bcpaid.attempt_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('bcpaid.attempt', '');
SELECT pg_catalog.pg_extension_config_dump('bcpaid.baseline', '');
SELECT pg_catalog.pg_extension_config_dump('bcpaid.link', '');

GRANT USAGE ON SCHEMA bcpaid TO pg_database_owner, pg_monitor;
GRANT SELECT, INSERT ON bcpaid.profile, bcpaid.attachment, bcpaid.store, bcpaid.candidate,
    bcpaid.capture, bcpaid.history, bcpaid.attempt, bcpaid.baseline, bcpaid.link
    TO pg_database_owner;
GRANT SELECT, UPDATE ON SEQUENCE bcpaid.store_id_seq, bcpaid.capture_id_seq, bcpaid.history_id_seq,
    bcpaid.attempt_id_seq TO pg_database_owner;
GRANT SELECT ON bcpaid.environment, bcpaid.progress TO pg_database_owner;
GRANT INSERT ON bcpaid.token_inbox TO pg_database_owner;
