/*-------------------------------------------------------------------------
 *
 * bigcommerce.h
 *	  Conversations with a store: look at an order, capture it, test a store.
 *
 * The only module that knows BigCommerce's URLs and JSON.  A conversation is
 * one or more requests on behalf of one capture; it is started, goes on while
 * the worker waits in http_wait(), and comes back from bigcommerce_next()
 * when it has a verdict.  Nothing here reads or writes the database, nothing
 * may be called with a transaction open but the functions marked "anywhere".
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_BIGCOMMERCE_H
#define BCPAID_BIGCOMMERCE_H

#define BC_HASH_MAX		64
#define BC_TOKEN_MAX	255
#define BC_REASON_MAX	800		/* bytes kept of a reason, store text
								 * included: room for all doubts at once */
#define BC_PAYMENT_STATUS_MAX 32	/* "partially refunded" needs 19 */
#define BC_MARKER_LEN	40		/* "bcpaid-" and 32 hexadecimal digits, and
								 * the zero */

typedef enum BcStrategy
{
	BC_BY_TRANSACTION,
	BC_BY_TRANSACTION_THEN_STATUS,
	BC_BY_STATUS
} BcStrategy;

/* What a store's own row says; copied into the conversation. */
typedef struct BcStore
{
	int			id;
	char		hash[BC_HASH_MAX + 1];
	char		token[BC_TOKEN_MAX + 1];
	BcStrategy	strategy;
	bool		no_transactions;	/* way A was found missing before */
	const char *offline_methods;	/* newline separated; may be NULL */
} BcStore;

/* What Odoo says of the order; strings live as long as the conversation. */
typedef struct BcOrder
{
	int64		remote_order_id;
	const char *amount;			/* settled in Odoo, numeric text */
	const char *currency;		/* ISO code of the Odoo order */
	const char *tolerance;		/* numeric text, same currency */
	const char *marker;
	const char *approved;		/* the doubts that a person saw and approved
								 * of, if any */
	bool		sent_before;	/* a write may have arrived: look for ours
								 * first */
} BcOrder;

typedef enum BcPurpose
{
	BC_LOOK,					/* reads only: may this order be captured? */
	BC_SEND,					/* the one write: POST or PUT */
	BC_READ_BACK,				/* reads only: did the write arrive? */
	BC_TEST						/* reads only: is the store reachable? */
} BcPurpose;

typedef enum BcVerdict
{
	BC_GO,						/* look: capture it, amount and currency are
								 * set */
	BC_TAKEN,					/* ours: marker seen, or the write was
								 * conclusive */
	BC_TAKEN_BY_OTHER,			/* paid or captured, not by us */
	BC_WAIT,					/* look: not now; retry_ms says when, if known */
	BC_HELD,					/* a person must decide */
	BC_REFUSED,					/* no, and no retry helps */
	BC_NOT_OURS,				/* real gateway, refunded: leave alone */
	BC_NOT_SENT,				/* send: not a byte reached the store, or 429 */
	BC_UNKNOWN,					/* send: outcome not known, look first */
	BC_LOOK_AGAIN,				/* send: 409, 423: nothing taken, judge again */
	BC_NO_WAY_A,				/* send: 404 though the order exists, 405, 501 */
	BC_STOP_STORE,				/* 401, 403, redirect, bad certificate */
	BC_OK						/* test: store answered, detail says what */
} BcVerdict;

/* What the worker must know of the store after a conversation. */
typedef struct BcQuota
{
	bool		known;
	int			left;			/* requests left in the window */
	int			total;			/* requests per window */
	int			window_ms;
	int			reset_ms;		/* until the window starts anew */
} BcQuota;

typedef struct BcResult
{
	BcPurpose	purpose;
	BcVerdict	verdict;
	int			status;			/* last HTTP status, 0 if none */
	int			requests;		/* made in this conversation */
	int			took_ms;
	int			retry_ms;		/* the store asked to wait so long, or 0 */
	bool		throttled;		/* a 429 was seen */
	bool		store_unwell;	/* 5xx, no connection, no name: the store's
								 * fault */
	bool		conclusive;		/* send: the answer showed our marker (way B:
								 * the status asked for); BC_TAKEN without it
								 * must be read back */
	BcQuota		quota;
	char		amount[64];		/* store's total_inc_tax, trimmed, as a JSON
								 * number */
	char		currency[8];
	char		method[128];	/* payment_method at the store, valid UTF-8 */
	int			status_id;		/* of the order at the store */
	bool		status_follows; /* read back: the order is shown as captured,
								 * too */
	bool		digital;		/* order of digital goods only: way B
								 * completes it */
	char		payment_status[BC_PAYMENT_STATUS_MAX];	/* at the store, lower
														 * case, '_' as space */
	char		transaction_id[64];
	char		reason[BC_REASON_MAX];	/* valid UTF-8, no token, no personal
										 * data asked for */
} BcResult;

typedef struct BcConversation BcConversation;

/* Marker of our capture: the same from every database and after every restore (anywhere). */
extern void bigcommerce_marker(const char *hash, int64 remote_order_id, char *marker);

/* Is this a hash, a token that may go into a URL or a header (anywhere)? */
extern bool bigcommerce_hash_is_valid(const char *hash);
extern bool bigcommerce_token_is_valid(const char *token);

/*
 * Start a conversation.  `look` is the result of the look that a BC_SEND
 * rests on (amount, currency, method, status_id), NULL otherwise.  `tag`
 * comes back from bigcommerce_next().  Memory is malloc'ed (jansson's and
 * libcurl's rule): never throws but on out of memory, returns NULL then.
 */
extern BcConversation *bigcommerce_start(BcPurpose purpose, const BcStore *store,
										 const BcOrder *order, const BcResult *look,
										 void *tag);

/* So many conversations may go on at a time. */
extern int	bigcommerce_capacity(void);

/* Send what was started; otherwise it leaves with the next http_wait(). */
extern void bigcommerce_push(void);

/* The next finished conversation's tag and result, or false.  Frees the conversation. */
extern bool bigcommerce_next(void **tag, BcResult *result);

#endif							/* BCPAID_BIGCOMMERCE_H */
