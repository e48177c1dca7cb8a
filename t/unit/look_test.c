/*-------------------------------------------------------------------------
 *
 * look_test.c
 *	  Goal: every row of "Look before every write" leads to its verdict, for
 *	  a look before the write and for a read back after it.
 *
 * One case per line.  An order or a transaction is the everyday one with the
 * members of the case put over it (of two equal members the last one counts).
 *
 *-------------------------------------------------------------------------
 */
#include "everyday.h"

#define STRIPE "\"gateway\":\"stripe\",\"method\":\"credit_card\""

static const Case looks[] = {
	{BC_GO, "", NONE},
	{BC_GO, "\"status_id\":1", NONE},
	{BC_GO, "\"payment_status\":null", NONE},
	{BC_GO, "\"payment_status\":\"Pending\"", NONE},

	/* is_deleted */
	{BC_REFUSED, "\"is_deleted\":true", ALONE, false, "deleted"},
	{BC_REFUSED, "\"is_deleted\":true,\"payment_status\":\"captured\"", ALONE, APPROVED, "deleted"},
	{BC_REFUSED, "\"is_deleted\":1", ALONE, false, "no usable is_deleted"},
	{BC_GO, "\"is_deleted\":null", NONE},

	/* status_id */
	{BC_REFUSED, "\"status_id\":0", ALONE, APPROVED, "status 0"},
	{BC_GO, "\"status_id\":2", NONE},
	{BC_GO, "\"status_id\":3", NONE},
	{BC_NOT_OURS, "\"status_id\":4", ALONE, APPROVED},
	{BC_REFUSED, "\"status_id\":5", ALONE, APPROVED, "status 5"},
	{BC_REFUSED, "\"status_id\":6", ALONE, APPROVED},
	{BC_GO, "\"status_id\":8", NONE},
	{BC_GO, "\"status_id\":9", NONE},
	{BC_GO, "\"status_id\":10", NONE},
	{BC_GO, "\"status_id\":11", NONE},
	{BC_HELD, "\"status_id\":12", NONE, false, "manual verification"},
	{BC_GO, "\"status_id\":12", NONE, APPROVED, "approved although the order awaits manual verification"},
	{BC_REFUSED, "\"status_id\":13", ALONE, APPROVED},
	{BC_NOT_OURS, "\"status_id\":14", ALONE, APPROVED},
	{BC_REFUSED, "\"status_id\":15", ALONE, APPROVED},
	{BC_REFUSED, "\"status_id\":\"7\"", ALONE, false, "no usable status_id"},
	{BC_REFUSED, "\"status_id\":4294967303", ALONE, false, "no usable status_id"},
	{BC_REFUSED, "\"status_id\":null", ALONE, false, "no usable status_id"},

	/* payment_status, in every spelling */
	{BC_TAKEN_BY_OTHER, "\"payment_status\":\"captured\"", ALONE, false, "captured"},
	{BC_TAKEN_BY_OTHER, "\"payment_status\":\"Captured\"", ALONE},
	{BC_TAKEN_BY_OTHER, "\"payment_status\":\"PAID\",\"status_id\":11", ALONE},
	{BC_WAIT, "\"payment_status\":\"capture pending\"", ALONE, APPROVED},
	{BC_WAIT, "\"payment_status\":\"capture_pending\"", ALONE},
	{BC_WAIT, "\"payment_status\":\"_Capture__Pending_\"", ALONE},
	{BC_HELD, "\"payment_status\":\"declined\"", NONE, false, "was declined"},
	{BC_GO, "\"payment_status\":\"declined\"", NONE, APPROVED},
	{BC_HELD, "\"payment_status\":\"void\"", NONE},
	{BC_GO, "\"payment_status\":\"Void\"", NONE, APPROVED},
	{BC_NOT_OURS, "\"payment_status\":\"authorized\"", ALONE, APPROVED},
	{BC_NOT_OURS, "\"payment_status\":\"held for review\"", ALONE, APPROVED},
	{BC_NOT_OURS, "\"payment_status\":\"Held_For_Review\"", ALONE},
	{BC_NOT_OURS, "\"payment_status\":\"partially refunded\"", ALONE, APPROVED},
	{BC_NOT_OURS, "\"payment_status\":\"partially_refunded\"", ALONE},
	{BC_NOT_OURS, "\"payment_status\":\"refunded\"", ALONE, APPROVED},
	{BC_NOT_OURS, "\"payment_status\":\"void pending\"", ALONE, APPROVED},
	{BC_REFUSED, "\"payment_status\":\"brand new\"", ALONE, APPROVED, "\"brand new\" is not known"},
	{BC_REFUSED, "\"payment_status\":7", ALONE, false, "no usable payment_status"},

	/* payment_method */
	{BC_GO, "\"payment_method\":\"cash ON delivery\"", NONE},
	{BC_GO, "\"payment_method\":\"Pay in Store\"", NONE},
	{BC_HELD, "\"payment_method\":\"Visa\"", NONE, false, "\"Visa\" is none of"},
	{BC_GO, "\"payment_method\":\"Visa\"", NONE, APPROVED},
	{BC_HELD, "\"payment_method\":null", NONE},
	{BC_HELD, "\"payment_method\":[]", NONE},

	/* currency and amount */
	{BC_HELD, "\"default_currency_code\":\"EUR\"", NONE, false, "69.84 EUR, Odoo settled 69.84 USD"},
	{BC_GO, "\"default_currency_code\":\"EUR\"", NONE, APPROVED},
	{BC_GO, "\"currency_code\":\"EUR\"", NONE},
	{BC_REFUSED, "\"default_currency_code\":\"\"", ALONE, APPROVED},
	{BC_REFUSED, "\"default_currency_code\":\"US\\\"\"", ALONE, APPROVED},
	{BC_REFUSED, "\"default_currency_code\":null", ALONE, APPROVED},
	{BC_GO, "\"total_inc_tax\":\"69.8900\"", NONE},
	{BC_GO, "\"total_inc_tax\":\"69.7900\"", NONE},
	{BC_HELD, "\"total_inc_tax\":\"69.8901\"", NONE, false, "69.8901 USD, Odoo settled 69.84 (tolerance 0.05)"},
	{BC_GO, "\"total_inc_tax\":\"70.0000\"", NONE, APPROVED},
	{BC_REFUSED, "\"total_inc_tax\":\"0.0000\"", ALONE, APPROVED, "nothing is to be paid"},
	{BC_REFUSED, "\"total_inc_tax\":\"-69.8400\"", ALONE, APPROVED},
	{BC_REFUSED, "\"total_inc_tax\":69.84", ALONE, APPROVED, "no usable total_inc_tax"},
	{BC_REFUSED, "\"total_inc_tax\":\"lots\"", ALONE, APPROVED},

	/* store credit and gift certificates */
	{BC_HELD, "\"store_credit_amount\":\"5.0000\"", NONE, false, "store credit"},
	{BC_HELD, "\"gift_certificate_amount\":\"0.0100\"", NONE},
	{BC_GO, "\"gift_certificate_amount\":\"5.0000\"", NONE, APPROVED},
	{BC_HELD, "\"store_credit_amount\":\"?\"", NONE},
	{BC_HELD, "\"store_credit_amount\":{}", NONE},
	{BC_GO, "\"store_credit_amount\":null", NONE},
	{BC_GO, "\"store_credit_amount\":0", NONE},
	{BC_HELD, "\"store_credit_amount\":5", NONE},
	{BC_HELD, "", "\"event\":\"purchase\",\"method\":\"store_credit\",\"gateway\":\"storecredit\""},

	/* all that is doubtful is named at once */
	{BC_HELD, "\"payment_method\":\"Visa\",\"status_id\":12", NONE, false, "verification at the store; \"Visa\""},

	/* our marker */
	{BC_TAKEN, "", OURS, false, "our capture"},
	{BC_TAKEN, "", OURS ",\"status\":\"OK\"", APPROVED},
	{BC_TAKEN, "", OURS ",\"status\":null"},
	{BC_TAKEN, "", OURS ",\"event\":\"purchase\""},
	{BC_TAKEN, "", OURS ",\"gateway\":\"renamed\""},
	{BC_TAKEN, "", OURS "|" OURS ",\"event\":\"settled\""},
	{BC_HELD, "", OURS ",\"status\":\"error\"", false, "not as successful"},
	{BC_HELD, "", OURS ",\"status\":\"pending\""},
	{BC_HELD, "", OURS ",\"event\":\"authorization\""},
	{BC_HELD, "", OURS "|" OURS ",\"event\":\"void\"", false, "voided"},
	{BC_TAKEN, "", OURS "|" OURS ",\"event\":\"void\"", APPROVED},
	{BC_TAKEN, "\"payment_provider_id\":\"" MARKER "\",\"status_id\":11", ALONE},
	{BC_GO, "\"payment_provider_id\":\"" MARKER "\"", NONE},

	/* somebody else's capture */
	{BC_TAKEN_BY_OTHER, "", "\"id\":5"},
	{BC_TAKEN_BY_OTHER, "", "\"event\":\"purchase\"," STRIPE},
	{BC_TAKEN_BY_OTHER, "", "\"event\":\"settled\",\"gateway\":\"custom\""},
	{BC_TAKEN_BY_OTHER, "", "\"event\":\"Capture\",\"status\":\"Ok\""},
	{BC_TAKEN_BY_OTHER, "", "\"event\":\"capture\"|\"event\":\"settled\""},
	{BC_TAKEN_BY_OTHER, "\"payment_method\":\"Visa\"", "\"event\":\"purchase\"," STRIPE, APPROVED},
	{BC_HELD, "", "\"id\":1|\"id\":2", false, "2 captures"},
	{BC_TAKEN_BY_OTHER, "", "\"id\":1|\"id\":2", APPROVED},
	{BC_HELD, "", OURS "|\"id\":2"},
	{BC_HELD, "", OURS "|" OURS},
	{BC_TAKEN, "", OURS "|" OURS, APPROVED},
	{BC_HELD, "", "\"status\":\"under review\"", false, "not clear"},
	{BC_HELD, "", "\"event\":null", false, "not clear"},

	/* a refund, a real gateway */
	{BC_NOT_OURS, "", "\"event\":\"refund\"", APPROVED, "refund"},
	{BC_NOT_OURS, "", "\"event\":\"Refund\"|\"event\":\"capture\"", APPROVED},
	{BC_GO, "", "\"event\":\"refund\",\"status\":\"error\""},
	{BC_NOT_OURS, "", OURS "|\"event\":\"refund\"," OURS},
	{BC_NOT_OURS, "", "\"event\":\"authorization\"," STRIPE, APPROVED, "\"stripe\""},
	{BC_NOT_OURS, "", "\"event\":\"pending\"," STRIPE},
	{BC_NOT_OURS, "", "\"event\":\"authorization\",\"gateway\":null,\"method\":\"credit_card\""},
	{BC_NOT_OURS, "", "\"event\":null," STRIPE},
	{BC_GO, "", "\"event\":\"pending\",\"gateway\":\"bankdeposit\""},
	{BC_GO, "", "\"event\":\"pending\",\"gateway\":\"COD\""},
	{BC_GO, "", "\"event\":\"pending\",\"gateway\":\"cheque\"|\"event\":\"pending\",\"gateway\":\"instore\""},
	{BC_GO, "", "\"event\":\"authorization\",\"gateway\":\"moneyorder\""},
	{BC_GO, "", "\"event\":\"pending\",\"gateway\":null,\"method\":null"},
	{BC_GO, "", "\"event\":\"pending\",\"gateway\":\"\",\"method\":\"custom\""},

	/* a card that failed, then a bank transfer */
	{BC_HELD, "", "\"event\":\"purchase\",\"status\":\"error\"," STRIPE, false, "\"stripe\" failed"},
	{BC_GO, "", "\"event\":\"purchase\",\"status\":\"error\"," STRIPE, APPROVED},
	{BC_HELD, "\"payment_status\":\"declined\"", "\"event\":\"authorization\",\"status\":\"error\"," STRIPE},
	{BC_HELD, "", "\"event\":\"authorization\"," STRIPE "|\"event\":\"void\"," STRIPE},
	{BC_HELD, "\"payment_status\":\"void\"", "\"event\":\"authorization\"," STRIPE},
	{BC_NOT_OURS, "", "\"event\":\"authorization\"," STRIPE "|\"event\":\"void\",\"status\":\"error\"," STRIPE},
	{BC_NOT_OURS, "", "\"event\":\"authorization\"," STRIPE "|\"event\":\"void\"," STRIPE
	"|\"event\":\"authorization\"," STRIPE},

	/* what cannot be the list of this order proves nothing */
	{BC_WAIT, "", "\"order_id\":\"219\""},
	{BC_WAIT, "", "\"order_id\":219"},
	{BC_WAIT, "", "\"order_id\":{}"},
	{BC_GO, "", "\"order_id\":218,\"event\":\"pending\""},
	{BC_GO, "", "\"order_id\":null,\"event\":\"pending\""},
	{BC_WAIT, "", "\"event\":7"},
	{BC_WAIT, "", "\"status\":{}"},
	{BC_TAKEN_BY_OTHER, "", "\"gateway_transaction_id\":7"},
	{BC_TAKEN_BY_OTHER, "", "\"offline\":{},\"custom\":null"},
};

/* A read back always reads the transactions: the order alone does not say who it was. */
static const Case read_backs[] = {
	{BC_GO, "", NONE, false, "no capture"},
	{BC_TAKEN, "", OURS, false, "shown as \"\""},
	{BC_TAKEN, "\"payment_status\":\"captured\"", OURS, false, "shown as \"captured\""},
	{BC_TAKEN, "\"payment_status\":\"refunded\"", OURS "|\"event\":\"refund\""},
	{BC_TAKEN, "\"is_deleted\":true", OURS},
	{BC_TAKEN, "\"total_inc_tax\":\"99.0000\",\"payment_method\":\"Visa\"", OURS},
	{BC_TAKEN, "\"total_inc_tax\":7", OURS},
	{BC_TAKEN, "\"payment_provider_id\":\"" MARKER "\",\"status_id\":11", NONE},
	{BC_TAKEN_BY_OTHER, "\"payment_status\":\"captured\"", NONE, false, "no transaction of ours"},
	{BC_TAKEN_BY_OTHER, "\"payment_status\":\"captured\"", "\"id\":7"},
	{BC_TAKEN_BY_OTHER, "", "\"id\":7"},
	{BC_TAKEN_BY_OTHER, "", "\"event\":\"settled\""},
	{BC_HELD, "", OURS "|\"id\":7"},
	{BC_HELD, "", OURS "|" OURS},
	{BC_TAKEN, "", OURS "|" OURS, APPROVED},
	{BC_HELD, "", OURS ",\"status\":\"error\""},
	{BC_HELD, "", "\"status\":\"odd\""},
	{BC_WAIT, "\"payment_status\":\"capture pending\"", NONE},
	{BC_NOT_OURS, "\"payment_status\":\"refunded\"", NONE},
	{BC_REFUSED, "\"is_deleted\":true", NONE},
	{BC_GO, "\"total_inc_tax\":\"99.0000\",\"payment_method\":\"Visa\"", NONE},
	{BC_GO, "", "\"event\":\"authorization\"," STRIPE},
	{BC_WAIT, "", "\"order_id\":\"219\""},
};

/* A look after a write of unknown outcome: whose capture is it? */
static const Case looks_again[] = {
	{BC_GO, "", NONE},
	{BC_TAKEN, "\"payment_status\":\"captured\"", OURS},
	{BC_TAKEN, "\"payment_status\":\"refunded\"", OURS "|\"event\":\"refund\""},
	{BC_TAKEN_BY_OTHER, "\"payment_status\":\"captured\"", NONE},
	{BC_TAKEN_BY_OTHER, "", "\"id\":5"},
	{BC_HELD, "\"payment_status\":\"captured\"", OURS "|\"id\":5"},
	{BC_HELD, "\"payment_method\":\"Visa\"", NONE},
	{BC_WAIT, "\"payment_status\":\"capture pending\"", NONE},
	{BC_NOT_OURS, "\"payment_status\":\"refunded\"", NONE},
	{BC_NOT_OURS, "", "\"event\":\"refund\""},
	{BC_REFUSED, "\"is_deleted\":true", NONE},
	{BC_TAKEN, "\"payment_provider_id\":\"" MARKER "\",\"status_id\":11", NONE},
};

static void
test_case(BcPurpose purpose, const Case * c)
{
	bool		alone;
	BcResult	result = judge(purpose, c, &alone);
	bool		passed = result.verdict == c->wanted && alone == (c->transactions == ALONE) &&
	(c->reason == NULL || strstr(result.reason, c->reason) != NULL);

	ok(passed, "%s {%s} [%s]%s", order.sent_before ? "look again" :
	   purpose == BC_LOOK ? "look" : "read back", c->order,
	   c->transactions ? c->transactions : "not asked", c->approved ? " approved" : "");
	if (!passed)
		printf("# verdict %d, wanted %d, decided %s, reason \"%s\"\n", result.verdict, c->wanted,
			   alone ? "alone" : "with transactions", result.reason);
}

/* The same for one order that is no row of a table. */
static BcResult
judged(BcPurpose purpose, const char *members, const char *transactions)
{
	Case		c = {BC_OK, members, transactions, false, NULL};
	bool		alone;

	return judge(purpose, &c, &alone);
}

/* The facts that a write rests on. */
static void
test_facts(void)
{
	static const char *const amounts[][2] = {
		{"5000.0000", "5000"}, {"1.2340", "1.234"}, {"69.8400", "69.84"}, {"0.3000", "0.3"},
		{"1000000000000.0000", "1000000000000"}
	};
	BcResult	result;

	for (size_t i = 0; i < sizeof(amounts) / sizeof(amounts[0]); i++)
	{
		char		members[64];

		snprintf(members, sizeof(members), "\"total_inc_tax\":\"%s\"", amounts[i][0]);
		order.amount = amounts[i][1];
		result = judged(BC_LOOK, members, NONE);
		is_number(result.verdict, BC_GO, members);
		is_text(result.amount, amounts[i][1], "what is sent for it");
	}
	order.amount = "69.84";
	result = judged(BC_LOOK, "\"status_id\":1,\"order_is_digital\":true,"
					"\"payment_method\":\"\\u00dcberweisung\\n\",\"payment_status\":\"PENDING\"", NONE);
	is_text(result.currency, "USD", "currency");
	is_text(result.method, "\xc3\x9c" "berweisung", "method, cleaned");
	is_text(result.payment_status, "pending", "payment status, folded");
	is_number(result.status_id, 1, "status");
	ok(result.digital, "digital");
	is_number(result.verdict, BC_HELD, "no method of the default list");

	store.offline_methods = "Cash\n\xc3\x9c" "berweisung";
	result = judged(BC_LOOK, "\"payment_method\":\"\\u00dcBERWEISUNG\"", NONE);
	is_number(result.verdict, BC_GO, "a method of the store's own list");
	result = judged(BC_LOOK, "", NONE);
	is_number(result.verdict, BC_HELD, "a method of the default list, which the store's list replaces");
	store.offline_methods = NULL;

	result = judged(BC_LOOK, "", OURS);
	is_text(result.transaction_id, "77", "the id of our transaction");
	order.amount = "NaN";
	result = judged(BC_LOOK, "", NONE);
	is_number(result.verdict, BC_HELD, "an amount of Odoo's that is none");
	order.amount = NULL;
	order.currency = NULL;
	result = judged(BC_LOOK, "", NONE);
	is_number(result.verdict, BC_HELD, "no amount and no currency");
	order.amount = "69.84";
	order.currency = "usd";
	result = judged(BC_LOOK, "", NONE);
	is_number(result.verdict, BC_GO, "a currency in lower case");
	order.currency = "USD";
}

/* Way B writes only from 1 or 7. */
static void
test_by_status(void)
{
	BcResult	result;

	store.strategy = BC_BY_STATUS;
	result = judged(BC_LOOK, "", NONE);
	is_number(result.verdict, BC_GO, "by status from 7");
	result = judged(BC_LOOK, "\"status_id\":2", NONE);
	is_number(result.verdict, BC_REFUSED, "by status from 2");
	result = judged(BC_READ_BACK, "\"status_id\":11", NONE);
	is_number(result.verdict, BC_HELD, "by status, the status is there, our marker is not: it may have been there before");
	result = judged(BC_READ_BACK, "", NONE);
	is_number(result.verdict, BC_GO, "by status, the status did not change");
	store.strategy = BC_BY_TRANSACTION;
	result = judged(BC_READ_BACK, "\"status_id\":11", NONE);
	is_number(result.verdict, BC_GO, "by transaction, a status proves nothing");
}

int
main(void)
{
	for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++)
		test_case(BC_LOOK, &looks[i]);
	for (size_t i = 0; i < sizeof(read_backs) / sizeof(read_backs[0]); i++)
		test_case(BC_READ_BACK, &read_backs[i]);
	order.sent_before = true;
	for (size_t i = 0; i < sizeof(looks_again) / sizeof(looks_again[0]); i++)
		test_case(BC_LOOK, &looks_again[i]);
	order.sent_before = false;
	test_facts();
	test_by_status();
	return done_testing();
}
