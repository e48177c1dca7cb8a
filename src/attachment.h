/*-------------------------------------------------------------------------
 *
 * attachment.h
 *	  This database's Odoo: who owns it, and the queries that were made for it.
 *
 * attach() (src/sql/36-attach.sql) found the connector's columns and wrote
 * queries for them into bcpaid.attachment, which is read once per backend.
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

/* The first column that the queries need and Odoo no longer has, or NULL. */
extern const char *attachment_missing_column(void);

/*
 * A query's text, NULL if there is none, and its plan, NULL if it is not yet
 * prepared.  A kept plan goes when the attachment changes.
 */
extern const char *attachment_text(OdooQuery query);
extern SPIPlanPtr attachment_plan(OdooQuery query);
extern void attachment_keep_plan(OdooQuery query, SPIPlanPtr plan);

#endif							/* BCPAID_ATTACHMENT_H */
