/*-------------------------------------------------------------------------
 *
 * launcher.c
 *	  One process for the server: starts a worker where work is due.
 *
 * Connected to no database, so that it stands in the way of none.  It sleeps
 * on its latch until somebody commits work, a worker leaves, or a database is
 * due by the clock.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "clock.h"
#include "guc.h"
#include "turn.h"
#include "worker.h"

#define NO_SLOT_PAUSE	1000	/* ms, when max_worker_processes is used up */
#define FAILED_PAUSE	60000	/* ms, when a worker could not even connect */
#define VISIT_AGAIN		60000	/* ms, when the shared table overflowed */

typedef struct Running
{
	BackgroundWorkerHandle *handle; /* NULL: free */
	Oid			database;
} Running;

static Running running[64];		/* as many as bcpaid.max_workers allows */
static bool no_slot_reported = false;

/* prototypes of private functions */
static void report_overflow(void);
static void say_goodbye(int code, Datum arg);
static void add_all_databases(void);
static List *unknown_databases(void);
static bool database_exists(Oid database, bool *connectable);
static void collect_finished(void);
static bool is_served(Oid database);
static TimestampTz start_due_workers(void);
static int	free_slot(void);
static bool start_worker(int slot, const Turn *turn);
static void nap(TimestampTz until);

void
launcher_register(void)
{
	BackgroundWorker worker = {0};

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 5;
	strlcpy(worker.bgw_library_name, WORKER_LIBRARY, BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "bcpaid_launcher_main", BGW_MAXLEN);
	strlcpy(worker.bgw_name, "bcpaid launcher", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "bcpaid launcher", BGW_MAXLEN);
	RegisterBackgroundWorker(&worker);
}

void
bcpaid_launcher_main(Datum arg)
{
	TimestampTz visit_at = 0;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	turn_launcher_starts();
	before_shmem_exit(say_goodbye, (Datum) 0);

	/* Until SIGTERM, which CHECK_FOR_INTERRUPTS() turns into an exit. */
	for (;;)
	{
		TimestampTz next;

		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			turn_all_are_due();
		}

		collect_finished();
		if (clock_now() >= visit_at)
		{
			add_all_databases();
			visit_at = DT_NOEND;
		}
		next = start_due_workers();
		if (turn_overflowed())
		{
			report_overflow();
			visit_at = Min(visit_at, TimestampTzPlusMilliseconds(clock_now(), VISIT_AGAIN));
		}
		next = Min(next, visit_at);
		nap(next);
	}
}

static void
report_overflow(void)
{
	static bool reported = false;

	if (!reported)
		ereport(LOG,
				(errmsg("bcpaid keeps track of %d databases, and there are more", bcpaid_max_databases),
				 errhint("They take turns, a minute each.  Increase bcpaid.max_databases.")));
	reported = true;
}

static void
say_goodbye(int code, Datum arg)
{
	turn_launcher_ends();
}

/*
 * Nothing is known after a start: have each database visited once.  Where there
 * is no room for all, those that found none begin the next time.
 */
static void
add_all_databases(void)
{
	static Oid	last = InvalidOid;
	List	   *databases = unknown_databases();
	Oid			begin = last;
	bool		has_room = true;

	for (int second = 0; second < 2; second++)
	{
		ListCell   *cell;

		foreach(cell, databases)
		{
			Oid			database = lfirst_oid(cell);

			if ((database > begin) == (second == 0) && has_room)
			{
				has_room = turn_add(database);
				if (has_room)
					last = database;
			}
		}
	}
	list_free(databases);
}

/*
 * In the order of their ids.  Listed before the first is added: who makes room
 * for one would come back at once, and have the next one make room.
 */
static List *
unknown_databases(void)
{
	MemoryContext caller = CurrentMemoryContext;
	List	   *found = NIL;
	Relation	databases;
	TableScanDesc scan;
	HeapTuple	tuple;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	databases = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(databases, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);
		MemoryContext transaction = MemoryContextSwitchTo(caller);

		if (database->datallowconn && !database->datistemplate && !turn_knows(database->oid))
			found = lappend_oid(found, database->oid);
		MemoryContextSwitchTo(transaction);
	}
	table_endscan(scan);
	table_close(databases, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);
	list_sort(found, list_oid_cmp);
	return found;
}

static bool
database_exists(Oid database, bool *connectable)
{
	HeapTuple	tuple;
	bool		exists;

	StartTransactionCommand();
	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
	exists = HeapTupleIsValid(tuple);
	*connectable = false;
	if (exists)
	{
		*connectable = ((Form_pg_database) GETSTRUCT(tuple))->datallowconn;
		ReleaseSysCache(tuple);
	}
	CommitTransactionCommand();
	return exists;
}

/*
 * A worker that left has said so itself; one that could not even connect has
 * not, and its database waits.  Unless it is a successor's that is being
 * started: who leaves is succeeded before its process has ended.
 */
static void
collect_finished(void)
{
	for (int i = 0; i < lengthof(running); i++)
	{
		pid_t		pid;

		if (running[i].handle == NULL ||
			GetBackgroundWorkerPid(running[i].handle, &pid) != BGWH_STOPPED)
			continue;
		pfree(running[i].handle);
		running[i].handle = NULL;
		if (!is_served(running[i].database))
			turn_over(running[i].database, FAILED_PAUSE);
	}
}

static bool
is_served(Oid database)
{
	for (int i = 0; i < lengthof(running); i++)
	{
		if (running[i].handle != NULL && running[i].database == database)
			return true;
	}
	return false;
}

/* Returns when to look again. */
static TimestampTz
start_due_workers(void)
{
	TimestampTz next = DT_NOEND;
	Turn		turn;
	int			slot;

	while ((slot = free_slot()) >= 0 && turn_next(&turn, &next))
	{
		bool		connectable;

		if (!database_exists(turn.database, &connectable))
			turn_forget(turn.database, true);
		else if (!connectable)
			turn_over(turn.database, FAILED_PAUSE);
		else if (!start_worker(slot, &turn))
		{
			turn_no_slot(turn.database);
			return TimestampTzPlusMilliseconds(clock_now(), NO_SLOT_PAUSE);
		}
	}
	return slot < 0 ? DT_NOEND : next;
}

static int
free_slot(void)
{
	int			vacant = -1;
	int			used = 0;

	for (int i = 0; i < lengthof(running); i++)
	{
		if (running[i].handle != NULL)
			used++;
		else if (vacant < 0)
			vacant = i;
	}
	return used < bcpaid_max_workers ? vacant : -1;
}

static bool
start_worker(int slot, const Turn *turn)
{
	BackgroundWorker worker = {0};
	WorkerStart start = {turn->owner};
	MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);
	bool		started;

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_main_arg = ObjectIdGetDatum(turn->database);
	worker.bgw_notify_pid = MyProcPid;
	memcpy(worker.bgw_extra, &start, sizeof(start));
	strlcpy(worker.bgw_library_name, WORKER_LIBRARY, BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "bcpaid_worker_main", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "bcpaid worker", BGW_MAXLEN);
	snprintf(worker.bgw_name, BGW_MAXLEN, "bcpaid worker for database %u", turn->database);

	started = RegisterDynamicBackgroundWorker(&worker, &running[slot].handle);
	MemoryContextSwitchTo(caller);
	running[slot].database = turn->database;
	if (!started)
	{
		running[slot].handle = NULL;
		if (!no_slot_reported)
			ereport(LOG,
					(errmsg("bcpaid cannot start a worker: max_worker_processes is used up"),
					 errhint("It goes on when a worker process ends.  Increase max_worker_processes.")));
	}
	no_slot_reported = !started;
	return started;
}

static void
nap(TimestampTz until)
{
	long		timeout = -1;
	int			events = WL_LATCH_SET | WL_EXIT_ON_PM_DEATH;

	if (until != DT_NOEND)
	{
		timeout = TimestampDifferenceMilliseconds(clock_now(), until);
		timeout = Min(timeout, 3600 * 1000L);
		events |= WL_TIMEOUT;
	}
	pgstat_report_activity(STATE_IDLE, NULL);
	(void) WaitLatch(MyLatch, events, timeout, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
}
