/* These queries answer for ever: the first row is for this order. */
CREATE FUNCTION fixture.first_answer(query text, order_id int) RETURNS SETOF jsonb
LANGUAGE sql
RETURN bcpaid.as_owner(format('SELECT * FROM (%s) q LIMIT 1', query), order_id::text);

/* What is said about every case, by every way to ask. */
CREATE TEMP VIEW answers AS
SELECT c.n, c.name, c.expected,
       CASE WHEN j.can_mark AND j.automatic THEN 'yes' WHEN j.can_mark THEN 'hand' ELSE j.failed END AS got,
       c.amount IS NOT DISTINCT FROM CASE WHEN j.can_mark THEN j.amount END AS amount_ok,
       bcpaid_can_mark(c.order_id) = j.can_mark AS button_agrees,
       (SELECT w.condition IS NOT DISTINCT FROM coalesce(j.failed, CASE WHEN NOT j.automatic THEN 'automatic' END)
        FROM (SELECT) x LEFT JOIN LATERAL (SELECT w.condition FROM bcpaid_why_not(c.order_id) w WHERE NOT w.met LIMIT 1) w ON true)
           AS reason_agrees,
       (SELECT coalesce(string_agg(w.detail, '; '), 'nothing in the way') FROM
           (SELECT w.detail FROM bcpaid_why_not(c.order_id) w WHERE NOT w.met LIMIT 1) w) AS reason,
       NOT j.can_mark OR cheap.answer IS NULL AS cheap_agrees,
       cheap.answer IS NOT NULL OR coalesce(plain.answer::bool = j.can_mark, true) AS plain_agrees
FROM fixture.cases c
JOIN LATERAL bcpaid.judge(ARRAY[c.order_id]) j ON true
JOIN LATERAL (SELECT q ->> 'can_mark' AS answer FROM bcpaid.attachment a, fixture.first_answer(a.cheap, c.order_id) q) cheap ON true
JOIN LATERAL (SELECT q ->> 'can_mark' AS answer FROM bcpaid.attachment a, fixture.first_answer(a.plain, c.order_id) q) plain ON true;

SELECT name AS "case", expected, got, expected = got AS ok, reason FROM answers ORDER BY n;

\echo failures: none
SELECT name, expected, got, amount_ok, button_agrees, reason_agrees, cheap_agrees, plain_agrees FROM answers
WHERE (expected = got AND amount_ok AND button_agrees AND reason_agrees AND cheap_agrees AND plain_agrees) IS NOT TRUE ORDER BY n;

\echo the set form and the single form agree
SELECT count(*) AS orders, count(*) FILTER (WHERE s.can_mark <> bcpaid_can_mark(s.order_id)) AS differ
FROM bcpaid_can_mark(ARRAY(SELECT c.order_id FROM fixture.cases c)) s;

\echo every condition of the first and of the last case, of an id that no order has, and of none
SELECT w.* FROM fixture.cases c, bcpaid_why_not(c.order_id) w WHERE c.n = 1;
SELECT w.* FROM (SELECT c.order_id FROM fixture.cases c ORDER BY c.n DESC LIMIT 1) c, bcpaid_why_not(c.order_id) w;
SELECT bcpaid_can_mark(999999), bcpaid_can_mark(NULL::int);
SELECT * FROM bcpaid_why_not(999999);
SELECT * FROM bcpaid_why_not(NULL);
ROLLBACK;
