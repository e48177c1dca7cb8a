/*-------------------------------------------------------------------------
 *
 * store_request.c
 *	  Which of the three calls a request is, and its answer.
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "store_request.h"
#include "store_state.h"

bool
request_is_whole(const char *request, int received)
{
	const char *end = strstr(request, "\r\n\r\n");
	const char *length;

	if (end == NULL)
		return false;
	length = strcasestr(request, "\r\nContent-Length:");
	return length == NULL || length > end ||
		request + received >= end + 4 + atoi(length + 17);
}

int
request_answer(const char *request, char *quota, size_t quota_size, char *body, size_t size)
{
	char		method[8] = "",
				store[65] = "",
				version[3] = "",
				tail[16] = "";
	long		id = 0;
	int			parts = sscanf(request, "%7s /stores/%64[a-z0-9]/%2s/orders/%ld%15[^? ]",
							   method, store, version, &id, tail);
	bool		is_get = strcmp(method, "GET") == 0;
	bool		is_order = parts == 4 && strcmp(version, "v2") == 0;
	bool		is_list = parts == 5 && strcmp(version, "v3") == 0 && strcmp(tail, "/transactions") == 0;

	if (!state_take(store, quota, quota_size))
	{
		snprintf(body, size, "{\"status\":429,\"title\":\"Too many requests\"}");
		return 429;
	}
	if (is_order && is_get)
		state_order(store, id, body, size);
	else if (is_list && is_get)
		state_transactions(store, id, body, size);
	else if (is_list && strcmp(method, "POST") == 0)
		state_capture(store, id, request, body, size);
	else
	{
		state.unknown++;
		snprintf(body, size, "{\"status\":404,\"title\":\"no such call\"}");
		return 404;
	}
	return 200;
}
