/*-------------------------------------------------------------------------
 *
 * claim.c
 *	  Which captures are taken up now, and when others will be.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "claim.h"
#include "clock.h"
#include "guc.h"
#include "job.h"
#include "pace.h"
#include "queue.h"
#include "reserve.h"
#include "stop.h"
#include "work.h"

#define LOOK_MS			1000	/* for tests and stores not yet met, while no
								 * other has room */
#define NO_TOKEN		"the store has no valid hash or access token"

typedef struct ClaimWork
{
	QueueClaim *claims;
	int			n;
	QueueClaim *tests;
	int			ntests;
} ClaimWork;

static bool may_send = true;	/* for all that we know */
static char reported_problem[400];

/* prototypes of private functions */
static void begin_test(const QueueClaim *claim);
static void claim_some(void *arg);
static void check_environment(void);

TimestampTz
claim_due(bool news)
{
	static WorkPatience patience;
	static TimestampTz look_at = 0;
	ClaimWork	work = {0};

	if (job_room() == 0)
		return job_room_at();
	/* Each answer of a store wakes us; room comes with few of them. */
	if (!news && may_send && !pace_has_room_anywhere() && clock_now() < look_at)
		return look_at;
	look_at = TimestampTzPlusMilliseconds(clock_now(), LOOK_MS);
	/* Cut short, the claims are committed here all the same. */
	if (work_try(&patience, "claiming captures", claim_some, &work) == WORK_FAILED)
	{
		may_send = true;		/* else nothing would be due until the sweep */
		return patience.not_before;
	}
	if (work.n > 0)
		stop_point("claim.committed");

	for (int i = 0; i < work.n; i++)
	{
		Job		   *job = job_make(&work.claims[i]);

		if (!reserve_order(job->claim.store.hash, job->claim.order.remote_order_id))
			job_end(job, BC_WAIT, "another database of this server works on this remote order");
		else if (!job->claim.has_token)
			job_end(job, BC_STOP_STORE, NO_TOKEN);
		else
			job_converse(job, job->claim.unknown ? BC_READ_BACK : BC_LOOK);
	}
	for (int i = 0; i < work.ntests; i++)
		begin_test(&work.tests[i]);
	return DT_NOEND;
}

static void
begin_test(const QueueClaim *claim)
{
	Job		   *job = job_make(claim);

	job->is_test = true;
	if (claim->has_token)
		job_converse(job, BC_TEST);
	else
		job_end(job, BC_STOP_STORE, NO_TOKEN);
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

	work_may_be_lost();			/* it is queued still */
	dlist_foreach(iter, &job_list)
		busy[nbusy++] = dlist_container(Job, node, iter.cur)->claim.id;
	work->ntests = queue_tests(&work->tests);
	work->n = queue_claim(rooms, nrooms, busy, nbusy, PACE_DEFAULT_ROOM,
						  job_room(), &work->claims);
	if (work->n > 0)
		stop_point("claim.done");
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

void
claim_next_due(void *arg)
{
	queue_next_due(may_send, arg);
}
