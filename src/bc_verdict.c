/*-------------------------------------------------------------------------
 *
 * bc_verdict.c
 *	  Judge an order and its transactions: may it be captured, was it?
 *
 * Facts are weighed from the most certain to the least: money that moved
 * outranks what a person may decide.  An approval lets pass what would be
 * held, but never sends where a capture was seen.
 *
 *-------------------------------------------------------------------------
 */
#include "bc_verdict.h"

#include "bc_holds.h"
#include "bc_reason.h"
#include "bc_request.h"
#include "bc_text.h"

/* status_id that are an end of their own */
#define STATUS_REFUNDED 4
#define STATUS_TO_VERIFY 12
#define STATUS_PARTIALLY_REFUNDED 14

#define TAKEN_STATUSES "captured\npaid"
#define REFUNDED_STATUSES "refunded\npartially refunded"
#define OTHERS_STATUSES "authorized\nheld for review\nvoid pending"
#define FAILED_STATUSES "declined\nvoid"

/* prototypes of private functions */
static void keep_facts(const BcRemoteOrder *remote, BcResult *result);
static bool order_decides(const BcInquiry *inquiry, BcResult *result);
static bool payment_status_decides(const BcRemoteOrder *remote, BcResult *result);
static bool status_decides(const BcInquiry *inquiry, BcResult *result);
static bool is_live_status(int status_id);
static bool is_refunded(const BcInquiry *inquiry);
static void judge_look(const BcInquiry *inquiry, BcResult *result);
static void judge_read_back(const BcInquiry *inquiry, BcResult *result);
static bool captures_decide(const BcInquiry *inquiry, BcResult *result);
static bool captures_are_doubtful(const BcInquiry *inquiry, BcResult *result);
static bool is_at_real_gateway(const BcInquiry *inquiry);

/* 404 is an answer here, not a failed read: the order is not there. */
bool
bc_verdict_order(BcInquiry *inquiry, const HttpAnswer *answer, BcResult *result)
{
	int64		id = inquiry->order->remote_order_id;
	const char *token = inquiry->store->token;

	if (answer->status == 404)
	{
		bc_verdict_set(result, BC_REFUSED, "order %lld does not exist at the store",
					   (long long) id);
		bc_reason_append(result->reason, sizeof(result->reason), answer, token);
		return true;
	}
	if (bc_verdict_read_failed(inquiry, answer, "the order", "store_v2_orders_read_only", result))
		return true;
	if (!bc_remote_order(answer->body, answer->body_length, id, inquiry->store,
						 inquiry->order->marker, &inquiry->remote))
	{
		bc_verdict_set(result, BC_WAIT, "the store's answer is not order %lld", (long long) id);
		result->store_unwell = true;
		return true;
	}
	keep_facts(&inquiry->remote, result);
	return inquiry->purpose == BC_LOOK && !inquiry->order->sent_before &&
		order_decides(inquiry, result);
}

/* What a write will rest on, and what a person is shown. */
static void
keep_facts(const BcRemoteOrder *remote, BcResult *result)
{
	bc_amount_print(&remote->total, result->amount, sizeof(result->amount));
	memcpy(result->currency, remote->currency, sizeof(result->currency));
	memcpy(result->method, remote->method, sizeof(result->method));
	memcpy(result->payment_status, remote->payment_status, sizeof(result->payment_status));
	result->status_id = remote->status_id;
	result->digital = remote->digital;
}

/*
 * What needs no look at the transactions.  A deleted order is refused even if
 * it is paid: there is nothing left that Odoo's status could follow.
 */
static bool
order_decides(const BcInquiry *inquiry, BcResult *result)
{
	const BcRemoteOrder *remote = &inquiry->remote;

	if (remote->deleted)
		bc_verdict_set(result, BC_REFUSED, "order %lld is deleted at the store",
					   (long long) inquiry->order->remote_order_id);
	else if (remote->unreadable != NULL)
		bc_verdict_set(result, BC_REFUSED, "the store's order has no usable %s", remote->unreadable);
	else if (is_refunded(inquiry))
		bc_verdict_set(result, BC_NOT_OURS, "the order is refunded at the store");
	else if (remote->marked && is_live_status(remote->status_id))
		bc_verdict_set(result, BC_TAKEN, "the order carries our marker");
	else if (payment_status_decides(remote, result))
		return true;
	else
		return status_decides(inquiry, result);
	return true;
}

/* Needs no transactions: whoever took the money, it is taken. */
static bool
payment_status_decides(const BcRemoteOrder *remote, BcResult *result)
{
	const char *status = remote->payment_status;

	if (bc_text_listed(status, TAKEN_STATUSES))
		bc_verdict_set(result, BC_TAKEN_BY_OTHER, "the store shows the order as %s", status);
	else if (bc_text_same(status, "capture pending"))
		bc_verdict_set(result, BC_WAIT, "a capture is pending at the store");
	else if (bc_text_listed(status, OTHERS_STATUSES))
		bc_verdict_set(result, BC_NOT_OURS, "the store shows the payment as %s", status);
	else if (*status != '\0' && !bc_text_same(status, "pending") &&
			 !bc_text_listed(status, FAILED_STATUSES))
		bc_verdict_set(result, BC_REFUSED, "the payment status \"%s\" is not known", status);
	else
		return false;
	return true;
}

/* Cancelled, declined, disputed, incomplete or unknown: not a matter of payment any more. */
static bool
status_decides(const BcInquiry *inquiry, BcResult *result)
{
	const BcRemoteOrder *remote = &inquiry->remote;
	int			status_id = remote->status_id;

	if (!is_live_status(status_id) && !bc_request_status_may_change(status_id) &&
		status_id != STATUS_TO_VERIFY)
		bc_verdict_set(result, BC_REFUSED, "an order in status %d is not captured", status_id);
	else if (bc_request_is_by_status(inquiry->store) && !bc_request_status_may_change(status_id))
		bc_verdict_set(result, BC_REFUSED,
					   "the store marks orders by status, and only from 1 or 7, not from %d",
					   status_id);
	else if (bc_amount_sign(&remote->total) <= 0)
		bc_verdict_set(result, BC_REFUSED, "nothing is to be paid at the store: %s %s",
					   result->amount, result->currency);
	else
		return false;
	return true;
}

/* Shipped, partially shipped, the three that await goods, completed: paid-type. */
static bool
is_live_status(int status_id)
{
	return status_id == 2 || status_id == 3 || (status_id >= 8 && status_id <= 11);
}

/* refunded_amount is no witness: it is documented to be 0 always. */
static bool
is_refunded(const BcInquiry *inquiry)
{
	const BcRemoteOrder *remote = &inquiry->remote;

	return inquiry->seen.refunds > 0 || remote->status_id == STATUS_REFUNDED ||
		remote->status_id == STATUS_PARTIALLY_REFUNDED ||
		bc_text_listed(remote->payment_status, REFUNDED_STATUSES);
}

/* All pages or no verdict: our marker may be on the last one. */
bool
bc_verdict_transactions(BcInquiry *inquiry, const HttpAnswer *answer, BcResult *result)
{
	BcSeen	   *seen = &inquiry->seen;

	if (bc_verdict_read_failed(inquiry, answer, "the order's transactions",
							   "store_v2_transactions_read_only", result))
		return true;
	if (answer->status == 204)
		seen->pages = seen->page;	/* an empty list, also after other pages */
	else if (!bc_remote_transactions(answer->body, answer->body_length,
									 inquiry->order->remote_order_id, inquiry->store,
									 inquiry->order->marker, seen))
	{
		bc_verdict_set(result, BC_WAIT, "the order's transactions cannot be read");
		result->store_unwell = true;
		return true;
	}
	if (seen->pages > BC_PAGES_MAX)
		bc_verdict_set(result, BC_HELD, "the order has too many transactions to judge: settle by hand, or cancel");
	else if (seen->page < seen->pages)
		return false;
	else if (inquiry->purpose == BC_READ_BACK)
		judge_read_back(inquiry, result);
	else
		judge_look(inquiry, result);
	return true;
}

/*
 * May the order be captured?
 *
 * After a write whose outcome is not known, the transactions are asked first:
 * an order shown as captured does not say by whom, and a capture of ours that
 * was refunded since was still one.
 */
static void
judge_look(const BcInquiry *inquiry, BcResult *result)
{
	const BcSeen *seen = &inquiry->seen;

	if (inquiry->order->sent_before &&
		(captures_decide(inquiry, result) || order_decides(inquiry, result)))
		return;
	if (is_refunded(inquiry))
		bc_verdict_set(result, BC_NOT_OURS, "a refund is among the order's transactions");
	else if (captures_decide(inquiry, result))
		return;
	else if (is_at_real_gateway(inquiry))
		bc_verdict_set(result, BC_NOT_OURS, "the order is paid through the gateway \"%s\"",
					   seen->gateway);
	else
	{
		bc_verdict_set(result, BC_GO, "%s", "");
		bc_holds_order(inquiry, result);
		bc_holds_transactions(inquiry, result);
		bc_holds_say_approved(result);
	}
}

/*
 * Did the write arrive?
 *
 * Only that: an amount that changed meanwhile does not make a capture undone.
 * Whether to send again is for another look to say.
 */
static void
judge_read_back(const BcInquiry *inquiry, BcResult *result)
{
	const BcRemoteOrder *remote = &inquiry->remote;
	const char *status = remote->payment_status;

	if (captures_decide(inquiry, result))
		return;
	if (remote->marked && is_live_status(remote->status_id))
		bc_verdict_set(result, BC_TAKEN, "the order carries our marker");
	else if (is_refunded(inquiry))
		bc_verdict_set(result, BC_NOT_OURS, "the order is refunded at the store");
	else if (bc_text_listed(status, TAKEN_STATUSES))
		bc_verdict_set(result, BC_TAKEN_BY_OTHER,
					   "the store shows the order as %s, and no transaction of ours", status);
	else if (bc_request_is_by_status(inquiry->store) && is_live_status(remote->status_id))
		bc_verdict_set(result, BC_HELD, "the order is in status %d, without our marker",
					   remote->status_id);	/* or it was, when we took way A */
	else if (bc_text_same(status, "capture pending"))
		bc_verdict_set(result, BC_WAIT, "a capture is pending at the store");
	else if (remote->deleted)
		bc_verdict_set(result, BC_REFUSED, "the order is deleted at the store");
	else
	{
		bc_verdict_set(result, BC_GO, "%s", "");
		bc_holds_transactions(inquiry, result);
		bc_holds_say_approved(result);
		if (result->verdict == BC_GO && result->reason[0] == '\0')
			bc_verdict_set(result, BC_GO, "no capture is among the order's transactions");
	}
}

/* Money that was taken, by whom. */
static bool
captures_decide(const BcInquiry *inquiry, BcResult *result)
{
	const BcSeen *seen = &inquiry->seen;

	result->status_follows = strcmp(inquiry->remote.payment_status, "captured") == 0 ||
		strcmp(inquiry->remote.payment_status, "paid") == 0;
	memcpy(result->transaction_id, seen->id, sizeof(result->transaction_id));
	if (captures_are_doubtful(inquiry, result))
		return true;
	if (seen->ours > 0)
		bc_verdict_set(result, BC_TAKEN, "our capture is there, the order is shown as \"%s\"",
					   inquiry->remote.payment_status);
	else if (seen->captures + seen->settled > 0)
		bc_verdict_set(result, BC_TAKEN_BY_OTHER, "somebody else captured the order");
	else
		return false;
	return true;
}

/* Taken more than once, or given back?  A person must look; approved, nothing is sent all the same. */
static bool
captures_are_doubtful(const BcInquiry *inquiry, BcResult *result)
{
	const BcSeen *seen = &inquiry->seen;

	if (seen->ours + seen->captures > 1)
		bc_verdict_set(result, BC_HELD, "%d captures are among the order's transactions",
					   seen->ours + seen->captures);
	else if (seen->ours > 0 && seen->voided_offline > 0)
		bc_verdict_set(result, BC_HELD, "our capture was voided at the store");
	else
		return false;
	return !bc_holds_approved(inquiry, result->reason);
}

/* An authorization that was voided, or that the order says came to nothing, is past. */
static bool
is_at_real_gateway(const BcInquiry *inquiry)
{
	const BcSeen *seen = &inquiry->seen;

	return seen->authorized > seen->voided &&
		!bc_text_listed(inquiry->remote.payment_status, FAILED_STATUSES);
}
