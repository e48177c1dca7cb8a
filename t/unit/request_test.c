/*-------------------------------------------------------------------------
 *
 * request_test.c
 *	  Goal: what is said to a store is exactly what its API documents, and
 *	  nothing that a row holds can change the shape of a path, header or body.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>

#include "bc_request.h"
#include "tap.h"

#define MARKER "bcpaid-06462a0db608ddf133bc1092b4d6fe26"

static void
body_is(char *body, const char *wanted, const char *what)
{
	is_text(body ? body : "none", wanted, what);
	free(body);
}

static void
test_words(void)
{
	char		longest[BC_TOKEN_MAX + 2];

	ok(bc_request_hash_is_valid("abc123"), "a hash");
	ok(!bc_request_hash_is_valid(""), "an empty hash");
	ok(!bc_request_hash_is_valid(NULL), "no hash");
	ok(!bc_request_hash_is_valid("Abc"), "upper case in a hash");
	ok(!bc_request_hash_is_valid("a/../b"), "a path in a hash");
	ok(!bc_request_hash_is_valid("a\r\nX: y"), "a line break in a hash");
	ok(!bc_request_hash_is_valid("a%2fb"), "an escape in a hash");
	memset(longest, 'a', sizeof(longest));
	longest[BC_HASH_MAX] = '\0';
	ok(bc_request_hash_is_valid(longest), "the longest hash");
	longest[BC_HASH_MAX] = 'a';
	longest[BC_HASH_MAX + 1] = '\0';
	ok(!bc_request_hash_is_valid(longest), "a longer hash");

	ok(bc_request_token_is_valid("abc-123_XYZ!~"), "a token");
	ok(!bc_request_token_is_valid(""), "an empty token");
	ok(!bc_request_token_is_valid(NULL), "no token");
	ok(!bc_request_token_is_valid("a b"), "a blank in a token");
	ok(!bc_request_token_is_valid("a\r\nHost: evil"), "a line break in a token");
	ok(!bc_request_token_is_valid("caf\xc3\xa9"), "a byte beyond ASCII in a token");
	ok(!bc_request_token_is_valid("a\x7f"), "a control character in a token");
	memset(longest, 'a', sizeof(longest));
	longest[BC_TOKEN_MAX] = '\0';
	ok(bc_request_token_is_valid(longest), "the longest token");
	longest[BC_TOKEN_MAX] = 'a';
	longest[BC_TOKEN_MAX + 1] = '\0';
	ok(!bc_request_token_is_valid(longest), "a longer token");
}

static void
test_paths(void)
{
	char		path[BC_PATH_MAX];

	bc_request_order_path(path, "abc", 218);
	is_text(path, "/stores/abc/v2/orders/218", "an order");
	bc_request_order_path(path, "abc", 9223372036854775807);
	is_text(path, "/stores/abc/v2/orders/9223372036854775807", "the last order");
	bc_request_store_path(path, "abc");
	is_text(path, "/stores/abc/v2/store", "the store");
	bc_request_transactions_path(path, "abc", 218, 0);
	is_text(path, "/stores/abc/v3/orders/218/transactions", "where captures go");
	bc_request_transactions_path(path, "abc", 218, 1);
	is_text(path, "/stores/abc/v3/orders/218/transactions?limit=250", "the first page");
	bc_request_transactions_path(path, "abc", 218, 2);
	is_text(path, "/stores/abc/v3/orders/218/transactions?limit=250&page=2", "the second page");
}

static void
test_bodies(void)
{
	BcOrder		order = {.remote_order_id = 218,.marker = MARKER};
	BcResult	look = {.amount = "69.84",.currency = "USD",.method = "Bank Deposit",.status_id = 7};

	body_is(bc_request_capture_body(&order, &look),
			"{\"event\":\"capture\",\"method\":\"offline\",\"amount\":69.84,\"currency\":\"USD\","
			"\"gateway\":\"custom\",\"gateway_transaction_id\":\"" MARKER "\",\"status\":\"ok\","
			"\"test\":false,\"fraud_review\":false,\"offline\":{\"display_name\":\"Bank Deposit\"}}",
			"way A");
	strcpy(look.method, "\"},\"amount\":1,\"x\":{\"\\\xc3\xbc");
	body_is(bc_request_capture_body(&order, &look),
			"{\"event\":\"capture\",\"method\":\"offline\",\"amount\":69.84,\"currency\":\"USD\","
			"\"gateway\":\"custom\",\"gateway_transaction_id\":\"" MARKER "\",\"status\":\"ok\","
			"\"test\":false,\"fraud_review\":false,"
			"\"offline\":{\"display_name\":\"\\\"},\\\"amount\\\":1,\\\"x\\\":{\\\"\\\\\xc3\xbc\"}}",
			"a payment method cannot leave its quotes");
	look.method[0] = '\0';
	body_is(bc_request_capture_body(&order, &look),
			"{\"event\":\"capture\",\"method\":\"offline\",\"amount\":69.84,\"currency\":\"USD\","
			"\"gateway\":\"custom\",\"gateway_transaction_id\":\"" MARKER "\",\"status\":\"ok\","
			"\"test\":false,\"fraud_review\":false,\"offline\":{\"display_name\":\"Offline\"}}",
			"a method without a name");
	strcpy(look.amount, "0");
	body_is(bc_request_capture_body(&order, &look), "none", "nothing is not captured");
	strcpy(look.amount, "1,\"x\":2");
	body_is(bc_request_capture_body(&order, &look), "none", "an amount that is none");

	body_is(bc_request_status_body(&order, &look),
			"{\"status_id\":11,\"payment_provider_id\":\"" MARKER "\"}", "way B");
	look.digital = true;
	look.status_id = 1;
	body_is(bc_request_status_body(&order, &look),
			"{\"status_id\":10,\"payment_provider_id\":\"" MARKER "\"}", "way B, digital goods");
	look.status_id = 2;
	body_is(bc_request_status_body(&order, &look), "none", "way B never goes backwards");
}

int
main(void)
{
	BcStore		store = {.strategy = BC_BY_TRANSACTION_THEN_STATUS};

	test_words();
	test_paths();
	test_bodies();
	ok(!bc_request_is_by_status(&store), "way A is tried first");
	store.no_transactions = true;
	ok(bc_request_is_by_status(&store), "way B once way A was found missing");
	store.strategy = BC_BY_TRANSACTION;
	ok(!bc_request_is_by_status(&store), "never, where only way A is wanted");
	store.strategy = BC_BY_STATUS;
	store.no_transactions = false;
	ok(bc_request_is_by_status(&store), "way B where it is wanted");
	return done_testing();
}
