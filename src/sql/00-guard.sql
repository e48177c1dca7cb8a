/* bcpaid: install script, put together by make from src/sql/ */

\echo Use "CREATE EXTENSION bcpaid" to load this file. \quit


/*
 * CREATE EXTENSION puts its target schema into the path, and the owner of the
 * database may have planted operators there that fit better than PostgreSQL's
 * own: functions with a parsed body (RETURN ...), constraints and views would be
 * bound to them for good, and run them as the extension's owner.
 */
SET LOCAL search_path = pg_catalog, pg_temp;

