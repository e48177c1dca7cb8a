/*-------------------------------------------------------------------------
 *
 * bc_remote.h
 *	  What a store says of an order and its transactions, as plain facts.
 *
 * Pure: libc and jansson.  No judgement here: that is bc_verdict.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_BC_REMOTE_H
#define BCPAID_BC_REMOTE_H

#include "bc_pure.h"

#include "bc_amount.h"
#include "bigcommerce.h"

#define BC_PAGE_SIZE	250		/* the most that v3 gives per page */
#define BC_PAGES_MAX	20		/* an order with 5,000 transactions is not
								 * ours to judge */

/* GET /v2/orders/{id}; strings are cleaned. */
typedef struct BcRemoteOrder
{
	const char *unreadable;		/* a member that is needed and unusable, or
								 * NULL */
	bool		deleted;
	bool		digital;
	bool		method_listed;	/* one of the store's offline methods */
	bool		marked;			/* payment_provider_id is our marker */
	bool		part_paid;		/* store credit or gift certificate, or
								 * unreadable */
	int			status_id;
	BcAmount	total;
	char		payment_status[BC_PAYMENT_STATUS_MAX];	/* lower case, '_' as
														 * space */
	char		method[128];
	char		currency[8];
} BcRemoteOrder;

/* GET /v3/orders/{id}/transactions, counted over all pages read so far. */
typedef struct BcSeen
{
	int			page;			/* read so far */
	int			pages;			/* the store says there are */
	int			ours;			/* captures with our marker that succeeded */
	int			ours_not_ok;	/* with our marker, of any other status */
	int			captures;		/* successful captures and purchases, ours not
								 * counted */
	int			settled;		/* successful "settled" events, ours not
								 * counted */
	int			refunds;
	int			unclear;		/* money moved, with a status that we do not
								 * know */
	int			part_payments;	/* store credit, gift certificate */
	int			authorized;		/* through a real gateway, and what else it
								 * did */
	int			voided;			/* through a real gateway */
	int			declined;		/* through a real gateway */
	int			voided_offline;
	char		id[64];			/* of our capture, else of the last other one */
	char		gateway[64];	/* the real one that was seen */
} BcSeen;

/* False if the body is not an order of this id. */
extern bool bc_remote_order(const char *body, size_t length, int64 id,
							const BcStore *store, const char *marker,
							BcRemoteOrder *order);

/*
 * Count one page into `seen` (zeroed before the first).  False if the body is
 * not the next page of this order's transactions: nothing is known then.
 */
extern bool bc_remote_transactions(const char *body, size_t length, int64 id,
								   const BcStore *store, const char *marker,
								   BcSeen *seen);

/* The answer to POST .../transactions: does it show our capture, with status ok? */
extern bool bc_remote_captured(const char *body, size_t length, int64 id,
							   const BcStore *store, const char *marker,
							   bool *readable, BcSeen *seen);

#endif							/* BCPAID_BC_REMOTE_H */
