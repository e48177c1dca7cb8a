/*-------------------------------------------------------------------------
 *
 * http_util.h
 *	  What the files around libcurl share: signals out, and a steady clock.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_HTTP_UTIL_H
#define BCPAID_HTTP_UTIL_H

#include <signal.h>

#include "portability/instr_time.h"

/* A thread inherits the mask: none may ever run a signal handler of PostgreSQL's. */
static inline void
http_block_signals(sigset_t *before)
{
	sigset_t	all;

	sigfillset(&all);
	(void) pthread_sigmask(SIG_SETMASK, &all, before);
}

static inline void
http_unblock_signals(const sigset_t *before)
{
	(void) pthread_sigmask(SIG_SETMASK, before, NULL);
}

/* Monotonic: a clock that jumps must neither end a request nor prolong it. */
static inline int64
http_now_ms(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return (int64) INSTR_TIME_GET_MILLISEC(now);
}

#endif							/* BCPAID_HTTP_UTIL_H */
