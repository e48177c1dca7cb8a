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
#include "utils/timestamp.h"

#include "capture.h"
#include "claim.h"
#include "guc.h"
#include "job.h"
#include "order.h"
#include "pace.h"
#include "queue.h"
#include "settle.h"
#include "wake.h"
#include "work.h"

#define CANDIDATES_AT_ONCE	5000
#define SWEEP_AT_ONCE		20000	/* order ids */
#define PRUNE_AT_ONCE		5000	/* rows, after each sweep */
#define NO_ROOM_PAUSE_MS	1000
#define SETTLE_RETRY_MS		1000
#define LOOK_FRESH_MS		5000	/* a write rests on a look no older than this */

static bool sweep_is_due = false;
static WorkPatience judging;
static WorkPatience sweeping;
static bool has_news = true;	/* at the start, look what is there */

/* prototypes of private functions */
static void recover(void *arg);
static bool settle_results(void);
static bool choose_results(void);
static void settle_together(void *arg);
static void settle_test(Job *job);
static void settle_job(Job *job);
static bool is_fresh(const Job *job);
static void settle_read_back(Job *job);
static void write_store(const Job *job, const SettleStore *store);
static void grant_intents(Job **wishing, int n);
static void advance(Job *job, WorkResult committed);
static void do_not_send(Job *job);
static TimestampTz next_round(void);
static void judge_news(void);
static void ask_sweep(void *arg);
static void take_candidates(void *more);
static void sweep_slice(void *more);
static void prune(void *arg);

bool
capture_recover(void)
{
	return work_run("recovering captures", recover, NULL) != WORK_FAILED;
}

static void
recover(void *arg)
{
	queue_recover(bcpaid_request_timeout + bcpaid_settle_time);
}

int
capture_in_flight(void)
{
	return job_count;
}

/*
 * Answers are settled last: the write that an intent allows leaves with the
 * next look at the sockets, not after somebody else's orders.
 */
TimestampTz
capture_round(bool news, bool may_claim)
{
	bool		more;

	has_news |= news;
	more = order_apply_due(job_count > 0);
	judge_news();
	if (may_claim)
		claim_due();
	job_collect();
	more |= settle_results();
	return more ? GetCurrentTimestamp() : next_round();
}

/* When there is something to do again, by the clock. */
static TimestampTz
next_round(void)
{
	static WorkPatience patience;
	ClaimNext	next = {.at = DT_NOEND};
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz at = job_next_ready();

	if (work_try(&patience, "looking what is due next", claim_next_due, &next) == WORK_FAILED)
		return Min(at, patience.not_before);
	sweep_is_due = next.sweep;

	/* What a prepared transaction noted comes without a wake-up. */
	if (next.news && !has_news)
		at = Min(at, TimestampTzPlusMilliseconds(now, NO_ROOM_PAUSE_MS));
	if (has_news || next.news)
		at = Min(at, Max(has_news ? now : at, judging.not_before));
	has_news |= next.news;
	if (sweep_is_due)
		at = Min(at, Max(now, sweeping.not_before));

	/* Due and not claimed: its store has no room, or somebody holds its row. */
	if (next.at <= now)
		next.at = Min(pace_next_room(),
					  TimestampTzPlusMilliseconds(now, NO_ROOM_PAUSE_MS));
	return Min(at, next.at);
}

/* ---- what stores answered ---- */

/*
 * Write down what was answered, in one transaction for all jobs that wait for
 * it; if that fails, one by one, so that one bad row stops nobody else.
 */
static bool
settle_results(void)
{
	dlist_mutable_iter iter;
	WorkResult	together;

	if (!choose_results())
		return false;
	together = work_run("settling", settle_together, NULL);

	dlist_foreach_modify(iter, &job_list)
	{
		Job		   *job = dlist_container(Job, node, iter.cur);
		WorkResult	result = together;

		if (!job->is_chosen)
			continue;
		if (result == WORK_FAILED)
			result = work_run("settling", settle_together, job);
		if (result == WORK_FAILED)
			job->not_before = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
														  SETTLE_RETRY_MS);
		else
			advance(job, result);
	}
	return true;
}

/* Once for the round: a job that gets ready meanwhile was not written down. */
static bool
choose_results(void)
{
	bool		any = false;
	dlist_iter	iter;

	dlist_foreach(iter, &job_list)
	{
		Job		   *job = dlist_container(Job, node, iter.cur);

		job->is_chosen = job_is_ready(job);
		any |= job->is_chosen;
	}
	return any;
}

/* `arg`: one job, or NULL for all that were chosen. */
static void
settle_together(void *arg)
{
	Job	  **wishing = palloc(sizeof(Job *) * Max(job_count, 1));
	int			n = 0;
	dlist_iter	iter;

	dlist_foreach(iter, &job_list)
	{
		Job		   *job = dlist_container(Job, node, iter.cur);

		if (!job->is_chosen || (arg != NULL && job != arg))
			continue;
		if (job->is_test)
			settle_test(job);
		else if (job->is_settled)
			settle_read_back(job);
		else
			settle_job(job);
		if (job->step == SETTLE_INTEND)
			wishing[n++] = job;
	}
	if (n > 0)
		grant_intents(wishing, n);
}

static void
settle_test(Job *job)
{
	job->step = SETTLE_MOVE;
	queue_tested(job->claim.store.id, job->result.verdict == BC_OK, job->result.reason);
}

static void
settle_job(Job *job)
{
	QueueMove	move;
	SettleStore store;

	queue_attempt(job->claim.id, &job->result);
	job->step = settle_decide(&job->claim, &job->look, &job->result, job->asked_at,
							  &move, &store);
	if (job->step == SETTLE_INTEND && !is_fresh(job))
		job->step = SETTLE_LOOK;
	write_store(job, &store);
	if ((job->step == SETTLE_MOVE || job->step == SETTLE_READ_BACK) &&
		!queue_settle(&move))
		job->step = SETTLE_MOVE;	/* a person moved it meanwhile */
}

/*
 * Something kept us from writing down what was seen (a row that somebody
 * held): meanwhile a person may have captured the order at the store.
 */
static bool
is_fresh(const Job *job)
{
	return GetCurrentTimestamp() < TimestampTzPlusMilliseconds(job->ended_at, LOOK_FRESH_MS);
}

/*
 * Was what we settled really there, and did the order's status follow?  An
 * answer that could not be had says nothing; whatever else is not both, is told.
 */
static void
settle_read_back(Job *job)
{
	SettleStore store = {.detail = job->result.reason};
	BcVerdict	verdict = job->result.verdict;

	job->step = SETTLE_MOVE;
	queue_attempt(job->claim.id, &job->result);
	if (verdict == BC_WAIT || verdict == BC_STOP_STORE)
		return;
	if (verdict == BC_TAKEN && job->result.status_follows)
		store.condition = "read_back";
	else
	{
		store.condition = "warning";
		queue_warn(job->claim.id, job->result.reason);
	}
	write_store(job, &store);
}

static void
write_store(const Job *job, const SettleStore *store)
{
	int			id = job->claim.store.id;

	if (store->condition == NULL)
		return;
	if (queue_store(id, store->condition, store->detail, store->delay_ms))
		ereport(LOG,
				(errmsg("bcpaid stopped store %d: %s", id, store->detail),
				 errhint("Set a valid token with bcpaid.set_token(), then run SELECT bcpaid.resume(%d).", id)));
}

/* The last word on every write: is it still right, and may it be made from here? */
static void
grant_intents(Job **wishing, int n)
{
	QueueWish  *wishes = palloc(sizeof(QueueWish) * n);

	for (int i = 0; i < n; i++)
	{
		wishes[i].id = wishing[i]->claim.id;
		wishes[i].odoo_amount = wishing[i]->claim.order.amount;
		wishes[i].amount = wishing[i]->result.amount;
		wishes[i].currency = wishing[i]->result.currency;
	}
	queue_intend(wishes, n);
	for (int i = 0; i < n; i++)
	{
		if (!wishes[i].granted)
			wishing[i]->step = SETTLE_MOVE;
	}
}

/* The transaction has committed: what it allowed may be done. */
static void
advance(Job *job, WorkResult committed)
{
	job->has_ended = false;
	switch (job->step)
	{
		case SETTLE_INTEND:
			job->look = job->result;
			if (committed == WORK_DONE)
				job_converse(job, BC_SEND);
			else
				do_not_send(job);
			break;
		case SETTLE_LOOK:
			job_converse(job, BC_LOOK);
			break;
		case SETTLE_READ_BACK:
			job->is_settled = true;
			if (pace_has_room(job->claim.store.id))
				job_converse(job, BC_READ_BACK);
			else
				job_drop(job);	/* another capture's will do */
			break;
		case SETTLE_MOVE:
			job_drop(job);
			break;
	}
}

/*
 * The intent is committed here, but no standby confirmed it: after a failover
 * nobody would know of it.  Its outcome is settled by a look, like any other.
 */
static void
do_not_send(Job *job)
{
	job->result.purpose = BC_SEND;
	job->result.verdict = BC_UNKNOWN;
	strlcpy(job->result.reason, "not sent: no standby confirmed the intent in time",
			BC_REASON_MAX);
	job->has_ended = true;
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
	if (has_news &&
		work_try(&judging, "judging candidates", take_candidates, &more) != WORK_FAILED)
		has_news = more;
	if (sweep_is_due &&
		work_try(&sweeping, "sweeping", sweep_slice, &sweep_is_due) != WORK_FAILED &&
		!sweep_is_due)
		(void) work_run("pruning history", prune, NULL);
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
	*(bool *) more = queue_take_candidates(CANDIDATES_AT_ONCE);
}

static void
sweep_slice(void *more)
{
	*(bool *) more = queue_sweep(SWEEP_AT_ONCE);
}

static void
prune(void *arg)
{
	(void) queue_prune(PRUNE_AT_ONCE);
}
