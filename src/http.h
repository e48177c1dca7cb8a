/*-------------------------------------------------------------------------
 *
 * http.h
 *	  HTTPS requests, many at a time, on one libcurl multi handle.
 *
 * The only module that knows libcurl.  All memory is malloc'ed, as libcurl's
 * is; no callback of ours throws.  Signals are blocked around every libcurl
 * call, because its resolver threads inherit the mask.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_HTTP_H
#define BCPAID_HTTP_H

#define HTTP_BODY_MAX	(512 * 1024)	/* twice a full page of transactions;
										 * more is an error */

typedef struct HttpRequest
{
	const char *method;			/* GET, POST or PUT */
	const char *path;			/* appended to the host's base URL, starts
								 * with '/' */
	const char *token;			/* X-Auth-Token */
	const char *body;			/* JSON, or NULL */
	bool		is_write;		/* travels on a connection of its own, never
								 * re-sent */
} HttpRequest;

typedef struct HttpAnswer
{
	int			status;			/* 0: no answer */
	bool		not_sent;		/* provably not a byte of the request left */
	bool		refused;		/* certificate or redirect: no retry helps */
	const char *error;			/* words for a person, if status is 0 or the
								 * body unusable */
	const char *body;			/* zero terminated, may be NULL */
	size_t		body_length;
	int			took_ms;
	int			quota_left,		/* -1 where the header is absent */
				quota_total,
				window_ms,
				reset_ms,
				retry_after_s;
} HttpAnswer;

typedef void (*HttpDone) (void *arg, const HttpAnswer *answer);

extern void http_init(void);	/* once in a worker; throws on failure */
extern void http_reload(void);	/* after a reload of the settings */
extern void http_shutdown(void);	/* drop all transfers at once, without
									 * waiting */

/*
 * Start a request; `done` is called from http_wait(), once, whatever happens.
 * NULL, and no call, only when out of memory.
 */
extern void *http_start(const HttpRequest *request, HttpDone done, void *arg);

/* Send what was started, as far as can be without waiting; calls nothing back. */
extern void http_push(void);

extern int	http_in_flight(void);
extern int	http_capacity(void);	/* how many may be, for the files that
									 * this process may open */

/*
 * Wait until a socket is ready, the latch is set or the time is up, and run
 * what is ready.  Returns true if the latch was set (and resets it).  A flag
 * that database code may have eaten the latch of is the caller's to check: he
 * passes 0 then.  Returns at once if a callback is due or an interrupt pending.
 */
extern bool http_wait(long timeout_ms);

#endif							/* BCPAID_HTTP_H */
