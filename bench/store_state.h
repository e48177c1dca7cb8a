/*-------------------------------------------------------------------------
 *
 * store_state.h
 *	  What the fast sandbox store knows: orders, quotas, and what it counted.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_STATE_H
#define STORE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct State
{
	long		reads,
				writes,
				captured,		/* orders with a POST */
				doubles,		/* POSTs that were not their order's first */
				throttled,
				unknown,		/* calls that are none of the three */
				connections,	/* ever accepted */
				resumed,		/* of these, with a TLS session of before */
				open,
				pending,		/* answers that are delayed now */
				most_pending;
	int64_t		first_us,		/* of the first and the last request */
				last_us;
} State;

extern State state;

extern int64_t state_now_us(void);
/* One of store.c's commands; prints a line. */
extern void state_command(const char *line);

/* Count a request of a store; false: over its quota.  Either way the headers that tell it. */
extern bool state_take(const char *store, char *headers, size_t size);

/* Answers to the three calls. */
extern void state_order(const char *store, long id, char *body, size_t size);
extern void state_transactions(const char *store, long id, char *body, size_t size);
extern void state_capture(const char *store, long id, const char *request, char *body, size_t size);

#endif							/* STORE_STATE_H */
