/*-------------------------------------------------------------------------
 *
 * wake.c
 *	  The wake-up at commit, and the worker's side of it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"

#include "clock.h"
#include "shared.h"
#include "stop.h"
#include "wake.h"

static bool commit_callback_registered = false;
static bool wake_wanted = false;
static bool missed_wanted = false;
static bool send_away_wanted = false;
static Oid	wake_owner = InvalidOid;

/* prototypes of private functions */
static void register_callback(void);
static void at_transaction_end(XactEvent event, void *arg);
static void mark(Oid database, Oid owner, bool missed);
static bool look_at_entry(size_t flag, bool take);

bool
wake_is_ready(void)
{
	return shared != NULL;
}

bool
wake_waits_for_slot(void)
{
	return shared != NULL && shared->no_slot;
}

void
wake_at_commit(Oid owner)
{
	register_callback();
	wake_wanted = true;
	wake_owner = owner;
}

/* Once per backend: it is called at the end of every transaction. */
static void
register_callback(void)
{
	if (!commit_callback_registered)
		RegisterXactCallback(at_transaction_end, NULL);
	commit_callback_registered = true;
}

void
wake_missed_at_commit(Oid owner)
{
	wake_at_commit(owner);
	missed_wanted = true;
}

void
wake_send_away_at_commit(void)
{
	register_callback();
	send_away_wanted = true;
}

/* A prepared transaction wakes nobody when it commits: the sweep finds it. */
static void
at_transaction_end(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT && wake_wanted)
	{
		stop_point("candidate.committed");
		mark(MyDatabaseId, wake_owner, missed_wanted);
	}
	if (event == XACT_EVENT_COMMIT && send_away_wanted)
		wake_send_away(MyDatabaseId, 0);
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT ||
		event == XACT_EVENT_PREPARE)
		wake_wanted = missed_wanted = send_away_wanted = false;
}

void
wake_send_away(Oid database, int pause_ms)
{
	WakeEntry  *entry;

	if (shared == NULL)
		return;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	entry = shared_find(database, false);
	if (entry != NULL)
	{
		entry->not_before = TimestampTzPlusMilliseconds(clock_now(), pause_ms);
		entry->must_leave = entry->worker != 0;
		if (entry->latch != NULL)
			SetLatch(entry->latch);
	}
	LWLockRelease(shared->lock);
}

static void
mark(Oid database, Oid owner, bool missed)
{
	WakeEntry  *entry;

	if (shared == NULL)
		return;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	entry = shared_find(database, true);
	if (entry != NULL)
	{
		entry->pending = true;
		entry->missed |= missed;
		if (OidIsValid(owner))
			entry->owner = owner;
		if (entry->latch != NULL)
			SetLatch(entry->latch);
	}
	if (shared->launcher != NULL && (entry == NULL || entry->worker == 0))
		SetLatch(shared->launcher);
	LWLockRelease(shared->lock);
}

bool
wake_enter(Oid owner)
{
	WakeEntry  *entry;
	bool		entered = false;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	entry = shared_find(MyDatabaseId, true);
	if (entry != NULL && (entry->worker == 0 || entry->worker == BEING_STARTED))
	{
		entry->worker = MyProcPid;
		entry->latch = MyLatch;
		entry->owner = owner;
		entered = true;
	}
	LWLockRelease(shared->lock);
	return entered;
}

bool
wake_take_news(void)
{
	return look_at_entry(offsetof(WakeEntry, pending), true);
}

bool
wake_has_missed(void)
{
	return look_at_entry(offsetof(WakeEntry, missed), false);
}

bool
wake_must_leave(void)
{
	return look_at_entry(offsetof(WakeEntry, must_leave), false);
}

void
wake_clear_missed(void)
{
	(void) look_at_entry(offsetof(WakeEntry, missed), true);
}

/* A flag of this database's entry, and take it down if asked to. */
static bool
look_at_entry(size_t flag, bool take)
{
	WakeEntry  *entry;
	bool		is_set = false;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	entry = shared_find(MyDatabaseId, false);
	if (entry != NULL)
	{
		bool	   *where = (bool *) ((char *) entry + flag);

		is_set = *where;
		if (take)
			*where = false;
	}
	LWLockRelease(shared->lock);
	return is_set;
}

void
wake_leave(Oid owner, TimestampTz next_due, int pause_ms)
{
	WakeEntry  *entry;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	entry = shared_find(MyDatabaseId, false);
	if (entry != NULL && entry->worker == MyProcPid)
	{
		entry->owner = owner;
		entry->due = next_due;
		shared_set_free(entry, pause_ms);
	}
	for (int i = 0; i < shared->reserved_to; i++)
	{
		if (shared->reserved[i].worker == MyProcPid)
			shared->reserved[i].key = 0;
	}
	if (shared->launcher != NULL)
		SetLatch(shared->launcher);
	LWLockRelease(shared->lock);
}

/* Is a database due that has no worker? */
bool
wake_others_wait(void)
{
	TimestampTz now = clock_now();
	TimestampTz next = DT_NOEND;
	bool		waiting = false;

	LWLockAcquire(shared->lock, LW_SHARED);
	for (int i = 0; i < shared->n && !waiting; i++)
		waiting = shared_is_due(&shared->entries[i], now, &next);
	LWLockRelease(shared->lock);
	return waiting;
}
