/*-------------------------------------------------------------------------
 *
 * header_test.c
 *	  Goal: quota headers are found in any case, garbage counts as absent.
 *
 *-------------------------------------------------------------------------
 */
#include "http_header.h"
#include "tap.h"

static int
left_after(const char *line)
{
	HttpAnswer	answer = {0};

	http_header_reset(&answer);
	http_header_take(&answer, line, strlen(line));
	return answer.quota_left;
}

int
main(void)
{
	HttpAnswer	answer = {0};

	is_number(left_after("X-Rate-Limit-Requests-Left: 149\r\n"), 149, "as documented");
	is_number(left_after("x-rate-limit-requests-left:149"), 149, "lower case, no blank, no line end");
	is_number(left_after("X-RATE-LIMIT-REQUESTS-LEFT: \t 0 \r\n"), 0, "upper case, blanks");
	is_number(left_after("X-Rate-Limit-Requests-Left: 999999999\r\n"), 999999999, "nine digits");
	is_number(left_after("X-Rate-Limit-Requests-Left: 1000000000\r\n"), -1, "ten digits");
	is_number(left_after("X-Rate-Limit-Requests-Left: -5\r\n"), -1, "a negative number");
	is_number(left_after("X-Rate-Limit-Requests-Left: 1.5\r\n"), -1, "a fraction");
	is_number(left_after("X-Rate-Limit-Requests-Left: many\r\n"), -1, "a word");
	is_number(left_after("X-Rate-Limit-Requests-Left: 5 5\r\n"), -1, "two numbers");
	is_number(left_after("X-Rate-Limit-Requests-Left:\r\n"), -1, "nothing");
	is_number(left_after("X-Rate-Limit-Requests-Left\r\n"), -1, "no colon");
	is_number(left_after("X-Rate-Limit-Requests-Leftover: 5\r\n"), -1, "another name");
	is_number(left_after(": 5\r\n"), -1, "no name");
	is_number(left_after(""), -1, "no line");
	is_number(left_after("Date: 12:00:00\r\n"), -1, "another header");

	http_header_reset(&answer);
	http_header_take(&answer, "X-Rate-Limit-Requests-Quota: 150\r\n", 34);
	http_header_take(&answer, "X-Rate-Limit-Time-Window-Ms: 30000\r\n", 36);
	http_header_take(&answer, "X-Rate-Limit-Time-Reset-Ms: 12345\r\n", 35);
	http_header_take(&answer, "X-Retry-After: 7\r\n", 18);
	http_header_take(&answer, "Retry-After: 9\r\n", 16);
	is_number(answer.quota_total, 150, "quota");
	is_number(answer.window_ms, 30000, "window");
	is_number(answer.reset_ms, 12345, "reset");
	is_number(answer.retry_after_s, 7, "BigCommerce's own word on waiting comes first");
	http_header_take(&answer, "HTTP/1.1 200 OK\r\n", 17);
	is_number(answer.quota_total, -1, "a new answer starts anew");
	http_header_take(&answer, "Retry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\n", 44);
	is_number(answer.retry_after_s, -1, "a date is not a number of seconds");
	http_header_take(&answer, "Retry-After: 9\r\n", 16);
	is_number(answer.retry_after_s, 9, "the edge's Retry-After counts too");
	return done_testing();
}
