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
	return done_testing();
}
