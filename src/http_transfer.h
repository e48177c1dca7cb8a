/*-------------------------------------------------------------------------
 *
 * http_transfer.h
 *	  One request and what came back.
 *
 * Private to http.c and http_multi.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_HTTP_TRANSFER_H
#define BCPAID_HTTP_TRANSFER_H

#include <curl/curl.h>

#include "lib/ilist.h"

#include "http.h"
#include "http_target.h"

typedef struct HttpTransfer
{
	dlist_node	node;			/* in one of http.c's lists */
	bool		running;		/* in the multi handle */
	HttpDone	done;
	void	   *arg;
	int64		started_ms;
	CURL	   *easy;
	int			generation;		/* of the handle, which may be forgotten
								 * meanwhile */
	struct curl_slist *headers;
	struct curl_slist *addresses;
	char	   *body;			/* ours */
	char	   *received;		/* the store's, zero terminated */
	size_t		received_length;
	size_t		header_length;
	const char *too_long;		/* a limit was hit, in words */
	char		errors[CURL_ERROR_SIZE];
	HttpAnswer	answer;
} HttpTransfer;

/* NULL when out of memory; what else is wrong stands in answer.error. */
extern HttpTransfer *transfer_new(const HttpRequest *request, const HttpTarget *target,
								  HttpDone done, void *arg);
extern void transfer_free(HttpTransfer *transfer);

/* libcurl's handles are kept for the next requests, TLS sessions and all: no longer. */
extern void transfer_forget_handles(void);

/* libcurl's callbacks: they never throw, a jump out of libcurl corrupts it. */
extern size_t transfer_take_body(char *data, size_t size, size_t n, void *arg);
extern size_t transfer_take_header(char *data, size_t size, size_t n, void *arg);

/* It failed before libcurl had it: nothing was sent. */
extern void transfer_fail(HttpTransfer *transfer, const char *error);

/* Fill the answer from what libcurl says of the finished transfer. */
extern void transfer_finish(HttpTransfer *transfer, CURLcode code);

#endif							/* BCPAID_HTTP_TRANSFER_H */
