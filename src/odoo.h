/*-------------------------------------------------------------------------
 *
 * odoo.h
 *	  Run queries on Odoo's tables, as their owner and never with more rights.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_ODOO_H
#define BCPAID_ODOO_H

#include "executor/spi.h"
#include "nodes/execnodes.h"

#include "attachment.h"

/*
 * Run one of the attachment's queries, inside SPI_connect().  Throws what the
 * query throws, and a clear error if nothing is attached.  The result is in
 * SPI_tuptable, with the columns and types that odoo.c lists.
 */
extern void odoo_query(OdooQuery query, Datum *values, bool read_only);

/*
 * Which of these orders can be marked, as far as the two quick queries decide
 * (judge decides all).  Throws what they throw.
 */
typedef enum OdooAnswer
{
	ODOO_NO_ORDER,
	ODOO_CANNOT_MARK,
	ODOO_CAN_MARK,
	ODOO_NOT_DECIDED
} OdooAnswer;

extern void odoo_ask(const int32 *order_ids, int n, OdooAnswer *answers);

/* Put its rows, as they are, into the result of a set-returning function. */
extern void odoo_put_rows(ReturnSetInfo *result);

/*
 * Run any text with text parameters, for bcpaid.as_owner().  `row` is called
 * for each row, still as Odoo's owner: even the output function of a type may
 * be that role's.
 */
typedef void (*OdooRow) (HeapTuple row, TupleDesc desc, void *arg);
extern void odoo_query_text(const char *query, int nargs, Datum *values,
							const char *nulls, OdooRow row, void *arg);

/* A superuser, in a database that belongs to none: nothing is run as that one. */
extern bool odoo_owner_is_too_mighty(Oid owner);

/* Run `work` so that no error of its own comes out: false if it failed. */
typedef void (*OdooWork) (void *arg);
extern bool odoo_try(OdooWork work, void *arg);

#endif							/* BCPAID_ODOO_H */
