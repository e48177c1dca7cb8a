/*-------------------------------------------------------------------------
 *
 * job.c
 *	  The captures under way in this worker.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "clock.h"
#include "job.h"
#include "pace.h"
#include "reserve.h"
#include "stop.h"

#define BUSY_MAX		256
#define WINDOW_US		20000

static int	limit = BUSY_MAX;
static TimestampTz window_since = 0;
static int64 window_cpu_us = 0; /* of this process, when it began */

dlist_head	job_list = DLIST_STATIC_INIT(job_list);
int			job_count = 0;

/* prototypes of private functions */
static char *copy(const char *text);
static void adapt_limit(void);
static void owe(Job *job, int requests);
static int	owed_during(const Job *job, BcPurpose purpose);
static int	owed_after(const Job *job, const BcResult *result);

Job *
job_make(const QueueClaim *claim)
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
	job->claim.order.approved = copy(claim->order.approved);
	job->claim.store.offline_methods = copy(claim->store.offline_methods);
	MemoryContextSwitchTo(caller);

	dlist_push_tail(&job_list, &job->node);
	job_count++;
	return job;
}

static char *
copy(const char *text)
{
	return pstrdup(text == NULL ? "" : text);
}

void
job_converse(Job *job, BcPurpose purpose)
{
	job->asked_at = GetCurrentTimestamp();
	if (bigcommerce_start(purpose, &job->claim.store, &job->claim.order,
						  purpose == BC_LOOK ? NULL : &job->look, job) == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	pace_started(job->claim.store.id, job->claim.quota_reserve);
	owe(job, owed_during(job, purpose));
	stop_point(purpose == BC_SEND ? "write.begun" : "read.begun");
}

void
job_read_back(Job *job)
{
	job->is_settled = true;
	job_converse(job, BC_READ_BACK);
}

bool
job_reads_back(int store_id)
{
	dlist_iter	iter;

	dlist_foreach(iter, &job_list)
	{
		Job		   *job = dlist_container(Job, node, iter.cur);

		if (job->is_settled && job->claim.store.id == store_id)
			return true;
	}
	return false;
}

void
job_was_read_back(int store_id)
{
	dlist_iter	iter;

	dlist_foreach(iter, &job_list)
	{
		Job		   *job = dlist_container(Job, node, iter.cur);

		if (job->claim.store.id == store_id)
			job->claim.read_back = true;
	}
}

/* Also between two conversations: who looked will write, and nobody else may use up what that needs. */
static void
owe(Job *job, int requests)
{
	pace_owe(job->claim.store.id, requests - job->owed);
	job->owed = requests;
}

static int
owed_during(const Job *job, BcPurpose purpose)
{
	switch (purpose)
	{
		case BC_LOOK:
			return PACE_CAPTURE;
		case BC_READ_BACK:
			return job->is_settled ? 2 : 2 + PACE_CAPTURE;
		default:
			return 1;
	}
}

static int
owed_after(const Job *job, const BcResult *result)
{
	if (result->verdict != BC_GO || job->is_settled)
		return 0;
	return result->purpose == BC_READ_BACK ? PACE_CAPTURE : 1;
}

void
job_drop(Job *job)
{
	owe(job, 0);
	reserve_end(job->claim.store.hash, job->claim.order.remote_order_id);
	dlist_delete(&job->node);
	job_count--;
	explicit_bzero(job->claim.store.token, sizeof(job->claim.store.token));
	MemoryContextDelete(job->context);
}

void
job_end(Job *job, BcVerdict verdict, const char *reason)
{
	job->result.purpose = BC_LOOK;
	job->result.verdict = verdict;
	job->result.store_unwell = false;
	strlcpy(job->result.reason, reason, sizeof(job->result.reason));
	job->has_ended = true;
}

int
job_room(void)
{
	adapt_limit();
	return Max(Min(limit, bigcommerce_capacity()) - job_count, 0);
}

/*
 * More than keep us busy would wait for us, not for stores: on two processors
 * a capture took a quarter more time where 800 were under way than where 256
 * were.  So more only while a quarter of our time goes by in waiting, for
 * stores or for the disk.
 */
static void
adapt_limit(void)
{
	TimestampTz now = clock_now();
	int64		passed_us = now - window_since;
	int64		cpu_us;

	if (passed_us < WINDOW_US)
		return;
	cpu_us = clock_cpu_us();
	if ((cpu_us - window_cpu_us) * 4 > passed_us * 3)
		limit = Max(limit - limit / 5, BUSY_MAX);
	else if (job_count >= limit && limit < bigcommerce_capacity())
		limit += limit / 4;
	window_since = now;
	window_cpu_us = cpu_us;
}

TimestampTz
job_room_at(void)
{
	return limit < bigcommerce_capacity() ? window_since + WINDOW_US : DT_NOEND;
}

void
job_push(void)
{
	bigcommerce_push();
}

void
job_collect(void)
{
	void	   *tag;
	BcResult	result;

	while (bigcommerce_next(&tag, &result))
	{
		Job		   *job = tag;

		job->result = result;
		job->has_ended = true;
		job->ended_at = clock_now();
		pace_finished(job->claim.store.id, &result);
		owe(job, owed_after(job, &result));
		stop_point(result.purpose == BC_SEND ? "write.answered" : "read.answered");
	}
}

bool
job_is_ready(const Job *job)
{
	return job->has_ended && clock_now() >= job->not_before;
}

TimestampTz
job_next_ready(void)
{
	TimestampTz next = DT_NOEND;
	dlist_iter	iter;

	dlist_foreach(iter, &job_list)
	{
		Job		   *job = dlist_container(Job, node, iter.cur);

		if (job->has_ended)
			next = Min(next, job->not_before);
	}
	return next;
}
