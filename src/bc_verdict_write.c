/*-------------------------------------------------------------------------
 *
 * bc_verdict_write.c
 *	  Judge the answer to the one write: was it taken, refused, or who knows?
 *
 * Only an answer of the store's own, or the proof that nothing was sent, says
 * that nothing was taken.  All else is unknown, and the store is read before
 * it is written to again.
 *
 *-------------------------------------------------------------------------
 */
#include "bc_verdict.h"

#include "bc_reason.h"
#include "bc_request.h"
#include "bc_text.h"

/* prototypes of private functions */
static bool stops_store(const HttpAnswer *answer);
static bool is_rejection(int status);
static void judge_accepted(BcInquiry *inquiry, const HttpAnswer *answer, BcResult *result);
static void judge_posted(BcInquiry *inquiry, const HttpAnswer *answer, BcResult *result);
static void judge_put(BcInquiry *inquiry, const HttpAnswer *answer, BcResult *result);
static void judge_missing(BcInquiry *inquiry, const HttpAnswer *answer, BcResult *result);
static void judge_other(BcInquiry *inquiry, const HttpAnswer *answer, BcResult *result);

/* From what is certain to what is not: what no line below claims is unknown. */
void
bc_verdict_write(BcInquiry *inquiry, const HttpAnswer *answer, BcResult *result)
{
	bool		by_status = bc_request_is_by_status(inquiry->store);
	int			status = answer->status;

	if (stops_store(answer))
		bc_verdict_stop(inquiry, answer,
						by_status ? "store_v2_orders" : "store_v2_transactions", result);
	else if (status == 200 || status == 201)
		judge_accepted(inquiry, answer, result);
	else if (status == 404 || status == 405 || status == 501)
		judge_missing(inquiry, answer, result);
	else
		judge_other(inquiry, answer, result);
}

/*
 * A certificate stops the store only if nothing was sent: an error that comes
 * later leaves the outcome unknown, and that weighs more.
 */
static bool
stops_store(const HttpAnswer *answer)
{
	int			status = answer->status;

	return status == 401 || status == 403 || (status >= 300 && status < 400) ||
		(answer->refused && answer->not_sent);
}

/* The status says "taken"; what stands in the body says by what, if it is whole. */
static void
judge_accepted(BcInquiry *inquiry, const HttpAnswer *answer, BcResult *result)
{
	if (answer->error != NULL)
	{
		bc_verdict_set(result, BC_UNKNOWN, "the answer to the capture was cut off");
		bc_reason_append(result->reason, sizeof(result->reason), answer, inquiry->store->token);
	}
	else if (answer->body_length == 0)
		bc_verdict_set(result, BC_TAKEN, "the store took the capture, and says no more");
	else if (bc_request_is_by_status(inquiry->store))
		judge_put(inquiry, answer, result);
	else
		judge_posted(inquiry, answer, result);
}

/* The shape of this answer is undocumented: only our marker in it proves anything. */
static void
judge_posted(BcInquiry *inquiry, const HttpAnswer *answer, BcResult *result)
{
	bool		readable;
	BcSeen	   *seen = &inquiry->seen;

	result->conclusive = bc_remote_captured(answer->body, answer->body_length,
											inquiry->order->remote_order_id, inquiry->store,
											inquiry->order->marker, &readable, seen);
	if (result->conclusive)
	{
		bc_verdict_set(result, BC_TAKEN, "the store recorded the capture");
		bc_text_append(result->transaction_id, sizeof(result->transaction_id), "%s", seen->id);
	}
	else if (readable && seen->ours_not_ok == 0)
		bc_verdict_set(result, BC_TAKEN, "the store took the capture, without showing our marker");
	else if (readable)
		bc_verdict_set(result, BC_UNKNOWN, "the store recorded the capture, but not as successful");
	else
		bc_verdict_set(result, BC_UNKNOWN, "the answer to the capture cannot be read");
}

/* The answer is the order.  A status that we asked for is what we wanted, marked or not. */
static void
judge_put(BcInquiry *inquiry, const HttpAnswer *answer, BcResult *result)
{
	BcRemoteOrder *remote = &inquiry->remote;
	int			wanted = bc_request_status_wanted(inquiry->look);

	if (!bc_remote_order(answer->body, answer->body_length, inquiry->order->remote_order_id,
						 inquiry->store, inquiry->order->marker, remote))
		bc_verdict_set(result, BC_UNKNOWN, "the answer to the status change cannot be read");
	else if (remote->status_id != wanted)
		bc_verdict_set(result, BC_UNKNOWN, "the order shows status %d after it was set to %d",
					   remote->status_id, wanted);
	else
	{
		bc_verdict_set(result, BC_TAKEN, "the store set the order's status to %d", wanted);
		result->conclusive = true;
		result->status_id = remote->status_id;
	}
}

/*
 * The order was there a moment ago: so it is the way that is missing.
 *
 * A PUT on an order is documented, so its 404 means that the order went away
 * after the look.
 */
static void
judge_missing(BcInquiry *inquiry, const HttpAnswer *answer, BcResult *result)
{
	bool		by_status = bc_request_is_by_status(inquiry->store);

	if (by_status && answer->status == 404)
		bc_verdict_set(result, BC_LOOK_AGAIN, "the order is gone");
	else if (!by_status && inquiry->store->strategy == BC_BY_TRANSACTION_THEN_STATUS)
		bc_verdict_set(result, BC_NO_WAY_A, "the store takes no transactions");
	else
		bc_verdict_set(result, BC_REFUSED, by_status ? "the store takes no status change" :
					   "the store takes no transactions");
	bc_reason_append(result->reason, sizeof(result->reason), answer, inquiry->store->token);
}

/* 429 is NOT_SENT, because throttled requests are turned away before they are read. */
static void
judge_other(BcInquiry *inquiry, const HttpAnswer *answer, BcResult *result)
{
	int			status = answer->status;

	if (answer->not_sent)
		bc_verdict_set(result, BC_NOT_SENT, "nothing was sent");
	else if (status == 429)
		bc_verdict_set(result, BC_NOT_SENT, "the store asks to slow down");
	else if (status == 409 || status == 423)
		bc_verdict_set(result, BC_LOOK_AGAIN, "the order is in use at the store");
	else if (is_rejection(status))
		bc_verdict_set(result, BC_REFUSED, "the store refused the capture");
	else
		bc_verdict_set(result, BC_UNKNOWN, "it is not known whether the store took the capture");
	bc_reason_append(result->reason, sizeof(result->reason), answer, inquiry->store->token);
}

/* 408, 425 and 499 say that somebody between gave up, not what the store did. */
static bool
is_rejection(int status)
{
	return status >= 400 && status < 499 && status != 408 && status != 425;
}
