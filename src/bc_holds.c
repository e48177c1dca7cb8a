/*-------------------------------------------------------------------------
 *
 * bc_holds.c
 *	  What lets a capture wait for a person's approval.
 *
 * None of these is proof that the order must not be captured; each of them is
 * a reason why a program should not decide it.  All are named at once, so
 * that a person decides once.
 *
 *-------------------------------------------------------------------------
 */
#include "bc_holds.h"

#include "bc_text.h"

#define STATUS_TO_VERIFY 12
#define FAILED_STATUSES "declined\nvoid"

/* prototypes of private functions */
static void hold(const BcInquiry *inquiry, BcResult *result, const char *format,...)
			__attribute__((format(printf, 3, 4)));
static void hold_currency_or_amount(const BcInquiry *inquiry, BcResult *result);
static bool is_amount_settled(const BcInquiry *inquiry);

/* What the order itself gives to think about; money first compared, never guessed. */
void
bc_holds_order(const BcInquiry *inquiry, BcResult *result)
{
	const BcRemoteOrder *remote = &inquiry->remote;

	if (remote->status_id == STATUS_TO_VERIFY)
		hold(inquiry, result, "the order awaits manual verification at the store");
	if (bc_text_listed(remote->payment_status, FAILED_STATUSES))
		hold(inquiry, result, "a payment before was %s", remote->payment_status);
	if (!remote->method_listed)
		hold(inquiry, result, "\"%s\" is none of the store's offline payment methods",
			 remote->method);
	if (remote->part_paid)
		hold(inquiry, result, "store credit or a gift certificate was used");
	hold_currency_or_amount(inquiry, result);
}

/* Amounts in different currencies say nothing about each other. */
static void
hold_currency_or_amount(const BcInquiry *inquiry, BcResult *result)
{
	const BcOrder *order = inquiry->order;
	const BcRemoteOrder *remote = &inquiry->remote;
	char		total[BC_AMOUNT_MAX];
	const char *amount = order->amount ? order->amount : "nothing";
	const char *currency = order->currency ? order->currency : "no currency";

	bc_amount_print(&remote->total, total, sizeof(total));
	if (!bc_text_same(currency, remote->currency))
		hold(inquiry, result, "the store wants %s %s, Odoo settled %s %s",
			 total, remote->currency, amount, currency);
	else if (!is_amount_settled(inquiry))
		hold(inquiry, result, "the store wants %s %s, Odoo settled %s (tolerance %s)",
			 total, remote->currency, amount,
			 order->tolerance ? order->tolerance : "0");
}

/* An amount of Odoo's that cannot be read is one that does not agree. */
static bool
is_amount_settled(const BcInquiry *inquiry)
{
	BcAmount	settled;
	BcAmount	tolerance;

	if (!bc_amount_parse(inquiry->order->tolerance, &tolerance))
		tolerance.units = 0;
	return bc_amount_parse(inquiry->order->amount, &settled) &&
		bc_amount_within(&inquiry->remote.total, &settled, &tolerance);
}

/*
 * What its transactions give to think about.  After a write, only what may be
 * that write: a card that failed before was judged by the look.
 */
void
bc_holds_transactions(const BcInquiry *inquiry, BcResult *result)
{
	const BcSeen *seen = &inquiry->seen;

	if (seen->ours_not_ok > 0)
		hold(inquiry, result, "the store recorded a capture of ours, but not as successful");
	if (seen->unclear > 0)
		hold(inquiry, result, "a transaction's outcome is not clear");
	if (inquiry->purpose == BC_READ_BACK)
		return;
	if (seen->declined + seen->voided + seen->authorized > 0)
		hold(inquiry, result, "a payment through \"%s\" failed before", seen->gateway);
	if (seen->part_payments > 0)
		hold(inquiry, result, "part was paid by store credit or gift certificate");
}

/* The reason grows by one doubt. */
static void
hold(const BcInquiry *inquiry, BcResult *result, const char *format,...)
{
	char		doubt[BC_REASON_MAX] = "";
	va_list		args;

	va_start(args, format);
	bc_text_vappend(doubt, sizeof(doubt), format, args);
	va_end(args);
	if (!bc_holds_approved(inquiry, doubt))
		result->verdict = BC_HELD;
	if (result->reason[0] != '\0')
		bc_text_append(result->reason, sizeof(result->reason), "; ");
	bc_text_append(result->reason, sizeof(result->reason), "%s", doubt);
}

/* Its words are in what the approved one said: another sum, or a doubt that came up since, is not. */
bool
bc_holds_approved(const BcInquiry *inquiry, const char *doubt)
{
	const char *approved = inquiry->order->approved;

	return approved != NULL && bc_text_shows(approved, doubt);
}

/* An approval is written down with what it overrode. */
void
bc_holds_say_approved(BcResult *result)
{
	char		doubts[BC_REASON_MAX];

	if (result->verdict != BC_GO || result->reason[0] == '\0')
		return;
	memcpy(doubts, result->reason, sizeof(doubts));
	bc_verdict_set(result, BC_GO, "approved although %s", doubts);
}
