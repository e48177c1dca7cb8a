/*-------------------------------------------------------------------------
 *
 * write_test.c
 *	  Goal: every row of "Answers to the write" leads to its verdict, what is
 *	  counted of an answer is right, and a store can be tested.
 *
 *-------------------------------------------------------------------------
 */
#include "everyday.h"

#define BOTH BC_BY_TRANSACTION_THEN_STATUS

typedef struct Write
{
	BcVerdict	wanted;
	BcStrategy	strategy;
	int			status;
	const char *body;
	bool		conclusive;
}			Write;

static const Write cases[] = {
	{BC_TAKEN, BC_BY_TRANSACTION, 201, "{\"data\":{\"id\":5,\"event\":\"capture\",\"status\":\"ok\",\"gateway_transaction_id\":\"" MARKER "\"},\"meta\":{}}", true},
	{BC_TAKEN, BC_BY_TRANSACTION, 200, "{\"data\":{\"event\":\"capture\",\"gateway_transaction_id\":\"" MARKER "\"}}", true},
	{BC_TAKEN, BC_BY_TRANSACTION, 201, "{\"data\":{\"id\":5},\"meta\":{}}", false},
	{BC_TAKEN, BC_BY_TRANSACTION, 201, "{\"data\":{\"event\":\"capture\",\"gateway_transaction_id\":\"other\"}}", false},
	{BC_TAKEN, BC_BY_TRANSACTION, 201, "{}", false},
	{BC_TAKEN, BC_BY_TRANSACTION, 201, "[]", false},
	{BC_TAKEN, BC_BY_TRANSACTION, 201, "", false},
	{BC_UNKNOWN, BC_BY_TRANSACTION, 201, "{\"data\":{\"event\":\"capture\",\"status\":\"error\",\"gateway_transaction_id\":\"" MARKER "\"}}", false},
	{BC_UNKNOWN, BC_BY_TRANSACTION, 201, "<html>", false},
	{BC_UNKNOWN, BC_BY_TRANSACTION, 201, "{\"data\":", false},
	{BC_UNKNOWN, BC_BY_TRANSACTION, 201, "\xff", false},
	{BC_TAKEN, BC_BY_TRANSACTION, 201, "{\"data\":{\"order_id\":\"219\",\"event\":\"capture\",\"gateway_transaction_id\":\"" MARKER "\"}}", false},
	{BC_UNKNOWN, BC_BY_TRANSACTION, 202, "{}", false},
	{BC_UNKNOWN, BC_BY_TRANSACTION, 204, "", false},

	{BC_TAKEN, BC_BY_STATUS, 200, "{\"id\":218,\"status_id\":11}", true},
	{BC_UNKNOWN, BC_BY_STATUS, 200, "{\"id\":218,\"status_id\":7}", false},
	{BC_UNKNOWN, BC_BY_STATUS, 200, "{\"id\":219,\"status_id\":11}", false},
	{BC_UNKNOWN, BC_BY_STATUS, 200, "{}", false},
	{BC_TAKEN, BC_BY_STATUS, 200, "", false},

	{BC_REFUSED, BC_BY_TRANSACTION, 404, "", false},
	{BC_NO_WAY_A, BOTH, 404, "", false},
	{BC_LOOK_AGAIN, BC_BY_STATUS, 404, "", false},
	{BC_REFUSED, BC_BY_TRANSACTION, 405, "", false},
	{BC_NO_WAY_A, BOTH, 405, "", false},
	{BC_REFUSED, BC_BY_STATUS, 405, "", false},
	{BC_REFUSED, BC_BY_TRANSACTION, 501, "", false},
	{BC_NO_WAY_A, BOTH, 501, "", false},

	{BC_REFUSED, BOTH, 400, "", false},
	{BC_REFUSED, BOTH, 406, "", false},
	{BC_REFUSED, BOTH, 413, "", false},
	{BC_REFUSED, BOTH, 415, "", false},
	{BC_REFUSED, BOTH, 422, "{\"title\":\"no\"}", false},
	{BC_REFUSED, BC_BY_TRANSACTION, 402, "", false},
	{BC_STOP_STORE, BOTH, 401, "", false},
	{BC_STOP_STORE, BOTH, 403, "", false},
	{BC_STOP_STORE, BOTH, 302, "", false},
	{BC_LOOK_AGAIN, BOTH, 409, "", false},
	{BC_LOOK_AGAIN, BOTH, 423, "", false},
	{BC_NOT_SENT, BOTH, 429, "", false},
	{BC_UNKNOWN, BOTH, 408, "", false},
	{BC_UNKNOWN, BOTH, 425, "", false},
	{BC_UNKNOWN, BOTH, 499, "", false},
	{BC_UNKNOWN, BOTH, 500, "", false},
	{BC_UNKNOWN, BOTH, 502, "<html>", false},
	{BC_UNKNOWN, BOTH, 503, "", false},
	{BC_UNKNOWN, BOTH, 504, "", false},
	{BC_UNKNOWN, BOTH, 520, "", false},
	{BC_UNKNOWN, BOTH, 0, NULL, false},
};

static const BcResult look = {.status_id = 7};

static BcResult
write_with(const HttpAnswer *answer)
{
	BcInquiry	inquiry = {.purpose = BC_SEND,.store = &store,.order = &order,.look = &look};
	BcResult	result = {0};

	bc_verdict_account(answer, &result);
	bc_verdict_write(&inquiry, answer, &result);
	return result;
}

static void
test_case(const Write * c)
{
	HttpAnswer	answer = answer_of(c->status, c->body);
	BcResult	result;

	store.strategy = c->strategy;
	result = write_with(&answer);
	ok(result.verdict == c->wanted && result.conclusive == c->conclusive,
	   "%s: %d %s", c->strategy == BC_BY_STATUS ? "PUT" : "POST", c->status, c->body && c->body[0] > 0 ? c->body : "");
	if (result.verdict != c->wanted)
		printf("# verdict %d, wanted %d, reason \"%s\"\n", result.verdict, c->wanted, result.reason);
}

static void
test_no_answer(void)
{
	HttpAnswer	answer = answer_of(0, NULL);
	BcResult	result;

	answer.not_sent = true;
	answer.error = "Couldn't connect to server";
	result = write_with(&answer);
	is_number(result.verdict, BC_NOT_SENT, "no connection: nothing was sent");
	ok(result.store_unwell, "and the store is not well");
	answer.refused = true;
	result = write_with(&answer);
	is_number(result.verdict, BC_STOP_STORE, "a bad certificate stops the store");
	answer.not_sent = false;
	result = write_with(&answer);
	is_number(result.verdict, BC_UNKNOWN, "refused, but perhaps sent: unknown");

	answer = answer_of(201, NULL);
	answer.error = "transfer closed with 10 bytes remaining to read";
	result = write_with(&answer);
	is_number(result.verdict, BC_UNKNOWN, "a 201 that was cut off");
	answer.status = 422;
	result = write_with(&answer);
	is_number(result.verdict, BC_REFUSED, "a 422 that was cut off is still a refusal");
	answer = answer_of(401, "{\"title\":\"s3cret-token\"}");
	result = write_with(&answer);
	ok(strstr(result.reason, "s3cret") == NULL, "the token is not in the reason: %s", result.reason);
}

static void
test_account(void)
{
	HttpAnswer	answer = answer_of(200, "{}");
	BcResult	result = {0};

	answer.took_ms = 5;
	answer.retry_after_s = 9;
	bc_verdict_account(&answer, &result);
	ok(!result.quota.known && result.retry_ms == 0, "no quota, and a success asks for no waiting");
	answer.quota_left = 149;
	answer.quota_total = 150;
	answer.window_ms = 30000;
	bc_verdict_account(&answer, &result);
	ok(!result.quota.known, "part of a quota is none");
	answer.reset_ms = 12000;
	bc_verdict_account(&answer, &result);
	ok(result.quota.known && result.quota.left == 149 && result.quota.total == 150 &&
	   result.quota.window_ms == 30000 && result.quota.reset_ms == 12000, "a quota");
	is_number(result.requests, 3, "requests are counted");
	is_number(result.took_ms, 15, "time is summed up");

	answer.status = 429;
	bc_verdict_account(&answer, &result);
	ok(result.throttled && !result.store_unwell, "429 is no illness");
	is_number(result.retry_ms, 9000, "Retry-After");
	answer.retry_after_s = -1;
	bc_verdict_account(&answer, &result);
	is_number(result.retry_ms, 12000, "without it, the end of the window");
	answer.retry_after_s = 999999999;
	bc_verdict_account(&answer, &result);
	is_number(result.retry_ms, 86400000, "a day at most");
	answer = answer_of(503, NULL);
	bc_verdict_account(&answer, &result);
	ok(result.store_unwell && result.throttled && result.quota.left == 149, "what was seen stays seen");
}

static BcResult
test_with(int status, const char *body)
{
	BcInquiry	inquiry = {.purpose = BC_TEST,.store = &store,.order = &order};
	BcResult	result = {0};
	HttpAnswer	answer = answer_of(status, body);

	bc_verdict_account(&answer, &result);
	bc_verdict_test(&inquiry, &answer, &result);
	return result;
}

int
main(void)
{
	BcResult	result;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		test_case(&cases[i]);
	test_no_answer();
	test_account();

	result = test_with(200, "{\"name\":\"Shop\",\"plan_name\":\"Pro\",\"currency\":\"USD\"}");
	is_number(result.verdict, BC_OK, "a store that answers");
	is_text(result.reason, "the store answered \"Shop\", plan \"Pro\", currency \"USD\"", "and what it says");
	is_text(test_with(200, "{\"name\":7}").reason, "the store answered", "a store that says little");
	is_number(test_with(200, "[]").verdict, BC_WAIT, "a store that answers nonsense");
	is_number(test_with(401, "").verdict, BC_STOP_STORE, "a bad token");
	is_number(test_with(403, "").verdict, BC_STOP_STORE, "a missing scope");
	is_number(test_with(404, "").verdict, BC_REFUSED, "a wrong hash");
	is_number(test_with(503, "").verdict, BC_WAIT, "a store in maintenance");
	return done_testing();
}
