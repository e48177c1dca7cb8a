/*-------------------------------------------------------------------------
 *
 * capture.c
 *	  Take orders from "eligible" to "Captured in Odoo".
 *
 * In shell, for one order, this would be
 *
 *	  psql -c "claim it" && curl $store/order && psql -c "about to send" &&
 *	  curl -X POST $store/capture && psql -c "settle it" && psql -c "Captured"
 *
 * with three differences.  Many orders go through it side by side: each is a
 * Job, and a round moves every job whose conversation has ended by one step,
 * in one transaction for all.  "About to send" is committed, and durable,
 * before the store is written to; a crash after it leads to a look, never to
 * a second write.  And no transaction is open while a store is asked.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "capture.h"
#include "claim.h"
#include "clock.h"
#include "guc.h"
#include "job.h"
#include "order.h"
#include "queue.h"
#include "results.h"
#include "stop.h"
#include "wake.h"
#include "work.h"

#define CANDIDATES_AT_ONCE	5000
#define SWEEP_AT_ONCE		20000	/* order ids */
#define PRUNE_AT_ONCE		5000	/* rows, after each sweep */
#define HELD_ROW_PAUSE_MS	1000
#define LOOK_AGAIN_MS		1000
#define ASK_MS				1000	/* what else is due is asked so often
									 * while there is always something to do */

static bool sweep_is_due = false;
static TimestampTz judged_at = 0;
static TimestampTz look_again_at = DT_NOEND;	/* for candidates that were
												 * left */
static TimestampTz ask_at = 0;	/* see ASK_MS */
static TimestampTz claim_at = 0;	/* when something may be claimed, and */
static TimestampTz apply_at = 0;	/* applied; 0: now, or not known */
static TimestampTz claim_again_at = DT_NOEND;	/* for a claim that failed, or
												 * had no room */
static WorkPatience judging;
static WorkPatience sweeping;
static int64 clock_seen = 0;	/* clock_offset(), as last acted upon */
static bool has_news = true;	/* at the start, look what is there */

/* prototypes of private functions */
static void recover(void *arg);
static void mend_times(void *arg);
static void watch_clock(void);
static TimestampTz next_round(void);
static TimestampTz later(TimestampTz due, TimestampTz now);
static void judge_news(void);
static void ask_sweep(void *arg);
static void take_candidates(void *more);
static void sweep_slice(void *more);
static bool with_care(bool (*judge) (int), int *at_once, int most);
static void prune(void *arg);

bool
capture_recover(void)
{
	stop_point("recover.begin");
	return work_run("recovering captures", recover, NULL) != WORK_FAILED;
}

static void
recover(void *arg)
{
	clock_seen = clock_offset();
	mend_times(arg);
	queue_recover(bcpaid_request_timeout + bcpaid_settle_time);
	stop_point("recover.done");
}

static void
mend_times(void *arg)
{
	int			late = queue_mend_times();

	if (late > 0)
		ereport(LOG,
				(errmsg("the system's clock was set back: bcpaid goes on at once with %d captures", late)));
}

/* What waits in memory goes by a clock that nobody sets; what waits in tables does not. */
static void
watch_clock(void)
{
	int64		ahead = clock_offset() - clock_seen;

	if (ahead > CLOCK_SET_US ||
		(ahead < -CLOCK_SET_US &&
		 work_run("mending times", mend_times, NULL) != WORK_FAILED))
		clock_seen += ahead;
}

int
capture_in_flight(void)
{
	return job_count;
}

/*
 * Answers are settled last: the write that an intent allows leaves at once,
 * not after somebody else's orders.  What is not due is not asked for, and
 * what news may have made due is applied in the next round: before it comes
 * the request of a payment made just now.
 */
TimestampTz
capture_round(bool news, bool may_claim)
{
	bool		woken = news || clock_now() >= look_again_at;
	bool		more = false;
	bool		judges;
	TimestampTz next;

	watch_clock();
	has_news |= woken;
	if (clock_now() >= apply_at)
		more = order_apply_due(job_count > 0);
	if (woken)
	{
		apply_at = claim_at = 0;
		look_again_at = DT_NOEND;
		more = true;
	}
	judges = has_news || sweep_is_due;
	judge_news();
	if (may_claim && clock_now() >= claim_at)
	{
		claim_again_at = claim_due(judges);
		job_push();
	}
	job_collect();
	if (results_settle())
	{
		job_push();
		apply_at = claim_at = 0;
		more = true;
	}
	if (more && clock_now() < ask_at)
		return clock_now();
	next = next_round();
	return more ? clock_now() : next;
}

/* When there is something to do again, by the clock. */
static TimestampTz
next_round(void)
{
	static WorkPatience patience;
	QueueNext	next = {.due = DT_NOEND,.apply = DT_NOEND};
	TimestampTz now = clock_now();
	TimestampTz at = job_next_ready();
	int64		offset = Max(clock_seen, clock_offset());

	ask_at = TimestampTzPlusMilliseconds(now, ASK_MS);
	if (work_try(&patience, "looking what is due next", claim_next_due, &next) == WORK_FAILED)
		return Min(at, patience.not_before);

	/*
	 * Written before the clock was set or after: the earlier of both, and the
	 * next round knows better.
	 */
	claim_at = clock_of(next.due, offset);
	if (claim_at <= now && claim_at < claim_again_at && claim_again_at != DT_NOEND)
		claim_at = claim_again_at;
	apply_at = clock_of(next.apply, offset);
	sweep_is_due = next.sweep;

	/*
	 * Put back because a person holds a row, or of a prepared transaction,
	 * which wakes nobody.
	 */
	look_again_at = DT_NOEND;
	if (next.news && !has_news)
		look_again_at = TimestampTzPlusMilliseconds(judged_at, LOOK_AGAIN_MS);
	if (has_news)
		at = Min(at, Max(now, judging.not_before));
	at = Min(at, look_again_at);
	if (sweep_is_due)
		at = Min(at, Max(now, sweeping.not_before));

	/*
	 * Due and not claimed: somebody holds its row.  Or its store has no room
	 * until a conversation ends, which wakes us.
	 */
	return Min(at, Min(later(claim_at, now), later(apply_at, now)));
}

static TimestampTz
later(TimestampTz due, TimestampTz now)
{
	return due <= now ? TimestampTzPlusMilliseconds(now, HELD_ROW_PAUSE_MS) : due;
}

/* ---- what Odoo changed ---- */

/*
 * If a transaction fails, what was not judged is still there.  A note that
 * was lost is forgotten only when the sweep for it is written down.
 */
static void
judge_news(void)
{
	bool		more = false;

	if (wake_has_missed() &&
		work_try(&sweeping, "asking for a sweep", ask_sweep, NULL) != WORK_FAILED)
	{
		wake_clear_missed();
		sweep_is_due = true;
	}
	stop_point("judge.begin");
	if (has_news &&
		work_try(&judging, "judging candidates", take_candidates, &more) != WORK_FAILED)
	{
		has_news = more;
		claim_at = 0;
		judged_at = clock_now();
		stop_point("judge.committed");
	}
	if (sweep_is_due &&
		work_try(&sweeping, "sweeping", sweep_slice, &sweep_is_due) != WORK_FAILED)
	{
		claim_at = 0;
		if (!sweep_is_due)
			(void) work_run("pruning history", prune, NULL);
	}
}

static void
ask_sweep(void *arg)
{
	queue_ask_sweep();
}

/* Until none is left: what is added meanwhile comes with a wake-up of its own. */
static void
take_candidates(void *more)
{
	static int	at_once = CANDIDATES_AT_ONCE;

	work_may_be_lost();			/* they are candidates still */
	*(bool *) more = with_care(queue_take_candidates, &at_once, CANDIDATES_AT_ONCE);
	stop_point("judge.done");
}

static void
sweep_slice(void *more)
{
	static int	at_once = SWEEP_AT_ONCE;

	*(bool *) more = with_care(queue_sweep, &at_once, SWEEP_AT_ONCE);
}

/*
 * What takes longer than a transaction may would fail again each time: so,
 * unless this comes to its end, fewer the next time; and more again after it.
 */
static bool
with_care(bool (*judge) (int), int *at_once, int most)
{
	int			now = *at_once;
	bool		more;

	*at_once = Max(now / 4, 1);
	more = judge(now);
	*at_once = Min(now * 2, most);
	return more;
}

static void
prune(void *arg)
{
	(void) queue_prune(PRUNE_AT_ONCE);
}
