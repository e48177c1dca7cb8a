/*-------------------------------------------------------------------------
 *
 * settle.h
 *	  What follows from what a store said: one rule for each verdict.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_SETTLE_H
#define BCPAID_SETTLE_H

#include "queue.h"

typedef enum SettleStep
{
	SETTLE_MOVE,				/* write the move down; the conversation is
								 * over */
	SETTLE_INTEND,				/* go on to the write */
	SETTLE_LOOK,				/* nothing is there: look anew, as before a
								 * first write */
	SETTLE_READ_BACK			/* write the move down, then read the order
								 * once more */
} SettleStep;

/* What to write down of the store itself; condition NULL: nothing.  It is asked no more before delay_ms. */
typedef struct SettleStore
{
	const char *condition;
	const char *detail;
	int			delay_ms;
} SettleStore;

/*
 * The rules.  Pure: settings and the clock in, a decision out.  `asked_at` is
 * when the conversation began: what it read is no younger.  The strings
 * of `move` and `store` live as long as `claim` and `result`, or are palloc'ed.
 */
extern SettleStep settle_decide(const QueueClaim *claim, const BcResult *look,
								const BcResult *result, TimestampTz asked_at,
								QueueMove *move, SettleStore *store);

/* The quota's part in `store`, whatever else the conversation was about. */
extern void settle_quota(const QueueClaim *claim, const BcResult *result, SettleStore *store);

#endif							/* BCPAID_SETTLE_H */
