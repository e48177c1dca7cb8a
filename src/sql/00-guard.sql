/* bcpaid: install script, put together by make from src/sql/ */

\echo Use "CREATE EXTENSION bcpaid" to load this file. \quit

