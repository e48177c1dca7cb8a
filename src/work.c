/*-------------------------------------------------------------------------
 *
 * work.c
 *	  The worker's transactions: short, bounded in time, immune to settings.
 *
 * The worker is Odoo's role, and that role, its database or a trigger it
 * planted may set anything (synchronous_commit = off would make an intent
 * vanish in a crash).  So every transaction sets what it depends on.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"

#include "clock.h"
#include "wake.h"
#include "work.h"

static MemoryContext caller_context = NULL;
#define PAUSE_MS		2000
#define PAUSE_DOUBLINGS 9

static char last_error[400];
static uint64 failures = 0;

/* prototypes of private functions */
static void harden(void);
static void run_step(WorkStep step, void *arg);
static void keep_error(void);

WorkResult
work_run(const char *activity, WorkStep step, void *arg)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile WorkResult result = WORK_DONE;

	if (wake_must_leave())
		return WORK_FAILED;

	harden();
	pgstat_report_activity(STATE_RUNNING, activity);
	SetCurrentStatementStartTimestamp();
	caller_context = caller;

	/* Enabled before the start and until after the commit: it bounds both. */
	enable_timeout_after(STATEMENT_TIMEOUT, WORK_TIMEOUT_MS);
	PG_TRY();
	{
		StartTransactionCommand();
		run_step(step, arg);
		CommitTransactionCommand();
		if (get_timeout_indicator(STATEMENT_TIMEOUT, true))
			result = WORK_CUT_SHORT;
		disable_timeout(STATEMENT_TIMEOUT, false);
		QueryCancelPending = false; /* it came too late, as in PostgresMain() */
	}
	PG_CATCH();
	{
		disable_timeout(STATEMENT_TIMEOUT, false);
		QueryCancelPending = false;
		MemoryContextSwitchTo(caller);
		keep_error();
		/* What was dropped under us is nothing to report. */
		if (!wake_must_leave())
			EmitErrorReport();
		FlushErrorState();
		AbortCurrentTransaction();
		result = WORK_FAILED;
		failures++;
	}
	PG_END_TRY();

	/* Before PostgreSQL 18 a commit leaves us in TopMemoryContext. */
	MemoryContextSwitchTo(caller);
	caller_context = NULL;
	pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);
	return result;
}

WorkResult
work_try(WorkPatience *patience, const char *activity, WorkStep step, void *arg)
{
	WorkResult	result = WORK_FAILED;

	if (clock_now() < patience->not_before)
		return WORK_FAILED;

	result = work_run(activity, step, arg);
	if (result == WORK_FAILED)
	{
		patience->failures = Min(patience->failures + 1, PAUSE_DOUBLINGS);
		patience->not_before =
			TimestampTzPlusMilliseconds(clock_now(),
										PAUSE_MS << (patience->failures - 1));
	}
	else
		patience->failures = 0;
	return result;
}

static void
run_step(WorkStep step, void *arg)
{
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	step(arg);
	PopActiveSnapshot();
	SPI_finish();
}

static void
keep_error(void)
{
	ErrorData  *error = CopyErrorData();

	/* Cut between two characters: it may go into a table. */
	strlcpy(last_error, error->message,
			pg_mbcliplen(error->message, strlen(error->message), sizeof(last_error) - 1) + 1);
	FreeErrorData(error);
}

uint64
work_failures(void)
{
	return failures;
}

const char *
work_error(void)
{
	return last_error;
}

/* Until harden() sets it anew: each transaction has to ask. */
void
work_may_be_lost(void)
{
	SetConfigOption("synchronous_commit", "off", PGC_SUSET, PGC_S_SESSION);
}

MemoryContext
work_context(void)
{
	return caller_context;
}

/* Cheap where nothing changed: each is an assignment of the same value. */
static void
harden(void)
{
	static const struct
	{
		const char *name;
		const char *value;
	}			settings[] =
	{
		{"synchronous_commit", "on"},
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "off"},
		{"default_transaction_deferrable", "off"},
		{"session_replication_role", "origin"},
		{"search_path", "pg_catalog, pg_temp"},
		{"lock_timeout", WORK_LOCK_TIMEOUT},
		{"statement_timeout", "0"},
		{"idle_in_transaction_session_timeout", "0"},
		{"idle_session_timeout", "0"},
#if PG_VERSION_NUM >= 170000
		{"transaction_timeout", "0"},
#endif
		{"exit_on_error", "off"},
		{"row_security", "on"},
		{"transform_null_equals", "off"},
		{"DateStyle", "ISO"},
		{"TimeZone", "UTC"},
		{"jit", "off"},
		{"plan_cache_mode", "force_generic_plan"},	/* planning costs more
													 * than any gain */
		{"enable_seqscan", "off"},	/* plans are kept from when tables were
									 * small */
		{"role", "none"},
	};

	for (int i = 0; i < lengthof(settings); i++)
		SetConfigOption(settings[i].name, settings[i].value,
						PGC_SUSET, PGC_S_SESSION);
}
