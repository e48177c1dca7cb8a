/*-------------------------------------------------------------------------
 *
 * http_options.h
 *	  What libcurl is told about a request.
 *
 * Private to http.c and http_transfer.c.  Both return false with the words in
 * transfer->errors; the request must not run then.
 *
 *-------------------------------------------------------------------------
 */
#ifndef HTTP_OPTIONS_H
#define HTTP_OPTIONS_H

#include "http_transfer.h"

extern bool options_set(HttpTransfer *transfer, const HttpRequest *request,
						const HttpTarget *target);

/* What is known only when it is about to run: addresses (may be NULL), time left. */
extern bool options_set_last(HttpTransfer *transfer, const HttpTarget *target,
							 const char *addresses, long time_left_ms);

#endif							/* HTTP_OPTIONS_H */
