/*-------------------------------------------------------------------------
 *
 * answer_fuzz.c
 *	  Goal: no bytes that a store could send make the judges of its answers
 *	  crash, keep text that is not one clean line, or show the token.
 *
 * The first bytes of the input choose the store, the purpose and the status;
 * the rest is a body, or two with two zero bytes between them: an order and
 * its transactions.  Build and run with
 *
 *	  clang -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined -I src -I t/unit \
 *		  -o answer_fuzz t/unit/answer_fuzz.c src/bc_*.c src/http_header.c -ljansson
 *	  ./answer_fuzz -max_total_time=60 corpus
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>

#include "bc_text.h"
#include "everyday.h"
#include "http_header.h"

#define CHOICES 3

extern int	LLVMFuzzerTestOneInput(const uint8_t * data, size_t size);

static bool
is_clean(const char *text)
{
	char		again[BC_REASON_MAX * 2];

	bc_text_clean(again, sizeof(again), text, strlen(text), store.token);
	return strstr(text, store.token) == NULL && strlen(again) == strlen(text);
}

static void
check(const BcResult *result)
{
	if (!is_clean(result->reason) || !is_clean(result->method) ||
		!is_clean(result->payment_status) || !is_clean(result->transaction_id) ||
		result->verdict > BC_OK)
		abort();
}

/* Bodies have a zero behind them, as http.c puts it. */
static HttpAnswer
body_of(int status, const uint8_t * data, size_t size, char **copy)
{
	HttpAnswer	answer = answer_of(status, NULL);

	*copy = malloc(size + 1);
	memcpy(*copy, data, size);
	(*copy)[size] = '\0';
	answer.body = *copy;
	answer.body_length = size;
	return answer;
}

static void
choose(uint8_t choice, BcInquiry *inquiry)
{
	store.strategy = (BcStrategy) (choice % 3);
	store.no_transactions = (choice & 4) != 0;
	store.offline_methods = (choice & 8) ? "Cash\nBank Deposit" : NULL;
	order.approved = (choice & 16) ? "store credit or a gift certificate was used; 2 captures are among the order's transactions" : NULL;
	order.sent_before = (choice & 32) != 0;
	inquiry->purpose = (choice & 64) ? BC_READ_BACK : BC_LOOK;
}

static void
judge_all(BcInquiry *inquiry, HttpAnswer *first, HttpAnswer *second)
{
	BcResult	result = {0};
	BcInquiry	other = *inquiry;

	bc_verdict_account(first, &result);
	if (!bc_verdict_order(inquiry, first, &result))
		(void) bc_verdict_transactions(inquiry, second, &result);
	check(&result);

	/* the same bytes as transactions of a good order, page after page */
	*second = answer_of(200, order_body(""));
	(void) bc_verdict_order(&other, second, &result);
	for (int page = 0; page < 3 && !bc_verdict_transactions(&other, first, &result); page++)
		;
	check(&result);
	bc_verdict_write(&other, first, &result);
	check(&result);
	bc_verdict_test(&other, first, &result);
	check(&result);
}

int
LLVMFuzzerTestOneInput(const uint8_t * data, size_t size)
{
	static const int statuses[] = {200, 201, 204, 302, 400, 401, 404, 422, 429, 500, 503, 0};
	const BcResult look = {.status_id = 7};
	BcInquiry	inquiry = {.store = &store,.order = &order,.look = &look};
	HttpAnswer	first;
	HttpAnswer	second;
	char	   *bodies[2];
	size_t		cut = CHOICES;

	if (size < CHOICES)
		return 0;
	while (cut + 1 < size && (data[cut] != 0 || data[cut + 1] != 0))
		cut++;
	if (cut + 1 >= size)
		cut = size;
	choose(data[0], &inquiry);
	first = body_of(statuses[data[1] % 12], data + CHOICES, cut - CHOICES, &bodies[0]);
	second = body_of(200, data + cut, size - cut, &bodies[1]);
	if (cut < size)
	{
		second.body += 2;
		second.body_length -= 2;
	}
	http_header_take(&first, (const char *) data, size);
	judge_all(&inquiry, &first, &second);
	free(bodies[0]);
	free(bodies[1]);
	return 0;
}
