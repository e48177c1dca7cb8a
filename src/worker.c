/*-------------------------------------------------------------------------
 *
 * worker.c
 *	  The worker: a process that captures what is due in one database, then
 *	  leaves.
 *
 * Its session belongs to the owner of Odoo's tables, so that it can do no
 * more than that role, and so that Odoo may terminate it.  Being terminated
 * at any point is an ordinary event: what was committed tells the next worker
 * where to go on (capture.c).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timeout.h"

#include "attachment.h"
#include "capture.h"
#include "clock.h"
#include "guc.h"
#include "http.h"
#include "note.h"
#include "queue.h"
#include "turn.h"
#include "wake.h"
#include "work.h"
#include "worker.h"

#define TERMINATED_PAUSE	10000	/* ms: Odoo's CREATE DATABASE comes next */
#define FAILED_PAUSE		5000	/* ms, after an unexpected end */
#define VISIT_AGAIN		10000	/* ms, when nothing could be found out */
#define TIME_SLICE			10000	/* ms, when other databases wait */

typedef struct Survey
{
	Oid			owner;			/* InvalidOid: bcpaid has no business here */
	TimestampTz next_due;
} Survey;

/* What the exit callback tells the launcher, unless we leave in peace. */
static Oid	my_owner = InvalidOid;
static TimestampTz leaving_until = 0;
static bool leaving_in_peace = false;
static volatile sig_atomic_t terminated = false;
static Oid	my_database = InvalidOid;

/* prototypes of private functions */
static void terminate(SIGNAL_ARGS);
static void cancel_at_timeout(SIGNAL_ARGS);
static void at_exit(int code, Datum arg);
static void leave(TimestampTz next_due) pg_attribute_noreturn();
static void leave_for_good(void) pg_attribute_noreturn();
static void visit(void) pg_attribute_noreturn();
static void survey(void *arg);
static void find_owner(void *arg);
static void leave_if_unwanted(void);
static void work(void) pg_attribute_noreturn();
static bool reload_settings_if_asked(void);
static bool may_stay(TimestampTz since);
static void sleep_until(TimestampTz until);

void
bcpaid_worker_main(Datum arg)
{
	WorkerStart start;

	memcpy(&start, MyBgworkerEntry->bgw_extra, sizeof(start));
	my_owner = start.owner;
	my_database = DatumGetObjectId(arg);

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, terminate);
	pqsignal(SIGINT, cancel_at_timeout);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(my_database, start.owner, 0);
	before_shmem_exit(at_exit, (Datum) 0);
	if (!wake_enter(start.owner))
		leave(0);				/* somebody else is here */

	if (!OidIsValid(start.owner))
		visit();
	note_ignore_this_session();
	work();
}

/* Remembered: ProcDiePending is taken down before the exit begins. */
static void
terminate(SIGNAL_ARGS)
{
	terminated = true;
	die(postgres_signal_arg);
}

/*
 * PostgreSQL's timeouts come as a SIGINT of our own.  Anybody else's, which
 * Odoo's role may send by pg_cancel_backend(), could make a commit that waits
 * for a standby look confirmed; whoever wants us gone has SIGTERM for it.
 */
static void
cancel_at_timeout(SIGNAL_ARGS)
{
	if (get_timeout_indicator(STATEMENT_TIMEOUT, false) ||
		get_timeout_indicator(LOCK_TIMEOUT, false))
		StatementCancelHandler(postgres_signal_arg);
}

/*
 * Ended by an error, no worker for a while; terminated by somebody, longer:
 * whoever did it may want the database for himself.
 */
static void
at_exit(int code, Datum arg)
{
	if (leaving_in_peace)
		wake_leave(my_owner, leaving_until, 0);
	else
		wake_leave(my_owner, 0, terminated ? TERMINATED_PAUSE : FAILED_PAUSE);
}

static void
leave(TimestampTz next_due)
{
	leaving_in_peace = true;
	leaving_until = next_due;
	proc_exit(0);
}

/* No bcpaid here, or none that is attached: do not come again unasked. */
static void
leave_for_good(void)
{
	wake_clear_missed();
	turn_forget(MyDatabaseId, false);
	leave(DT_NOEND);
}

/*
 * A visit, after a start of the server: whose tables are these, and is
 * anything due?  For some milliseconds this session is a superuser's; the
 * worker that does the work is not.
 */
static void
visit(void)
{
	Survey		found = {InvalidOid, DT_NOEND};

	/* Before the look: what is committed after it will mark us again. */
	(void) wake_take_news();
	if (work_run("visiting", survey, &found) == WORK_FAILED)
		leave(TimestampTzPlusMilliseconds(clock_now(), VISIT_AGAIN));
	if (!OidIsValid(found.owner))
		leave_for_good();
	my_owner = found.owner;
	leave(found.next_due);
}

static void
survey(void *arg)
{
	Survey	   *found = arg;
	QueueNext	next;

	if (!attachment_exists())
		return;
	found->owner = attachment_owner();
	if (!OidIsValid(found->owner))
		return;
	(void) queue_mend_times();	/* the clock may have been set back while the
								 * server was down */
	queue_next_due(true, &next);
	found->next_due = clock_of(Min(next.due, next.apply), clock_offset());
	if (next.news || queue_unfinished())
		found->next_due = 0;
}

static void
find_owner(void *arg)
{
	*(Oid *) arg = attachment_exists() ? attachment_owner() : InvalidOid;
}

/*
 * Asked at the start, and after every error: DROP EXTENSION, detach and a new
 * owner of Odoo's tables look like errors from here.
 */
static void
leave_if_unwanted(void)
{
	Oid			owner = InvalidOid;

	if (work_run("finding Odoo's owner", find_owner, &owner) == WORK_FAILED)
		leave(TimestampTzPlusMilliseconds(clock_now(), VISIT_AGAIN));
	if (!OidIsValid(owner))
		leave_for_good();
	if (owner != my_owner)
	{
		my_owner = owner;		/* the next worker will be the right one */
		leave(0);
	}
}

static void
work(void)
{
	MemoryContext round = AllocSetContextCreate(TopMemoryContext, "bcpaid round",
												ALLOCSET_DEFAULT_SIZES);
	TimestampTz since = clock_now();
	TimestampTz idle_since = 0;
	uint64		failures_seen;

	MemoryContextSwitchTo(round);
	(void) wake_take_news();	/* the first round looks at everything anyway */
	leave_if_unwanted();
	failures_seen = work_failures();
	http_init();
	if (!capture_recover())
		leave(TimestampTzPlusMilliseconds(clock_now(), FAILED_PAUSE));

	/* Until nothing is due, or SIGTERM, which CHECK_FOR_INTERRUPTS() obeys. */
	for (;;)
	{
		bool		news,
					reloaded,
					stay;
		TimestampTz next;

		CHECK_FOR_INTERRUPTS();
		if (wake_must_leave())
			leave(0);			/* what is under way is recovered by the next */
		reloaded = reload_settings_if_asked();
		MemoryContextReset(round);
		MemoryContextSwitchTo(round);

		/* Taken first: what comes after it brings the next worker. */
		news = wake_take_news() || reloaded;
		if (failures_seen != work_failures())
			leave_if_unwanted();
		failures_seen = work_failures();
		stay = may_stay(since);
		next = capture_round(news, stay);
		if (news)
			idle_since = 0;		/* to judge is work, too */

		if (capture_in_flight() == 0)
		{
			TimestampTz now = clock_now();

			if (next <= now && stay)
				continue;
			if (idle_since == 0)
				idle_since = now;
			if (!stay || wake_others_wait() ||
				now >= TimestampTzPlusMilliseconds(idle_since, bcpaid_idle_timeout))
				leave(work_failures() == failures_seen ? next :
					  Max(next, TimestampTzPlusMilliseconds(now, VISIT_AGAIN)));
			next = Min(next, TimestampTzPlusMilliseconds(idle_since, bcpaid_idle_timeout));
		}
		else
			idle_since = 0;
		sleep_until(next);
	}
}

/* When other databases wait, each worker has its slice of time. */
static bool
may_stay(TimestampTz since)
{
	return clock_now() < TimestampTzPlusMilliseconds(since, TIME_SLICE) ||
		!wake_others_wait();
}

/* What waited for a setting may be due now, as if somebody had committed something. */
static bool
reload_settings_if_asked(void)
{
	if (!ConfigReloadPending)
		return false;

	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
	http_reload();
	return true;
}

/*
 * Database code may have reset the latch in a wait of its own, so every flag
 * that a signal sets is looked at right before sleeping.
 */
static void
sleep_until(TimestampTz until)
{
	long		timeout_ms = 3600 * 1000L;

	if (until != DT_NOEND)
		timeout_ms = Min(timeout_ms,
						 TimestampDifferenceMilliseconds(clock_now(), until));
	if (InterruptPending || ConfigReloadPending)
		timeout_ms = 0;
	pgstat_report_activity(capture_in_flight() > 0 ? STATE_RUNNING : STATE_IDLE,
						   capture_in_flight() > 0 ? "waiting for stores" : NULL);
	(void) http_wait(timeout_ms);
}
