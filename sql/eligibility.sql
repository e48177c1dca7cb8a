-- Goal: every case of eligibility is answered as expected, with its reason, on
-- Odoo's newest and oldest shape.
\set ECHO none
\set VERBOSITY terse
CREATE ROLE regress_odoo LOGIN;

\echo Odoo 19
CREATE DATABASE regress_odoo19 OWNER regress_odoo;
\c regress_odoo19
SET client_min_messages = warning;
SET ROLE regress_odoo;
\i t/shape/odoo19.sql
RESET ROLE;
\i t/shape/fixtures.sql
\i t/shape/fixtures-payments.sql
SET ROLE regress_odoo;
CREATE EXTENSION bcpaid;
SELECT bcpaid.attach();
RESET ROLE;
\i t/shape/cases.sql
\i t/shape/cases-19.sql
\i t/shape/cases-answers.sql

\echo Odoo 14
CREATE DATABASE regress_odoo14 OWNER regress_odoo;
\c regress_odoo14
SET client_min_messages = warning;
SET ROLE regress_odoo;
\i t/shape/odoo14.sql
RESET ROLE;
\i t/shape/fixtures.sql
\i t/shape/fixtures-payments.sql
SET ROLE regress_odoo;
CREATE EXTENSION bcpaid;
SELECT bcpaid.attach();
RESET ROLE;
\i t/shape/cases.sql
\i t/shape/cases-answers.sql
