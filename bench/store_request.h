/*-------------------------------------------------------------------------
 *
 * store_request.h
 *	  The fast sandbox store's three calls.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_REQUEST_H
#define STORE_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

/* `request` is text; `received` its length. */
extern bool request_is_whole(const char *request, int received);

/* Returns the HTTP status; sets the quota's headers and the body. */
extern int	request_answer(const char *request, char *quota, size_t quota_size,
						   char *body, size_t size);

#endif							/* STORE_REQUEST_H */
