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
#define OURS "\"gateway_transaction_id\":\"" MARKER "\""
#define APPROVED true
#define ALONE NULL				/* the order decides, no transactions are
								 * asked for */
#define NONE ""					/* an empty list */

typedef struct Case
{
	BcVerdict	wanted;
	const char *order;			/* members over the everyday order */
	const char *transactions;	/* '|' separated, members over the everyday
								 * capture */
	bool		approved;		/* of what it was held for */
	const char *reason;			/* is part of the reason, or NULL */
}			Case;

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

static inline const char *
transactions_body(const char *list)
{
	static char body[4096];
	int			used = snprintf(body, sizeof(body), "{\"data\":[");

	while (*list != '\0')
	{
		int			length = (int) strcspn(list, "|");

		used += snprintf(body + used, sizeof(body) - used,
						 "%s{\"id\":77,\"order_id\":\"218\",\"event\":\"capture\",\"method\":\"offline\","
						 "\"gateway\":\"custom\",\"gateway_transaction_id\":null,\"status\":\"ok\","
						 "\"amount\":69.84,\"currency\":\"USD\",%.*s}",
						 body[used - 1] == '[' ? "" : ",", length, list);
		list += length + (list[length] == '|' ? 1 : 0);
	}
	snprintf(body + used, sizeof(body) - used,
			 "],\"meta\":{\"pagination\":{\"current_page\":1,\"total_pages\":1}}}");
	return body;
}

static inline BcResult
ask(BcPurpose purpose, const Case * c, const char *approved, bool *alone)
{
	BcOrder		asked = order;
	BcInquiry	inquiry = {.purpose = purpose,.store = &store,.order = &asked};
	BcResult	result = {.purpose = purpose};
	HttpAnswer	answer = answer_of(200, order_body(c->order));

	asked.approved = approved;
	*alone = bc_verdict_order(&inquiry, &answer, &result);
	if (*alone || c->transactions == ALONE)
		return result;
	answer = answer_of(200, transactions_body(c->transactions));
	if (!bc_verdict_transactions(&inquiry, &answer, &result))
		strcpy(result.reason, "one page was not enough");
	return result;
}

static inline BcResult
judge(BcPurpose purpose, const Case * c, bool *alone)
{
	BcResult	result = ask(purpose, c, NULL, alone);

	return c->approved ? ask(purpose, c, result.reason, alone) : result;
}

#endif							/* EVERYDAY_H */
