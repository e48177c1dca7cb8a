/*-------------------------------------------------------------------------
 *
 * approval_test.c
 *	  An approval is of the doubts that its person was shown, in these words.
 *
 *-------------------------------------------------------------------------
 */
#include "everyday.h"

#define SAW "the store wants 99 USD, Odoo settled 69.84 (tolerance 0.05)"
#define SAW_BOTH "gave up; a payment before was void; \"Visa\" is none of the store's offline payment methods"
#define SAW_ALL "the order awaits manual verification at the store; \"Visa\" is none of the store's offline payment methods; store credit or a gift certificate was used"
#define SAW_LATIN "\"?berwei\303\237ung ??\" is none of the store's offline payment methods"
#define SAW_TWO "2 captures are among the order's transactions"

static const struct
{
	BcVerdict	wanted;
	const char *approved;
	const char *order;
	const char *transactions;
}			cases[] =

{
	{BC_GO, SAW, "\"total_inc_tax\":\"99.0000\"", NONE},
	{BC_HELD, SAW, "\"total_inc_tax\":\"99.0100\"", NONE},
	{BC_HELD, SAW, "\"total_inc_tax\":\"99.0000\",\"status_id\":12", NONE},
	{BC_HELD, SAW, "\"total_inc_tax\":\"99.0000\",\"payment_status\":\"declined\"", NONE},
	{BC_HELD, SAW, "\"status_id\":12", NONE},
	{BC_GO, SAW, "", NONE},
	{BC_GO, SAW_BOTH, "\"payment_status\":\"void\",\"payment_method\":\"Visa\"", NONE},
	{BC_GO, SAW_BOTH, "\"payment_method\":\"Visa\"", NONE},
	{BC_HELD, SAW_BOTH, "\"payment_method\":\"Visa 2\"", NONE},
	{BC_GO, SAW_ALL, "\"status_id\":12,\"store_credit_amount\":\"1.0000\"", NONE},
	{BC_HELD, SAW_ALL, "\"status_id\":12,\"payment_status\":\"void\",\"store_credit_amount\":\"1.0000\"", NONE},
	{BC_GO, SAW_LATIN, "\"payment_method\":\"\\u00dcberwei\\u00dfung \\u6ce8\\u6587\"", NONE},
	{BC_HELD, SAW_LATIN, "\"payment_method\":\"\\u00dcberwei\\u00dfung \\u6ce8\"", NONE},
	{BC_HELD, SAW, "", OURS "|\"id\":5"},
	{BC_TAKEN, SAW_TWO, "", OURS "|\"id\":5"},
	{BC_HELD, SAW_TWO, "", OURS "|\"id\":5|\"id\":6"},
	{BC_HELD, "", "\"status_id\":12", NONE},
};

/* Whatever the store calls its method and its gateway: nothing is cut off that nobody would see. */
static void
test_all_at_once(void)
{
	static const char *const doubts[] = {"manual verification", "was declined", "M\" is none of the store's", "or a gift certificate was used",
	"the store wants 1234567890123.45 EUR, Odoo settled 69.84 USD", "not as successful", "outcome is not clear", "G\" failed before", "part was paid by"};
	char		order_members[1024];
	char		transactions[1024];
	Case		c = {BC_HELD, order_members, transactions, false, NULL};
	bool		alone;
	BcResult	result;

	snprintf(order_members, sizeof(order_members), "\"status_id\":12,\"payment_status\":\"declined\",\"store_credit_amount\":\"1.0000\","
			 "\"total_inc_tax\":\"1234567890123.4500\",\"currency_code\":\"EUR\",\"default_currency_code\":\"EUR\",\"payment_method\":\"%0119dM\"", 0);
	snprintf(transactions, sizeof(transactions), OURS ",\"status\":\"error\"|\"event\":\"capture\",\"status\":\"what\"|"
			 "\"event\":\"purchase\",\"method\":\"store_credit\",\"gateway\":\"storecredit\"|"
			 "\"event\":\"purchase\",\"status\":\"error\",\"method\":\"credit_card\",\"gateway\":\"%062dG\"", 0);
	result = ask(BC_LOOK, &c, NULL, &alone);
	is_number(result.verdict, BC_HELD, "all doubts at once");
	for (size_t i = 0; i < sizeof(doubts) / sizeof(doubts[0]); i++)
		ok(strstr(result.reason, doubts[i]) != NULL, "named: %s", doubts[i]);
	printf("# %zu bytes: %s\n", strlen(result.reason), result.reason);
	result = ask(BC_LOOK, &c, result.reason, &alone);
	is_number(result.verdict, BC_GO, "approved all at once");
}

int
main(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		Case		c = {cases[i].wanted, cases[i].order, cases[i].transactions, true, NULL};
		bool		alone;
		BcResult	result = ask(BC_LOOK, &c, cases[i].approved, &alone);

		ok(result.verdict == c.wanted, "approved \"%s\", found {%s} [%s]", cases[i].approved, c.order, c.transactions);
		ok((strncmp(result.reason, "approved although ", 18) == 0) == (c.wanted == BC_GO && *c.order),
		   "and its reason says so: %s", result.reason);
	}
	test_all_at_once();
	return done_testing();
}
