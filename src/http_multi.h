/*-------------------------------------------------------------------------
 *
 * http_multi.h
 *	  libcurl's multi handle, waited for together with the latch.
 *
 * Private to http.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_HTTP_MULTI_H
#define BCPAID_HTTP_MULTI_H

#include "http_transfer.h"

/* `resolver` is one more descriptor to wake up for; throws on failure. */
extern void multi_init(int resolver);
extern void multi_shutdown(void);	/* after the last transfer was removed */

/* So many transfers may be in flight. */
extern int	multi_capacity(void);

/* Let libcurl begin what was added, without waiting for anything. */
extern void multi_push(void);

extern bool multi_add(HttpTransfer *transfer);
extern void multi_remove(HttpTransfer *transfer);

/*
 * Sleep, at most so long (-1: any time), then let libcurl do what is due.
 * Returns true if the latch was set, and resets it; tells if the resolver's
 * descriptor is readable.
 */
extern bool multi_wait(long timeout_ms, bool *resolved);

/* The next transfer that ended, with its answer, out of the multi handle; or NULL. */
extern HttpTransfer *multi_next_finished(void);

#endif							/* BCPAID_HTTP_MULTI_H */
