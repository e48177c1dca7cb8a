/*-------------------------------------------------------------------------
 *
 * settle.c
 *	  What follows from what a store said: one rule for each verdict.
 *
 * The rule that matters most is absent_after_send(): when a second write is
 * allowed after one whose outcome is not known.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "guc.h"
#include "pace.h"
#include "settle.h"
#include "reserve.h"

#define AGREEING_READS	2		/* before a second write */
#define READ_BACK_EVERY 100		/* captures of a store, after its first */
#define CLOSED_RETRY_MS 60000	/* look again at a switch that is off */
#define NOT_SHOWN "the store said that it recorded the capture, but does not show it"

/* States from which a conversation's result moves a capture. */
#define FROM_CLAIMED	"claimed"
#define FROM_SENDING	"sending"
#define FROM_UNKNOWN	"unknown"

/* prototypes of private functions */
static SettleStep after_look(const QueueClaim *claim, const BcResult *result, QueueMove *move);
static SettleStep after_unknown(const QueueClaim *claim, const BcResult *result,
								TimestampTz asked_at, QueueMove *move);
static SettleStep absent_after_send(const QueueClaim *claim, TimestampTz asked_at,
									QueueMove *move);
static bool is_too_early(const QueueClaim *claim, TimestampTz asked_at, int more_ms,
						 QueueMove *move);
static SettleStep held(QueueMove *move, const char *reason);
static SettleStep after_send(const QueueClaim *claim, const BcResult *look,
							 const BcResult *result, QueueMove *move);
static void after_refused_way(const QueueClaim *claim, QueueMove *move);
static bool may_write(QueueMove *move);
static void captured(const BcResult *result, QueueMove *move);
static void try_again(const QueueClaim *claim, const BcResult *result, QueueMove *move);
static bool is_stores_fault(const QueueClaim *claim, const BcResult *result);
static void judge_store(const QueueClaim *claim, const BcResult *result, SettleStore *store);

SettleStep
settle_decide(const QueueClaim *claim, const BcResult *look, const BcResult *result,
			  TimestampTz asked_at, QueueMove *move, SettleStore *store)
{
	SettleStep	step;

	memset(move, 0, sizeof(*move));
	memset(store, 0, sizeof(*store));
	move->id = claim->id;
	move->reason = result->reason[0] != '\0' ? result->reason : NULL;
	judge_store(claim, result, store);
	settle_quota(claim, result, store);

	if (result->purpose == BC_SEND)
	{
		move->from_state = FROM_SENDING;
		step = after_send(claim, look, result, move);
	}
	else if (claim->unknown)
	{
		move->from_state = FROM_UNKNOWN;
		step = after_unknown(claim, result, asked_at, move);
	}
	else
	{
		move->from_state = FROM_CLAIMED;
		step = after_look(claim, result, move);
	}

	/* Not before its store, and after what is new by then. */
	if (move->delay_ms > 0)
		move->delay_ms = Max(move->delay_ms, store->delay_ms);
	return step;
}

static SettleStep
after_look(const QueueClaim *claim, const BcResult *result, QueueMove *move)
{
	switch (result->verdict)
	{
		case BC_GO:
			if (claim->answered && strstr(claim->order.approved, NOT_SHOWN) == NULL)
				return held(move, NOT_SHOWN);	/* nobody approved of that */
			return may_write(move) ? SETTLE_INTEND : SETTLE_MOVE;
		case BC_TAKEN:
		case BC_TAKEN_BY_OTHER:
			captured(result, move);
			break;
		case BC_HELD:
			move->to_state = "held";
			break;
		case BC_REFUSED:
			move->to_state = "refused";
			break;
		case BC_NOT_OURS:
			move->to_state = "not_ours";
			break;
		case BC_STOP_STORE:
			move->to_state = "queued";	/* goes on when the store is resumed */
			break;
		default:
			try_again(claim, result, move);
			break;
	}
	return SETTLE_MOVE;
}

/*
 * After a write of unknown outcome, first what is there is read (BC_READ_BACK);
 * only if nothing is, the order is looked at as before a first write (BC_LOOK).
 * Whatever else the store says is for a person: money may have been recorded.
 * But not before two reads could agree: after a person's retry, one look leads
 * to a write.
 */
static SettleStep
after_unknown(const QueueClaim *claim, const BcResult *result, TimestampTz asked_at,
			  QueueMove *move)
{
	switch (result->verdict)
	{
		case BC_GO:
			if (result->purpose == BC_READ_BACK)
				return absent_after_send(claim, asked_at, move);
			if (may_write(move))
				return SETTLE_INTEND;
			move->to_state = "unknown";
			break;
		case BC_TAKEN:
		case BC_TAKEN_BY_OTHER:
			captured(result, move);
			break;
		case BC_HELD:
		case BC_REFUSED:
		case BC_NOT_OURS:
			move->reason = psprintf("sent before, outcome not known; now: %s", result->reason);
			if (!is_too_early(claim, asked_at, bcpaid_settle_time, move))
				return held(move, move->reason);
			break;
		default:
			if (result->verdict != BC_STOP_STORE)
				try_again(claim, result, move);
			move->to_state = "unknown"; /* it is never given up unread */
			move->reason = result->reason;
			break;
	}
	return SETTLE_MOVE;
}

/*
 * Our marker is not there.  A read counts only once the request cannot be on
 * its way any more and the store's reads have caught up; two that agree,
 * settle_time apart, allow a second write; unless the store had said yes.
 */
static SettleStep
absent_after_send(const QueueClaim *claim, TimestampTz asked_at, QueueMove *move)
{
	move->reason = "sent, outcome not known; not there yet";
	if (is_too_early(claim, asked_at, 0, move))
		return SETTLE_MOVE;
	if (claim->absent_reads + 1 < AGREEING_READS)
	{
		move->absent = true;
		move->reason = "sent, outcome not known; one read did not find it";
		move->delay_ms = bcpaid_settle_time;
		return SETTLE_MOVE;
	}
	if (claim->answered)
		return held(move, NOT_SHOWN);
	if (claim->sends >= bcpaid_max_attempts)
		return held(move, psprintf("sent %d times, and never there", claim->sends));
	return SETTLE_LOOK;
}

/* Then it stays unknown, until a read counts; so long at most: the system's clock may have been set back since. */
static bool
is_too_early(const QueueClaim *claim, TimestampTz asked_at, int more_ms, QueueMove *move)
{
	int64		wait_ms = (int64) bcpaid_request_timeout + bcpaid_settle_time + more_ms;
	TimestampTz counts_from = Max(claim->sent_at, reserve_server_start()) + wait_ms * 1000;

	move->to_state = "unknown";
	if (asked_at >= counts_from)
		return false;
	move->delay_ms = Min(Max(counts_from - GetCurrentTimestamp(), 0) / 1000, wait_ms) + 1;
	return true;
}

static SettleStep
held(QueueMove *move, const char *reason)
{
	move->to_state = "held";
	move->reason = reason;
	return SETTLE_MOVE;
}

static SettleStep
after_send(const QueueClaim *claim, const BcResult *look, const BcResult *result,
		   QueueMove *move)
{
	switch (result->verdict)
	{
		case BC_TAKEN:
			if (!result->conclusive)
			{
				/* It did not show us what it took: see for ourselves. */
				move->to_state = "unknown";
				move->answered = true;
				break;
			}
			captured(result, move);
			move->amount = look->amount;
			move->currency = look->currency;
			if (!claim->read_back || claim->id % READ_BACK_EVERY == 0)
				return SETTLE_READ_BACK;
			break;
		case BC_REFUSED:
		case BC_HELD:
		case BC_NOT_OURS:
			move->to_state = "refused";
			break;
		case BC_NO_WAY_A:
			after_refused_way(claim, move);
			break;
		case BC_STOP_STORE:		/* a redirect does not say what was done */
			move->to_state = result->status / 100 == 3 ? "unknown" : "queued";
			break;
		case BC_NOT_SENT:
		case BC_LOOK_AGAIN:
			try_again(claim, result, move);
			break;
		default:
			move->to_state = "unknown";
			move->delay_ms = pace_backoff_ms(0);
			break;
	}
	return SETTLE_MOVE;
}

static void
after_refused_way(const QueueClaim *claim, QueueMove *move)
{
	bool		has_way_b = claim->store.strategy == BC_BY_TRANSACTION_THEN_STATUS;

	/* Queued, the next look leads to it. */
	move->to_state = has_way_b && !claim->store.no_transactions ? "queued" : "refused";
}

/* Is anything here in the way of writing to a store?  Then wait. */
static bool
may_write(QueueMove *move)
{
	int			silent_ms = reserve_silence_ms(&move->reason);

	move->to_state = "waiting";
	move->delay_ms = CLOSED_RETRY_MS;
	if (!bcpaid_enabled)
		move->reason = "bcpaid.enabled is off";
	else if (bcpaid_dry_run)
		move->reason = "bcpaid.dry_run is on: would be captured";
	else if (silent_ms > 0)
		move->delay_ms = silent_ms;
	else
		return true;
	return false;
}

static void
captured(const BcResult *result, QueueMove *move)
{
	move->to_state = "captured";
	move->captured_by = result->verdict == BC_TAKEN ? "bcpaid" : "somebody else";
	if (result->transaction_id[0] != '\0')
		move->transaction_id = result->transaction_id;
	if (result->verdict == BC_TAKEN && result->purpose == BC_SEND)
		move->reason = NULL;
}

/*
 * Not now.  What is the store's fault delays the store, and does not count
 * against the capture.
 */
static void
try_again(const QueueClaim *claim, const BcResult *result, QueueMove *move)
{
	move->to_state = "waiting";
	move->delay_ms = result->retry_ms > 0 ? result->retry_ms : pace_backoff_ms(claim->failures);
	if (result->requests == 0 || is_stores_fault(claim, result))
		return;

	move->failed = true;
	if (claim->failures + 1 >= bcpaid_max_attempts)
		(void) held(move, psprintf("gave up after %d tries: %s",
								   claim->failures + 1, result->reason));
}

/*
 * An order that fails again although its store has answered others since is
 * at fault itself: it must neither hold up its store for ever nor be tried
 * for ever.
 */
static bool
is_stores_fault(const QueueClaim *claim, const BcResult *result)
{
	return result->throttled || (result->store_unwell && !claim->alone);
}

static void
judge_store(const QueueClaim *claim, const BcResult *result, SettleStore *store)
{
	store->detail = result->reason;
	if (result->verdict == BC_STOP_STORE)
		store->condition = "stop";
	else if (result->verdict == BC_NO_WAY_A)
		store->condition = "no_transactions";
	else if (result->purpose == BC_LOOK && result->verdict == BC_REFUSED &&
			 result->status == 404 && result->requests == 1 && claim->sends > 0)
		store->condition = "transactions";	/* the 404 before was of the order */
	else if (result->throttled && result->retry_ms > 0)
		store->condition = "full";	/* settle_quota says until when */
	else if (is_stores_fault(claim, result))
	{
		store->condition = "unwell";
		store->delay_ms = result->retry_ms > 0 ? result->retry_ms :
			pace_backoff_ms(claim->store_failures);
	}
	else if (claim->store_failures > 0 && result->requests > 0 && !result->store_unwell)
		store->condition = "well";
	else if (result->purpose == BC_SEND && result->verdict == BC_TAKEN)
		store->condition = "success";	/* it may be older than a failure */
}

void
settle_quota(const QueueClaim *claim, const BcResult *result, SettleStore *store)
{
	int			full_ms = pace_used_up_ms(result, claim->quota_reserve);

	if (result->throttled)
		full_ms = Max(full_ms, result->retry_ms);
	if (full_ms > 0 && store->condition == NULL)
		store->condition = "full";
	store->delay_ms = Max(store->delay_ms, full_ms);
}
