/*
 * The soak's own record of what people did in Odoo, written in the transaction in which they did it.  `token` is
 * the caller's: a step that may or may not have been committed is asked for again, and done once.
 */
CREATE SCHEMA soak;
CREATE TABLE soak.journal (
    token    bigint PRIMARY KEY,
    order_id int NOT NULL,
    fact     text NOT NULL,
    value    text,
    result   text
);
CREATE INDEX ON soak.journal (order_id);

/* `act` is a query of one value; the first word of an opening's is the order's id.  `hold`: so long Odoo thinks. */
CREATE FUNCTION soak.step(token bigint, order_id int, fact text, value text, act text, hold float8) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    result text := (SELECT j.result FROM soak.journal j WHERE j.token = step.token);
BEGIN
    IF result IS NULL THEN
        EXECUTE act INTO result;
        INSERT INTO soak.journal
        VALUES (step.token, coalesce(step.order_id, split_part(result, ' ', 1)::int), step.fact, step.value,
                coalesce(result, ''));
        PERFORM pg_sleep(hold);
    END IF;
    RETURN result;
END $$;

/* Registered, and then something else in the same request failed. */
CREATE FUNCTION soak.fail(act text, hold float8) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE act;
    PERFORM pg_sleep(hold);
    RAISE EXCEPTION 'soak: this request fails' USING ERRCODE = 'P0999';
END $$;
