/*-------------------------------------------------------------------------
 *
 * read_test.c
 *	  Goal: a read that fails, or brings something else than was asked for,
 *	  proves nothing; and all pages of the transactions are read.
 *
 *-------------------------------------------------------------------------
 */
#include "everyday.h"

static void
reads(int status, const char *body, BcVerdict on_order, BcVerdict on_transactions, const char *what)
{
	BcInquiry	inquiry = {.purpose = BC_LOOK,.store = &store,.order = &order};
	BcResult	result = {0};
	HttpAnswer	answer = answer_of(status, body);

	ok(bc_verdict_order(&inquiry, &answer, &result) && result.verdict == on_order &&
	   strstr(result.reason, store.token) == NULL, "order: %s", what);
	answer = answer_of(200, order_body(""));
	(void) bc_verdict_order(&inquiry, &answer, &result);
	answer = answer_of(status, body);
	ok(bc_verdict_transactions(&inquiry, &answer, &result) && result.verdict == on_transactions &&
	   strstr(result.reason, store.token) == NULL, "transactions: %s (%s)", what, result.reason);
}

static void
test_failed_reads(void)
{
	HttpAnswer	answer;
	BcInquiry	inquiry = {.purpose = BC_LOOK,.store = &store,.order = &order};
	BcResult	result = {0};

	reads(404, "[{\"status\":404,\"message\":\"s3cret-token\"}]", BC_REFUSED, BC_REFUSED, "404");
	reads(400, "[{\"status\":400,\"message\":\"bad\"}]", BC_REFUSED, BC_REFUSED, "400");
	reads(401, "{\"title\":\"s3cret-token is bad\"}", BC_STOP_STORE, BC_STOP_STORE, "401");
	reads(403, "", BC_STOP_STORE, BC_STOP_STORE, "403");
	reads(302, "", BC_STOP_STORE, BC_STOP_STORE, "302");
	reads(408, "", BC_WAIT, BC_WAIT, "408");
	reads(409, "", BC_WAIT, BC_WAIT, "409");
	reads(423, "", BC_WAIT, BC_WAIT, "423");
	reads(429, "", BC_WAIT, BC_WAIT, "429");
	reads(499, "", BC_WAIT, BC_WAIT, "499");
	reads(500, "<html>", BC_WAIT, BC_WAIT, "500");
	reads(503, "{\"data\":[]}", BC_WAIT, BC_WAIT, "503 is never an empty list");
	reads(0, NULL, BC_WAIT, BC_WAIT, "no answer");
	reads(200, NULL, BC_WAIT, BC_WAIT, "nothing in a 200");
	reads(200, "", BC_WAIT, BC_WAIT, "an empty 200");
	reads(200, "<html>", BC_WAIT, BC_WAIT, "HTML");
	reads(200, "[]", BC_WAIT, BC_WAIT, "an array");
	reads(200, "{}", BC_WAIT, BC_WAIT, "an empty object");
	reads(200, "{\"id\":219}", BC_WAIT, BC_WAIT, "another order");
	reads(200, "{\"id\":\"218\"}", BC_WAIT, BC_WAIT, "an id of another type");
	reads(200, "{\"data\":{}}", BC_WAIT, BC_WAIT, "no list");
	reads(200, "{\"data\":[7]}", BC_WAIT, BC_WAIT, "a list of no transactions");
	reads(200, "{\"id\":218,\"data\":[],\"meta\":", BC_WAIT, BC_WAIT, "cut off");
	reads(200, "{\"id\":218,\"x\":\"\xff\",\"data\":[]}", BC_WAIT, BC_WAIT, "invalid UTF-8");
	reads(204, NULL, BC_WAIT, BC_GO, "204 is an empty list, but no order");
	reads(206, "{\"id\":218,\"data\":[]}", BC_WAIT, BC_WAIT, "part of an answer");

	answer = answer_of(0, NULL);
	answer.refused = true;
	answer.error = "certificate has expired";
	ok(bc_verdict_order(&inquiry, &answer, &result) && result.verdict == BC_STOP_STORE &&
	   strstr(result.reason, "certificate has expired") != NULL, "a bad certificate");
	answer = answer_of(200, order_body(""));
	answer.error = "cut off";
	ok(bc_verdict_order(&inquiry, &answer, &result) && result.verdict == BC_WAIT,
	   "a whole order with an error after it");
}

static BcVerdict
read_page(BcInquiry *inquiry, const char *pagination, const char *data)
{
	static char body[65536];
	BcResult	result = {.verdict = BC_OK};
	HttpAnswer	answer;

	snprintf(body, sizeof(body), "{\"data\":[%s],\"meta\":{%s}}", data, pagination);
	answer = answer_of(200, body);
	return bc_verdict_transactions(inquiry, &answer, &result) ? result.verdict : BC_OK;
}

#define PAGE(current, total) "\"pagination\":{\"current_page\":" current ",\"total_pages\":" total "}"

/* BC_OK stands for "next page". */
static void
test_pages(void)
{
	static char full[64000];
	HttpAnswer	answer = answer_of(200, order_body(""));
	BcResult	result = {0};
	BcInquiry	fresh = {.purpose = BC_LOOK,.store = &store,.order = &order};
	BcInquiry	pages;

	(void) bc_verdict_order(&fresh, &answer, &result);
	pages = fresh;
	is_number(read_page(&pages, PAGE("1", "3"), ""), BC_OK, "page 1 of 3");
	is_number(read_page(&pages, PAGE("2", "3"), "{\"event\":\"capture\"," OURS "}"), BC_OK, "page 2 of 3");
	is_number(read_page(&pages, PAGE("3", "3"), ""), BC_TAKEN, "page 3 of 3, our marker was on page 2");

	pages = fresh;
	(void) read_page(&pages, PAGE("1", "2"), "");
	is_number(read_page(&pages, PAGE("1", "2"), ""), BC_WAIT, "page 1 where page 2 was asked for");
	pages = fresh;
	(void) read_page(&pages, PAGE("1", "3"), "");
	is_number(read_page(&pages, PAGE("2", "1"), ""), BC_OK, "page 2, now of 1: the third is asked for, as announced");
	is_number(read_page(&pages, PAGE("3", "1"), "{\"event\":\"capture\"," OURS "}"), BC_TAKEN, "and it has our marker");
	pages = fresh;
	(void) read_page(&pages, PAGE("1", "2"), "");
	answer = answer_of(503, NULL);
	ok(bc_verdict_transactions(&pages, &answer, &result) && result.verdict == BC_WAIT, "page 2 fails");
	pages = fresh;
	(void) read_page(&pages, PAGE("1", "2"), "");
	answer = answer_of(204, NULL);
	ok(bc_verdict_transactions(&pages, &answer, &result) && result.verdict == BC_GO, "page 2 is gone");
	pages = fresh;
	is_number(read_page(&pages, PAGE("1", "21"), ""), BC_HELD, "more pages than can be judged");
	pages = fresh;
	is_number(read_page(&pages, PAGE("1", "99999999999"), ""), BC_HELD, "far more pages");
	pages = fresh;
	is_number(read_page(&pages, PAGE("1", "\"2\""), ""), BC_WAIT, "a number of pages that is none");
	pages = fresh;
	is_number(read_page(&pages, PAGE("0", "0"), ""), BC_GO, "no pages at all");
	pages = fresh;
	is_number(read_page(&pages, "", ""), BC_GO, "no pagination, a short list");
	for (int i = 0; i < BC_PAGE_SIZE; i++)
		strcat(full, i ? ",{\"event\":\"pending\"}" : "{\"event\":\"pending\"}");
	pages = fresh;
	is_number(read_page(&pages, "", full), BC_WAIT, "no pagination, a full page: something may be missing");
}

int
main(void)
{
	test_failed_reads();
	test_pages();
	return done_testing();
}
