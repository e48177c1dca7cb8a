/*-------------------------------------------------------------------------
 *
 * queue.h
 *	  The ledger, as the worker sees it.
 *
 * The only C that knows the queue: each function calls the SQL function of
 * the same name (src/sql/40-queue.sql and after), elevated.  All run inside
 * work_run().
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_QUEUE_H
#define BCPAID_QUEUE_H

#include "datatype/timestamp.h"

#include "bigcommerce.h"

/* A capture that was claimed, with all that a conversation needs. */
typedef struct QueueClaim
{
	int64		id;
	int			order_id;
	bool		unknown;		/* sent before, outcome not known */
	bool		answered;		/* the store said that it took it */
	int			absent_reads;	/* agreeing reads that did not find it */
	int			failures;
	int			sends;
	TimestampTz sent_at;
	int			store_failures; /* in a row, before this conversation */
	int			generation;		/* of the store's token, and of its resuming */
	bool		alone;			/* put off before, while its store answered
								 * others */
	bool		read_back;		/* this store's first write was read back */
	float		quota_reserve;
	bool		has_token;
	BcStore		store;
	BcOrder		order;
} QueueClaim;

/* What becomes of it. */
typedef struct QueueMove
{
	int64		id;
	const char *from_state;		/* in no other is it moved */
	const char *to_state;
	const char *reason;			/* or NULL */
	int			delay_ms;		/* until due; -1: for ever */
	bool		failed;			/* counts towards bcpaid.max_attempts */
	bool		absent;			/* one more read that did not find it */
	bool		answered;		/* the store said that it took it */
	const char *amount;			/* as written to the store, or NULL */
	const char *currency;
	const char *transaction_id;
	const char *captured_by;
	const char *warning;
	bool		moved;			/* set by queue_settle(): no person moved it
								 * meanwhile */
} QueueMove;

/* A conversation, for audit. */
typedef struct QueueAttempt
{
	int64		id;
	const BcResult *result;
} QueueAttempt;

typedef struct QueueWish
{
	int64		id;
	const char *odoo_amount;	/* as it was when the store was looked at */
	const char *amount;			/* as will be sent */
	const char *currency;
	bool		granted;
} QueueWish;

typedef struct QueueRoom
{
	int			store_id;
	int			room;
} QueueRoom;

extern bool queue_unfinished(void);
extern void queue_recover(int silence_ms);
extern int	queue_mend_times(void);
extern bool queue_take_candidates(int at_most);
extern void queue_ask_sweep(void);
extern bool queue_sweep(int at_most);

/* Claims, in work_context(); their number is returned. */
extern int	queue_claim(const QueueRoom *rooms, int nrooms, const int64 *busy,
						int nbusy, int default_room, int at_most, QueueClaim **claims);

/* Sets `granted` of those whose intent is part of this transaction. */
extern void queue_intend(QueueWish *wishes, int nwishes);

extern char *queue_environment_problem(void);
extern void queue_attempt(const QueueAttempt *attempts, int n);

/* Sets `moved` of each. */
extern void queue_settle(QueueMove *moves, int n);

/* Stores to be tested: claims without a capture, in work_context(). */
extern int	queue_tests(QueueClaim **claims);
extern void queue_tested(int store_id, bool is_ok, const char *result);

/* Delete old history; true if there is more. */
extern bool queue_prune(int at_most);

extern void queue_warn(int64 id, const char *warning);

/*
 * Keep what was learned of a store by a conversation that began in this
 * generation; true if that stops it, and it was not stopped.
 */
extern bool queue_store(int store_id, int generation, const char *condition,
						const char *detail, int delay_ms);

/* A capture whose order is to be set to Captured, and how that went. */
typedef struct QueueApply
{
	int64		id;
	int			order_id;
	int64		remote;
	int			failures;
	const char *outcome;
	const char *detail;			/* why not, or NULL */
	int			delay_ms;		/* until it is tried again */
} QueueApply;

extern int	queue_unapplied(int at_most, QueueApply **orders);
extern void queue_applied(const QueueApply *orders, int n);

/* By the system's clock. */
typedef struct QueueNext
{
	TimestampTz due;			/* a capture may be claimed, a store tested, a
								 * sweep begun */
	TimestampTz apply;			/* an order may be set to Captured */
	bool		sweep;			/* a sweep is due */
	bool		news;			/* candidates are there */
} QueueNext;

extern void queue_next_due(bool may_send, QueueNext *next);

#endif							/* BCPAID_QUEUE_H */
