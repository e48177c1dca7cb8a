/*-------------------------------------------------------------------------
 *
 * bc_verdict_read.c
 *	  Judge what every answer has in common, and the test of a store.
 *
 * A read that fails proves nothing about the order: 401, 403 and a redirect
 * stop the store, what may pass is waited for, any other 4xx is final.
 *
 *-------------------------------------------------------------------------
 */
#include "bc_verdict.h"

#include "bc_json.h"
#include "bc_reason.h"
#include "bc_text.h"

#define RETRY_MAX_S	86400		/* a store that asks for more has a broken
								 * clock */

/* prototypes of private functions */
static bool has_body(const HttpAnswer *answer);
static bool is_unwell(const HttpAnswer *answer, bool success);
static bool may_pass(int status);
static void describe_store(const json_t *store, const char *token, BcResult *result);
static void add_member(const json_t *store, const char *key, const char *label,
					   const char *token, BcResult *result);

/*
 * Every answer is counted, whatever it says: quotas count it too.  What was
 * seen once in a conversation stays seen, the quota is that of the last answer.
 */
void
bc_verdict_account(const HttpAnswer *answer, BcResult *result)
{
	bool		success = answer->status >= 200 && answer->status < 300;

	result->status = answer->status;
	result->requests++;
	result->took_ms += answer->took_ms;
	result->throttled = result->throttled || answer->status == 429;
	result->store_unwell = result->store_unwell || is_unwell(answer, success);

	if (answer->quota_left >= 0 && answer->quota_total > 0 &&
		answer->window_ms > 0 && answer->reset_ms >= 0)
	{
		result->quota.known = true;
		result->quota.left = answer->quota_left;
		result->quota.total = answer->quota_total;
		result->quota.window_ms = answer->window_ms;
		result->quota.reset_ms = answer->reset_ms;
	}
	if (success)
		return;
	if (answer->retry_after_s > 0)
		result->retry_ms = 1000 *
			(answer->retry_after_s < RETRY_MAX_S ? answer->retry_after_s : RETRY_MAX_S);
	else if (answer->status == 429 && answer->reset_ms > 0)
		result->retry_ms = answer->reset_ms < 1000 * RETRY_MAX_S ? answer->reset_ms : 1000 * RETRY_MAX_S;
}

/*
 * Not a word about what was asked for: nobody answered, somebody between us
 * and the store did, or the answer broke off.
 */
static bool
is_unwell(const HttpAnswer *answer, bool success)
{
	int			status = answer->status;

	return status == 0 || status >= 499 || status == 408 || status == 425 ||
		(success && answer->error != NULL);
}

bool
bc_verdict_read_failed(const BcInquiry *inquiry, const HttpAnswer *answer,
					   const char *what, const char *scope, BcResult *result)
{
	int			status = answer->status;

	if (answer->refused || status == 401 || status == 403 || (status >= 300 && status < 400))
	{
		bc_verdict_stop(inquiry, answer, scope, result);
		return true;
	}
	if (status == 204 || (status == 200 && has_body(answer)))
		return false;
	if (may_pass(status))
	{
		bc_verdict_set(result, BC_WAIT, "could not read %s", what);
		result->store_unwell = result->store_unwell || status < 300;
	}
	else
		bc_verdict_set(result, BC_REFUSED, "the store refused to show %s", what);
	bc_reason_append(result->reason, sizeof(result->reason), answer, inquiry->store->token);
	return true;
}

/* An error beside a body means that the body is not whole. */
static bool
has_body(const HttpAnswer *answer)
{
	return answer->error == NULL && answer->body != NULL && answer->body_length > 0;
}

/* Time-outs, conflicts, throttling and whatever the store has to get over itself. */
static bool
may_pass(int status)
{
	return status < 300 || status >= 499 || status == 408 || status == 409 ||
		status == 423 || status == 425 || status == 429;
}

/* Names what a person has to change: the token, its scope, or what is in between. */
void
bc_verdict_stop(const BcInquiry *inquiry, const HttpAnswer *answer, const char *scope,
				BcResult *result)
{
	if (answer->status == 401)
		bc_verdict_set(result, BC_STOP_STORE, "the store does not accept the token");
	else if (answer->status == 403)
		bc_verdict_set(result, BC_STOP_STORE, "the token lacks the scope %s", scope);
	else
		bc_verdict_set(result, BC_STOP_STORE, "the store cannot be asked");
	bc_reason_append(result->reason, sizeof(result->reason), answer, inquiry->store->token);
}

void
bc_verdict_set(BcResult *result, BcVerdict verdict, const char *format,...)
{
	va_list		args;

	result->verdict = verdict;
	result->reason[0] = '\0';
	va_start(args, format);
	bc_text_vappend(result->reason, sizeof(result->reason), format, args);
	va_end(args);
}

void
bc_verdict_test(BcInquiry *inquiry, const HttpAnswer *answer, BcResult *result)
{
	json_t	   *store;

	if (answer->status == 404)
	{
		bc_verdict_set(result, BC_REFUSED, "no store has the hash \"%s\"", inquiry->store->hash);
		bc_reason_append(result->reason, sizeof(result->reason), answer, inquiry->store->token);
		return;
	}
	if (bc_verdict_read_failed(inquiry, answer, "the store's settings",
							   "store_v2_information_read_only", result))
		return;
	store = bc_json_load(answer->body, answer->body_length);
	if (json_is_object(store))
		describe_store(store, inquiry->store->token, result);
	else
	{
		bc_verdict_set(result, BC_WAIT, "the store's answer cannot be read");
		result->store_unwell = true;
	}
	json_decref(store);
}

/* One sentence that shows whose store it is: a token of another store answers as well. */
static void
describe_store(const json_t *store, const char *token, BcResult *result)
{
	bc_verdict_set(result, BC_OK, "the store answered");
	add_member(store, "name", "", token, result);
	add_member(store, "plan_name", ", plan", token, result);
	add_member(store, "currency", ", currency", token, result);
	if (result->quota.known)
		bc_text_append(result->reason, sizeof(result->reason),
					   ", %d of %d requests left in %d s", result->quota.left,
					   result->quota.total, result->quota.window_ms / 1000);
}

static void
add_member(const json_t *store, const char *key, const char *label,
		   const char *token, BcResult *result)
{
	char		clean[64];
	const char *text;

	if (bc_json_text(store, key, &text) != BC_PRESENT || *text == '\0')
		return;
	bc_text_clean(clean, sizeof(clean), text, strlen(text), token);
	bc_text_append(result->reason, sizeof(result->reason), "%s \"%s\"", label, clean);
}
