/*-------------------------------------------------------------------------
 *
 * explain.h
 *	  Why an order cannot be marked.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_EXPLAIN_H
#define BCPAID_EXPLAIN_H

/* The first condition that fails and the fact behind it, palloc'ed; NULL if none. */
extern char *explain_why_not(int order_id);

#endif							/* BCPAID_EXPLAIN_H */
