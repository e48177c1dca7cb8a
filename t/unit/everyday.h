/*-------------------------------------------------------------------------
 *
 * everyday.h
 *	  The store, the order and the answers that the tests of verdicts begin
 *	  with.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EVERYDAY_H
#define EVERYDAY_H

#include "bc_verdict.h"
#include "tap.h"

#define MARKER "bcpaid-06462a0db608ddf133bc1092b4d6fe26"

static BcStore store = {.id = 1,.hash = "shop",.token = "s3cret-token"};
static BcOrder order = {.remote_order_id = 218,.amount = "69.84",.currency = "USD",.tolerance = "0.05",.marker = MARKER};

static inline HttpAnswer
answer_of(int status, const char *body)
{
	HttpAnswer	answer = {.status = status,.body = body,.body_length = body ? strlen(body) : 0};

	answer.quota_left = answer.quota_total = answer.window_ms = answer.reset_ms = answer.retry_after_s = -1;
	return answer;
}

/* Of two equal members the last one counts: `members` override. */
static inline const char *
order_body(const char *members)
{
	static char body[4096];

	snprintf(body, sizeof(body),
			 "{\"id\":218,\"status_id\":7,\"is_deleted\":false,\"payment_status\":\"\","
			 "\"payment_method\":\"Bank Deposit\",\"total_inc_tax\":\"69.8400\","
			 "\"default_currency_code\":\"USD\",\"currency_code\":\"USD\",\"payment_provider_id\":null,"
			 "\"store_credit_amount\":\"0.0000\",\"gift_certificate_amount\":\"0.0000\"%s%s}",
			 *members ? "," : "", members);
	return body;
}

#endif							/* EVERYDAY_H */
