/*-------------------------------------------------------------------------
 *
 * odoo_plan.h
 *	  What odoo.c and odoo_ask.c share: whose tables, and the plans for them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_ODOO_PLAN_H
#define BCPAID_ODOO_PLAN_H

#include "access/tupdesc.h"
#include "executor/spi.h"

#include "attachment.h"

/* The owner of sale_order; an error where `query` cannot be asked as him. */
extern Oid	odoo_owner(OdooQuery query);

/* The kept plan, prepared at first; inside SPI_connect() and elevate_down(). */
extern SPIPlanPtr odoo_plan(OdooQuery query);

/* An error if the result has other columns than the code reads. */
extern void odoo_check_result(OdooQuery query, TupleDesc desc);

#endif							/* BCPAID_ODOO_PLAN_H */
