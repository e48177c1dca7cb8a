/*
 * An Odoo 19 database as far as bcpaid touches it: the tables, the columns that
 * matter with their types, the keys with what they do on delete, and the
 * indexes that a plan may rest on, under the names Odoo gives them.
 */
CREATE TABLE ir_config_parameter (
    id serial PRIMARY KEY,
    key varchar NOT NULL UNIQUE,
    value text NOT NULL
);
INSERT INTO ir_config_parameter (key, value) VALUES ('database.uuid', gen_random_uuid());

CREATE TABLE ir_model_fields (
    id serial PRIMARY KEY,
    model varchar NOT NULL,
    name varchar NOT NULL,
    field_description jsonb NOT NULL,
    ttype varchar NOT NULL,
    relation varchar,
    store bool,
    UNIQUE (model, name)
);
CREATE TABLE ir_model_fields_selection (
    id serial PRIMARY KEY,
    field_id int NOT NULL REFERENCES ir_model_fields ON DELETE CASCADE,
    value varchar NOT NULL,
    name jsonb NOT NULL,
    sequence int
);

CREATE TABLE res_currency (
    id serial PRIMARY KEY,
    name varchar NOT NULL,
    symbol varchar NOT NULL,
    decimal_places int
);
INSERT INTO res_currency (name, symbol, decimal_places)
VALUES ('USD', '$', 2), ('EUR', 'EUR', 2), ('JPY', 'JPY', 0);

CREATE TABLE sale_order (
    id serial PRIMARY KEY,
    name varchar NOT NULL,
    state varchar,
    invoice_status varchar,
    currency_id int REFERENCES res_currency ON DELETE RESTRICT,
    amount_total numeric,
    locked bool,
    partner_id int,
    company_id int NOT NULL DEFAULT 1,
    date_order timestamp NOT NULL DEFAULT now(),
    create_date timestamp DEFAULT now(),
    write_date timestamp DEFAULT now()
);
CREATE INDEX sale_order__state_index ON sale_order (state);
CREATE INDEX sale_order__create_date_index ON sale_order (create_date);
CREATE INDEX sale_order_date_order_id_idx ON sale_order (date_order DESC, id DESC);

CREATE TABLE sale_order_line (
    id serial PRIMARY KEY,
    order_id int NOT NULL REFERENCES sale_order ON DELETE CASCADE,
    product_id int,
    display_type varchar,
    name text NOT NULL,
    product_uom_qty numeric NOT NULL,
    price_unit numeric NOT NULL,
    price_total numeric,
    is_downpayment bool
);
CREATE INDEX sale_order_line__order_id_index ON sale_order_line (order_id);

CREATE TABLE account_move (
    id serial PRIMARY KEY,
    name varchar,
    ref varchar,
    state varchar NOT NULL,
    move_type varchar NOT NULL,
    payment_state varchar,
    currency_id int NOT NULL REFERENCES res_currency ON DELETE RESTRICT,
    amount_total numeric,
    amount_residual numeric,
    amount_total_signed numeric,
    reversed_entry_id int REFERENCES account_move ON DELETE SET NULL,
    origin_payment_id int,
    statement_line_id int,
    partner_id int,
    date date NOT NULL DEFAULT current_date,
    invoice_date date,
    create_date timestamp DEFAULT (now() AT TIME ZONE 'UTC'),
    write_date timestamp DEFAULT now()
);
CREATE INDEX account_move__reversed_entry_id_index ON account_move (reversed_entry_id)
    WHERE reversed_entry_id IS NOT NULL;
CREATE INDEX account_move__origin_payment_id_index ON account_move (origin_payment_id)
    WHERE origin_payment_id IS NOT NULL;
CREATE INDEX account_move__move_type_index ON account_move (move_type);

CREATE TABLE account_payment (
    id serial PRIMARY KEY,
    move_id int REFERENCES account_move ON DELETE SET NULL,
    name varchar,
    state varchar NOT NULL,
    payment_type varchar NOT NULL,
    partner_type varchar NOT NULL,
    amount numeric,
    currency_id int REFERENCES res_currency ON DELETE SET NULL,
    is_reconciled bool,
    is_matched bool,
    journal_id int NOT NULL DEFAULT 1,
    company_id int NOT NULL DEFAULT 1,
    date date NOT NULL DEFAULT current_date,
    write_date timestamp DEFAULT now()
);
CREATE INDEX account_payment__move_id_index ON account_payment (move_id);
ALTER TABLE account_move ADD FOREIGN KEY (origin_payment_id)
    REFERENCES account_payment ON DELETE SET NULL;

CREATE TABLE account_move_line (
    id serial PRIMARY KEY,
    move_id int NOT NULL REFERENCES account_move ON DELETE CASCADE,
    account_id int,
    display_type varchar NOT NULL,
    parent_state varchar,
    product_id int,
    payment_id int REFERENCES account_payment ON DELETE SET NULL,
    currency_id int NOT NULL REFERENCES res_currency ON DELETE RESTRICT,
    balance numeric,
    amount_currency numeric,
    amount_residual numeric,
    price_total numeric,
    reconciled bool
);
CREATE INDEX account_move_line__move_id_index ON account_move_line (move_id);
CREATE INDEX account_move_line__payment_id_index ON account_move_line (payment_id)
    WHERE payment_id IS NOT NULL;

CREATE TABLE sale_order_line_invoice_rel (
    invoice_line_id int NOT NULL REFERENCES account_move_line ON DELETE CASCADE,
    order_line_id int NOT NULL REFERENCES sale_order_line ON DELETE CASCADE,
    PRIMARY KEY (invoice_line_id, order_line_id)
);
CREATE INDEX sale_order_line_invoice_rel_order_line_id_invoice_line_id_idx
    ON sale_order_line_invoice_rel (order_line_id, invoice_line_id);

CREATE TABLE account_move__account_payment (
    invoice_id int NOT NULL REFERENCES account_move ON DELETE CASCADE,
    payment_id int NOT NULL REFERENCES account_payment ON DELETE CASCADE,
    PRIMARY KEY (invoice_id, payment_id)
);
CREATE INDEX account_move__account_payment_payment_id_invoice_id_idx
    ON account_move__account_payment (payment_id, invoice_id);

CREATE TABLE account_partial_reconcile (
    id serial PRIMARY KEY,
    debit_move_id int NOT NULL REFERENCES account_move_line ON DELETE RESTRICT,
    credit_move_id int NOT NULL REFERENCES account_move_line ON DELETE RESTRICT,
    amount numeric,
    debit_amount_currency numeric,
    credit_amount_currency numeric,
    exchange_move_id int REFERENCES account_move ON DELETE SET NULL
);
CREATE INDEX account_partial_reconcile__debit_move_id_index ON account_partial_reconcile (debit_move_id);
CREATE INDEX account_partial_reconcile__credit_move_id_index ON account_partial_reconcile (credit_move_id);
