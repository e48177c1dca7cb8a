/*-------------------------------------------------------------------------
 *
 * resolve.h
 *	  Host names to addresses, without ever making the process wait.
 *
 * libcurl joins the thread of its own resolver: a name server that hangs
 * would outlast every timeout and a shutdown.  Here a lookup that takes too
 * long is simply left behind.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_RESOLVE_H
#define BCPAID_RESOLVE_H

typedef enum ResolveState
{
	RESOLVE_PENDING,
	RESOLVE_READY,
	RESOLVE_FAILED
} ResolveState;

/* Readable when a lookup came back; -1 on failure, with errno. */
extern int	resolve_init(void);
extern void resolve_shutdown(void);

/*
 * The addresses of a name, comma separated, or the words why there are none;
 * both last until the next call of any of these.
 */
extern ResolveState resolve_ask(const char *name, long timeout_ms, const char **text);

/* Have a name that is known looked up anew, at the next call of resolve_ask(). */
extern void resolve_refresh(void);

/* Take in what came back. */
extern void resolve_collect(void);

/* Milliseconds until a pending lookup is given up, -1 if none is pending. */
extern long resolve_wait_ms(void);

#endif							/* BCPAID_RESOLVE_H */
