/*-------------------------------------------------------------------------
 *
 * header_fuzz.c
 *	  Goal: no header that a store could send makes the reader of headers
 *	  crash, read too far, or understand a number that nobody would obey.
 *
 * The first byte of the input chooses the status; the rest is the header, a
 * line at a time, as libcurl hands it over: without a zero behind it.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>

#include "bc_verdict.h"
#include "http_header.h"

#define NUMBER_MAX	999999999
#define WAIT_MAX_MS (86400 * 1000)

extern int	LLVMFuzzerTestOneInput(const uint8_t * data, size_t size);

static void
take_line(HttpAnswer *answer, const uint8_t * data, size_t length)
{
	char	   *line = malloc(length > 0 ? length : 1);

	memcpy(line, data, length);
	http_header_take(answer, line, length);
	free(line);
}

static bool
is_sane(int number)
{
	return number >= -1 && number <= NUMBER_MAX;
}

static void
check(const HttpAnswer *answer, const BcResult *result)
{
	if (!is_sane(answer->quota_left) || !is_sane(answer->quota_total) || !is_sane(answer->window_ms) ||
		!is_sane(answer->reset_ms) || !is_sane(answer->retry_after_s))
		abort();
	if (result->retry_ms < 0 || result->retry_ms > WAIT_MAX_MS)
		abort();
	if (result->quota.known && (result->quota.left < 0 || result->quota.total <= 0 ||
								result->quota.window_ms <= 0 || result->quota.reset_ms < 0))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t * data, size_t size)
{
	static const int statuses[] = {200, 204, 301, 401, 404, 429, 500, 503, 0};
	HttpAnswer	answer = {0};
	BcResult	result = {0};

	if (size < 1)
		return 0;
	http_header_reset(&answer);
	answer.status = statuses[data[0] % 9];
	data++;
	size--;
	while (size > 0)
	{
		const void *end = memchr(data, '\n', size);
		size_t		length = end ? (size_t) ((const uint8_t *) end - data) + 1 : size;

		take_line(&answer, data, length);
		data += length;
		size -= length;
	}
	bc_verdict_account(&answer, &result);
	check(&answer, &result);
	return 0;
}
