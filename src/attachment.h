/*-------------------------------------------------------------------------
 *
 * attachment.h
 *	  This database's Odoo: who owns it, and the queries that read it.
 *
 * attach() (src/sql/35-attach.sql) found the connector's columns and wrote
 * queries for them into bcpaid.attachment.  Here they are prepared once per
 * backend and run as the owner of sale_order, never with more rights.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_ATTACHMENT_H
#define BCPAID_ATTACHMENT_H

#include "executor/spi.h"

typedef enum OdooQuery
{
	ODOO_CHEAP,
	ODOO_PLAIN,
	ODOO_JUDGE,
	ODOO_EXPLAIN,
	ODOO_RESOLVE,
	ODOO_SWEEP,
	ODOO_APPLY,
	ODOO_TOKEN,
	ODOO_QUERIES
} OdooQuery;

/* sale_order and its owner; InvalidOid where there is none. */
extern Oid	attachment_order_table(void);
extern Oid	attachment_owner(void);

/* Is a profile attached? */
extern bool attachment_exists(void);

/* Has the profile this query?  (A connector may keep no token.) */
extern bool attachment_has(OdooQuery query);

/* The first column that the queries need and Odoo no longer has, or NULL. */
extern const char *attachment_missing_column(void);

/*
 * Run one of the queries as Odoo's owner, inside SPI_connect().  Throws what
 * the query throws, and a clear error if nothing is attached.  The result is
 * in SPI_tuptable.
 */
extern void attachment_query(OdooQuery query, Datum *values, bool read_only);

/*
 * The same for any text with text parameters, for bcpaid.as_owner().  `row`
 * is called for each row, still as Odoo's owner: even the output function of
 * a type may be that role's.
 */
typedef void (*AttachmentRow) (HeapTuple row, TupleDesc desc, void *arg);
extern void attachment_query_text(const char *query, int nargs, Datum *values,
								  const char *nulls, AttachmentRow row, void *arg);

/* Run `work` so that no error of its own comes out: false if it failed. */
typedef void (*AttachmentWork) (void *arg);
extern bool attachment_try(AttachmentWork work, void *arg);

#endif							/* BCPAID_ATTACHMENT_H */
