/*-------------------------------------------------------------------------
 *
 * http_header.c
 *	  The header lines of an answer that we understand: quota and waiting.
 *
 * Names arrive in any case.  A value that is not a plain number of at most
 * nine digits is treated as absent: obeying garbage could stop a store for
 * years, or not at all.
 *
 *-------------------------------------------------------------------------
 */
#include "http_header.h"

#include <strings.h>

#define DIGITS_MAX	9			/* fits an int */

/* prototypes of private functions */
static bool is_named(const char *line, size_t length, const char *name);
static int	number(const char *value, size_t length);
static bool is_blank(char c);

void
http_header_reset(HttpAnswer *answer)
{
	answer->quota_left = -1;
	answer->quota_total = -1;
	answer->window_ms = -1;
	answer->reset_ms = -1;
	answer->retry_after_s = -1;
}

/* BigCommerce's X-Retry-After outranks the Retry-After of an edge before it. */
void
http_header_take(HttpAnswer *answer, const char *line, size_t length)
{
	const char *colon = memchr(line, ':', length);
	size_t		name_length;
	int			value;

	if (length >= 5 && memcmp(line, "HTTP/", 5) == 0)
		http_header_reset(answer);
	if (colon == NULL)
		return;
	name_length = (size_t) (colon - line);
	value = number(colon + 1, length - name_length - 1);

	if (is_named(line, name_length, "X-Rate-Limit-Requests-Left"))
		answer->quota_left = value;
	else if (is_named(line, name_length, "X-Rate-Limit-Requests-Quota"))
		answer->quota_total = value;
	else if (is_named(line, name_length, "X-Rate-Limit-Time-Window-Ms"))
		answer->window_ms = value;
	else if (is_named(line, name_length, "X-Rate-Limit-Time-Reset-Ms"))
		answer->reset_ms = value;
	else if (is_named(line, name_length, "X-Retry-After") ||
			 (is_named(line, name_length, "Retry-After") && answer->retry_after_s < 0))
		answer->retry_after_s = value;
}

static bool
is_named(const char *line, size_t length, const char *name)
{
	return length == strlen(name) && strncasecmp(line, name, length) == 0;
}

/* -1 for anything but digits between blanks. */
static int
number(const char *value, size_t length)
{
	int			n = 0;
	size_t		i;

	while (length > 0 && is_blank(value[0]))
	{
		value++;
		length--;
	}
	while (length > 0 && is_blank(value[length - 1]))
		length--;
	if (length == 0 || length > DIGITS_MAX)
		return -1;
	for (i = 0; i < length; i++)
	{
		if (value[i] < '0' || value[i] > '9')
			return -1;
		n = n * 10 + (value[i] - '0');
	}
	return n;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}
