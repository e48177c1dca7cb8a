/*-------------------------------------------------------------------------
 *
 * bc_request.c
 *	  What is said to a store: paths and bodies.
 *
 * The bodies are put together as text, because the amount must stay the text
 * that the store gave us: jansson would print it from a double.
 *
 *-------------------------------------------------------------------------
 */
#include "bc_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <jansson.h>

#include "bc_amount.h"
#include "bc_remote.h"

/* status_id of an order that waits for its payment */
#define STATUS_PENDING 1
#define STATUS_AWAITING_PAYMENT 7

#define BODY_MAX	2048		/* marker and method, each byte escaped, and
								 * the frame */

/* prototypes of private functions */
static char *quoted(const char *text);
static char *body_with(const BcOrder *order, const BcResult *look);

/* Nothing that could end a path's segment or begin another: the host is fixed, the path is too. */
bool
bc_request_hash_is_valid(const char *hash)
{
	size_t		length = hash ? strlen(hash) : 0;

	return length > 0 && length <= BC_HASH_MAX &&
		strspn(hash, "abcdefghijklmnopqrstuvwxyz0123456789") == length;
}

/* Printable ASCII: no line break can end the header, no space start another word. */
bool
bc_request_token_is_valid(const char *token)
{
	size_t		length = 0;

	if (token == NULL)
		return false;
	for (; token[length] != '\0'; length++)
	{
		if (token[length] <= ' ' || token[length] > '~')
			return false;
	}
	return length > 0 && length <= BC_TOKEN_MAX;
}

void
bc_request_order_path(char *path, const char *hash, int64 id)
{
	snprintf(path, BC_PATH_MAX, "/stores/%s/v2/orders/%lld", hash, (long long) id);
}

void
bc_request_store_path(char *path, const char *hash)
{
	snprintf(path, BC_PATH_MAX, "/stores/%s/v2/store", hash);
}

/* limit is always sent: v3's own page is smaller, and each page costs a request. */
void
bc_request_transactions_path(char *path, const char *hash, int64 id, int page)
{
	char		query[64] = "";

	if (page == 1)
		snprintf(query, sizeof(query), "?limit=%d", BC_PAGE_SIZE);
	else if (page > 1)
		snprintf(query, sizeof(query), "?limit=%d&page=%d", BC_PAGE_SIZE, page);
	snprintf(path, BC_PATH_MAX, "/stores/%s/v3/orders/%lld/transactions%s",
			 hash, (long long) id, query);
}

/* The amount was printed by bc_amount.c, so it is a JSON number; checked again, it is money. */
char *
bc_request_capture_body(const BcOrder *order, const BcResult *look)
{
	BcAmount	amount;

	if (!bc_amount_parse(look->amount, &amount) || bc_amount_sign(&amount) <= 0)
		return NULL;
	return body_with(order, look);
}

/* An offline payment from a custom gateway, as the control panel would record it. */
static char *
body_with(const BcOrder *order, const BcResult *look)
{
	char	   *currency = quoted(look->currency);
	char	   *marker = quoted(order->marker);
	char	   *method = quoted(look->method[0] ? look->method : "Offline");
	char	   *body = malloc(BODY_MAX);

	if (body && currency && marker && method)
		snprintf(body, BODY_MAX,
				 "{\"event\":\"capture\",\"method\":\"offline\",\"amount\":%s,"
				 "\"currency\":%s,\"gateway\":\"custom\","
				 "\"gateway_transaction_id\":%s,\"status\":\"ok\","
				 "\"test\":false,\"fraud_review\":false,"
				 "\"offline\":{\"display_name\":%s}}",
				 look->amount, currency, marker, method);
	else
	{
		free(body);
		body = NULL;
	}
	free(currency);
	free(marker);
	free(method);
	return body;
}

/* The members that the API lets one write, and no other: the rest is read-only. */
char *
bc_request_status_body(const BcOrder *order, const BcResult *look)
{
	char	   *json_marker = quoted(order->marker);
	char	   *body = malloc(BODY_MAX);

	if (body && json_marker && bc_request_status_may_change(look->status_id))
		snprintf(body, BODY_MAX, "{\"status_id\":%d,\"payment_provider_id\":%s}",
				 bc_request_status_wanted(look), json_marker);
	else
	{
		free(body);
		body = NULL;
	}
	free(json_marker);
	return body;
}

/* With its quotes; jansson refuses text that is not UTF-8, and NULL then reaches the caller. */
static char *
quoted(const char *text)
{
	json_t	   *string = json_string(text);
	char	   *quotation = json_dumps(string, JSON_ENCODE_ANY);

	json_decref(string);
	return quotation;
}

/* The way a store takes is settled here, for looks and writes alike. */
bool
bc_request_is_by_status(const BcStore *store)
{
	return store->strategy == BC_BY_STATUS ||
		(store->strategy == BC_BY_TRANSACTION_THEN_STATUS && store->no_transactions);
}

/* Never backwards: any other status says that somebody went on without us. */
bool
bc_request_status_may_change(int status_id)
{
	return status_id == STATUS_PENDING || status_id == STATUS_AWAITING_PAYMENT;
}

int
bc_request_status_wanted(const BcResult *look)
{
	return look->digital ? BC_STATUS_COMPLETED : BC_STATUS_AWAITING_FULFILLMENT;
}
