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

#include "lib/ilist.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "bigcommerce.h"
#include "capture.h"
#include "guc.h"
#include "order.h"
#include "pace.h"
#include "queue.h"
#include "settle.h"
#include "wake.h"
#include "work.h"

#define CANDIDATES_AT_ONCE	5000
#define SWEEP_AT_ONCE		5000
#define IN_FLIGHT_MAX		512
#define FAILED_PAUSE_MS		2000	/* after a transaction of ours failed */
#define NO_ROOM_PAUSE_MS	1000

typedef struct Job
{
	dlist_node	node;
	MemoryContext context;		/* of the claim's strings and the job itself */
	QueueClaim	claim;
	BcResult	look;			/* what the write rests on */
	BcResult	result;			/* of the last conversation, if it has ended */
	bool		has_ended;
	bool		granted;		/* the intent is committed */
	bool		stays;			/* the settled capture is read back */
} Job;

static dlist_head jobs = DLIST_STATIC_INIT(jobs);
static int	job_count = 0;
static bool sweeping = false;
static bool has_news = true;	/* at the start, look what is there */
static bool may_send = false;
static char reported_problem[400];

typedef struct ClaimWork
{
	QueueClaim *claims;
	int			n;
} ClaimWork;

typedef struct NextDue
{
	TimestampTz at;
	bool		sweep;
} NextDue;

/* prototypes of private functions */
static void recover(void *arg);
static void collect_results(void);
static void settle_results(void);
static bool any_has_ended(void);
static void settle_together(void *arg);
static void settle_job(Job *job);
static void settle_read_back(Job *job);
static void write_store(const Job *job, const SettleStore *store);
static void grant_intents(Job **wishing, int n);
static void advance(Job *job, WorkResult committed);
static void converse(Job *job, BcPurpose purpose);
static void drop(Job *job);
static bool judge_news(void);
static void take_candidates(void *arg);
static void sweep_slice(void *arg);
static void claim_due(void);
static void claim_some(void *arg);
static void check_environment(void);
static void find_next_due(void *arg);
static Job *make_job(const QueueClaim *claim);
static char *copy(const char *text);
static void give_back(Job *job, BcVerdict verdict, const char *reason);

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

TimestampTz
capture_round(bool news, bool missed, bool may_claim)
{
	NextDue		next = {DT_NOEND, false};
	TimestampTz now;

	has_news |= news;
	sweeping |= missed;
	collect_results();
	settle_results();
	order_apply_due();
	if (!judge_news())
		return TimestampTzPlusMilliseconds(GetCurrentTimestamp(), FAILED_PAUSE_MS);
	if (may_claim && job_count < IN_FLIGHT_MAX)
		claim_due();

	if (work_run("looking what is due next", find_next_due, &next) == WORK_FAILED)
		next.at = 0;
	now = GetCurrentTimestamp();
	sweeping |= next.sweep;
	if (has_news || sweeping)
		return now;

	/* Due and not claimed: its store has no room, or somebody holds its row. */
	if (next.at <= now)
		next.at = Min(pace_next_room(),
					  TimestampTzPlusMilliseconds(now, NO_ROOM_PAUSE_MS));
	return next.at;
}

/* ---- what stores answered ---- */

static void
collect_results(void)
{
	void	   *tag;
	BcResult	result;

	while (bigcommerce_next(&tag, &result))
	{
		Job		   *job = tag;

		job->result = result;
		job->has_ended = true;
		pace_finished(job->claim.store.id, &result);
	}
}

/*
 * Write down what was answered, in one transaction for all jobs that wait for
 * it; if that fails, one by one, so that one bad row stops nobody else.
 */
static void
settle_results(void)
{
	dlist_mutable_iter iter;
	WorkResult	result;

	if (!any_has_ended())
		return;
	result = work_run("settling", settle_together, NULL);

	dlist_foreach_modify(iter, &jobs)
	{
		Job		   *job = dlist_container(Job, node, iter.cur);

		if (!job->has_ended)
			continue;
		if (result != WORK_FAILED)
			advance(job, result);
		else
		{
			WorkResult	alone = work_run("settling", settle_together, job);

			if (alone != WORK_FAILED)
				advance(job, alone);
		}
	}
}

static bool
any_has_ended(void)
{
	dlist_iter	iter;

	dlist_foreach(iter, &jobs)
	{
		if (dlist_container(Job, node, iter.cur)->has_ended)
			return true;
	}
	return false;
}

/* `arg`: one job, or NULL for all that have ended. */
static void
settle_together(void *arg)
{
	Job	  **wishing = palloc(sizeof(Job *) * Max(job_count, 1));
	int			n = 0;
	dlist_iter	iter;

	dlist_foreach(iter, &jobs)
	{
		Job		   *job = dlist_container(Job, node, iter.cur);

		if (!job->has_ended || (arg != NULL && job != arg))
			continue;
		job->granted = job->stays = false;
		queue_attempt(job->claim.id, &job->result);
		if (job->result.purpose == BC_READ_BACK)
			settle_read_back(job);
		else
			settle_job(job);
		if (job->granted)
			wishing[n++] = job;
	}
	if (n > 0)
		grant_intents(wishing, n);
}

static void
settle_job(Job *job)
{
	QueueMove	move;
	SettleStore store;
	SettleStep	step = settle_decide(&job->claim, &job->look, &job->result,
									 &move, &store);

	write_store(job, &store);
	if (step == SETTLE_INTEND)
		job->granted = true;	/* if grant_intents() agrees */
	else
		job->stays = queue_settle(&move) && step == SETTLE_READ_BACK;
}

/* The capture is settled: what is read now can only lead to a warning. */
static void
settle_read_back(Job *job)
{
	SettleStore store = {0};

	if (job->result.verdict == BC_TAKEN)
		store.condition = "read_back";
	if (job->result.verdict == BC_GO ||
		(job->result.verdict == BC_TAKEN && !job->result.status_follows))
	{
		store.condition = "warning";
		store.detail = job->result.reason;
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
	queue_store(id, store->condition, store->detail, store->delay_ms);
	if (strcmp(store->condition, "stop") == 0)
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
		wishing[i]->granted = wishes[i].granted;
}

/* The transaction has committed: what it allowed may be done. */
static void
advance(Job *job, WorkResult committed)
{
	job->has_ended = false;
	if (job->granted && committed == WORK_DONE)
	{
		job->look = job->result;
		converse(job, BC_SEND);
	}
	else if (job->granted)
	{
		/* A standby may not know of the intent: do not send, but look again. */
		job->look = job->result;
		job->result.purpose = BC_SEND;
		job->result.verdict = BC_UNKNOWN;
		strlcpy(job->result.reason, "not sent: no standby confirmed the intent in time",
				BC_REASON_MAX);
		job->has_ended = true;
	}
	else if (job->stays)
		converse(job, BC_READ_BACK);
	else
		drop(job);
}

static void
converse(Job *job, BcPurpose purpose)
{
	if (bigcommerce_start(purpose, &job->claim.store, &job->claim.order,
						  purpose == BC_LOOK ? NULL : &job->look, job) == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	pace_started(job->claim.store.id, job->claim.quota_reserve);
}

static void
drop(Job *job)
{
	wake_release(job->claim.store.hash, job->claim.order.remote_order_id);
	dlist_delete(&job->node);
	job_count--;
	MemoryContextDelete(job->context);
}

/* ---- what Odoo changed ---- */

/* False if a transaction failed; what was not judged is still there then. */
static bool
judge_news(void)
{
	if (has_news && work_run("judging candidates", take_candidates, NULL) == WORK_FAILED)
		return false;
	if (sweeping && work_run("sweeping", sweep_slice, NULL) == WORK_FAILED)
		return false;
	return true;
}

/* Until none is left: what is added meanwhile comes with a wake-up of its own. */
static void
take_candidates(void *arg)
{
	has_news = queue_take_candidates(CANDIDATES_AT_ONCE);
}

static void
sweep_slice(void *arg)
{
	sweeping = queue_sweep(SWEEP_AT_ONCE);
}

/* ---- what is due ---- */

static void
claim_due(void)
{
	ClaimWork	work = {NULL, 0};

	if (work_run("claiming captures", claim_some, &work) != WORK_DONE)
		return;

	for (int i = 0; i < work.n; i++)
	{
		Job		   *job = make_job(&work.claims[i]);

		if (!wake_reserve(job->claim.store.hash, job->claim.order.remote_order_id))
			give_back(job, BC_WAIT, "another database of this server works on this remote order");
		else if (!job->claim.has_token)
			give_back(job, BC_STOP_STORE, "the store has no valid hash or access token");
		else
			converse(job, BC_LOOK);
	}
}

static void
claim_some(void *arg)
{
	ClaimWork  *work = arg;
	int64	   *busy = palloc(sizeof(int64) * Max(job_count, 1));
	int			nbusy = 0;
	QueueRoom  *rooms;
	int			nrooms = pace_rooms(&rooms);
	dlist_iter	iter;

	check_environment();
	if (!may_send)
		return;

	dlist_foreach(iter, &jobs)
		busy[nbusy++] = dlist_container(Job, node, iter.cur)->claim.id;
	work->n = queue_claim(rooms, nrooms, busy, nbusy, PACE_DEFAULT_ROOM, &work->claims);
}

/* Said once for each reason: a copy that may not send is nothing to repeat. */
static void
check_environment(void)
{
	char	   *problem = queue_environment_problem();

	may_send = problem == NULL && bcpaid_enabled;
	if (problem != NULL && strncmp(problem, reported_problem, sizeof(reported_problem) - 1) != 0)
		ereport(WARNING,
				(errmsg("bcpaid sends nothing from this database: %s", problem)));
	strlcpy(reported_problem, problem ? problem : "", sizeof(reported_problem));
}

static void
find_next_due(void *arg)
{
	NextDue    *next = arg;

	next->at = queue_next_due(may_send, &next->sweep);
}

static Job *
make_job(const QueueClaim *claim)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "bcpaid job",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	Job		   *job = palloc0(sizeof(Job));

	job->context = context;
	job->claim = *claim;
	job->claim.order.amount = copy(claim->order.amount);
	job->claim.order.currency = copy(claim->order.currency);
	job->claim.order.tolerance = copy(claim->order.tolerance);
	job->claim.order.marker = copy(claim->order.marker);
	job->claim.store.offline_methods = copy(claim->store.offline_methods);
	MemoryContextSwitchTo(caller);

	dlist_push_tail(&jobs, &job->node);
	job_count++;
	return job;
}

static char *
copy(const char *text)
{
	return pstrdup(text == NULL ? "" : text);
}

/* A conversation that ended before it began. */
static void
give_back(Job *job, BcVerdict verdict, const char *reason)
{
	job->result.purpose = BC_LOOK;
	job->result.verdict = verdict;
	job->result.store_unwell = false;
	strlcpy(job->result.reason, reason, sizeof(job->result.reason));
	job->has_ended = true;
}
