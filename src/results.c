/*-------------------------------------------------------------------------
 *
 * results.c
 *	  What stores answered: write it down, and take the next step.
 *
 * What follows from an answer is for settle.c to say.  Here it is committed,
 * and only then done: in particular, a write to a store begins when the intent
 * to make it is durable, and never before.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "clock.h"
#include "job.h"
#include "pace.h"
#include "queue.h"
#include "results.h"
#include "settle.h"
#include "stop.h"
#include "work.h"

#define SETTLE_RETRY_MS		1000
#define LOOK_FRESH_MS		5000	/* a write rests on a look no older than
									 * this */

/* What one transaction writes down, in as few statements as can be. */
typedef struct Batch
{
	Job		  **movers;			/* whose the moves are */
	QueueMove  *moves;
	int			nmoves;
	QueueAttempt *attempts;
	int			nattempts;
} Batch;

/* prototypes of private functions */
static bool choose_results(void);
static void settle_together(void *arg);
static void settle_test(Job *job);
static void settle_job(Job *job, Batch *batch);
static void keep_attempt(const Job *job, Batch *batch);
static bool is_fresh(const Job *job);
static void settle_read_back(Job *job, Batch *batch);
static void move(Batch *batch);
static void write_store(const Job *job, const SettleStore *store);
static bool is_no_news(int store_id, const SettleStore *store);
static void grant_intents(const Job *only);
static void advance(Job *job, WorkResult committed);
static void do_not_send(Job *job);

/*
 * Write down what was answered, in one transaction for all jobs that wait for
 * it; if that fails, one by one, so that one bad row stops nobody else.
 */
bool
results_settle(void)
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
			job->not_before = TimestampTzPlusMilliseconds(clock_now(),
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
	Batch		batch = {
		.movers = palloc(sizeof(Job *) * Max(job_count, 1)),
		.moves = palloc(sizeof(QueueMove) * Max(job_count, 1)),
		.attempts = palloc(sizeof(QueueAttempt) * Max(job_count, 1)),
	};
	dlist_iter	iter;

	dlist_foreach(iter, &job_list)
	{
		Job		   *job = dlist_container(Job, node, iter.cur);

		if (!job->is_chosen || (arg != NULL && job != arg))
			continue;
		if (job->is_test)
			settle_test(job);
		else if (job->is_settled)
			settle_read_back(job, &batch);
		else
			settle_job(job, &batch);
	}
	queue_attempt(batch.attempts, batch.nattempts);
	move(&batch);
	grant_intents(arg);
}

/* What a person moved meanwhile stays where it is, and is not read back. */
static void
move(Batch *batch)
{
	queue_settle(batch->moves, batch->nmoves);
	for (int i = 0; i < batch->nmoves; i++)
	{
		if (!batch->moves[i].moved)
			batch->movers[i]->step = SETTLE_MOVE;
		if (strcmp(batch->moves[i].to_state, "captured") != 0)
			pace_put_off(batch->movers[i]->claim.store.id);
	}
}

static void
settle_test(Job *job)
{
	job->step = SETTLE_MOVE;
	queue_tested(job->claim.store.id, job->result.verdict == BC_OK, job->result.reason);
}

static void
settle_job(Job *job, Batch *batch)
{
	QueueMove  *next = &batch->moves[batch->nmoves];
	SettleStore store;

	keep_attempt(job, batch);
	job->step = settle_decide(&job->claim, &job->look, &job->result, job->asked_at,
							  next, &store);
	if (job->step == SETTLE_INTEND && !is_fresh(job))
		job->step = SETTLE_LOOK;
	write_store(job, &store);
	if (job->step == SETTLE_MOVE || job->step == SETTLE_READ_BACK)
		batch->movers[batch->nmoves++] = job;
}

static void
keep_attempt(const Job *job, Batch *batch)
{
	batch->attempts[batch->nattempts].id = job->claim.id;
	batch->attempts[batch->nattempts++].result = &job->result;
}

/*
 * Something kept us from writing down what was seen (a row that somebody
 * held): meanwhile a person may have captured the order at the store.
 */
static bool
is_fresh(const Job *job)
{
	return clock_now() < TimestampTzPlusMilliseconds(job->ended_at, LOOK_FRESH_MS);
}

/*
 * Was what we settled really there, and did the order's status follow?  An
 * answer that could not be had says nothing; whatever else is not both, is told.
 */
static void
settle_read_back(Job *job, Batch *batch)
{
	SettleStore store = {.detail = job->result.reason};
	BcVerdict	verdict = job->result.verdict;

	job->step = SETTLE_MOVE;
	keep_attempt(job, batch);
	if (verdict == BC_TAKEN && job->result.status_follows)
	{
		store.condition = "read_back";
		job_was_read_back(job->claim.store.id);
	}
	else if (verdict != BC_WAIT && verdict != BC_STOP_STORE)
	{
		store.condition = "warning";
		queue_warn(job->claim.id, job->result.reason);
	}
	settle_quota(&job->claim, &job->result, &store);
	write_store(job, &store);
}

static void
write_store(const Job *job, const SettleStore *store)
{
	int			id = job->claim.store.id;

	if (store->condition == NULL || is_no_news(id, store))
		return;
	if (queue_store(id, job->claim.generation, store->condition, store->detail, store->delay_ms))
		ereport(LOG,
				(errmsg("bcpaid stopped store %d: %s", id, store->detail),
				 errhint("Set a valid token with bcpaid.set_token(), then run SELECT bcpaid.resume(%d).", id)));
}

/*
 * That a store does well is seldom written: people write to the same row, and
 * in a transaction of Odoo's they would fail if we did meanwhile.
 */
static bool
is_no_news(int store_id, const SettleStore *store)
{
	return strcmp(store->condition, "success") == 0 && store->delay_ms == 0 &&
		!pace_success_is_news(store_id);
}

/*
 * The last word on every write: is it still right, and may it be made from
 * here?  `only`: of one job, or NULL for all that were chosen.
 */
static void
grant_intents(const Job *only)
{
	QueueWish  *wishes = palloc(sizeof(QueueWish) * Max(job_count, 1));
	Job		  **wishing = palloc(sizeof(Job *) * Max(job_count, 1));
	int			n = 0;
	dlist_iter	iter;

	dlist_foreach(iter, &job_list)
	{
		Job		   *job = dlist_container(Job, node, iter.cur);

		if (!job->is_chosen || job->step != SETTLE_INTEND || (only != NULL && job != only))
			continue;
		wishing[n] = job;
		wishes[n].id = job->claim.id;
		wishes[n].odoo_amount = job->claim.order.amount;
		wishes[n].amount = job->result.amount;
		wishes[n++].currency = job->result.currency;
	}
	if (n > 0)
		queue_intend(wishes, n);
	for (int i = 0; i < n; i++)
	{
		if (!wishes[i].granted)
			wishing[i]->step = SETTLE_MOVE;
	}
	stop_point(n > 0 ? "intent.done" : "settle.done");
}

/* The transaction has committed: what it allowed may be done. */
static void
advance(Job *job, WorkResult committed)
{
	job->has_ended = false;
	stop_point(job->step == SETTLE_INTEND ? "intent.committed" : "settle.committed");
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
			if (!job_reads_back(job->claim.store.id) && pace_has_room(job->claim.store.id))
				job_read_back(job);
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
