/*-------------------------------------------------------------------------
 *
 * turn.c
 *	  Whose turn it is: the launcher's side of the shared memory.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "miscadmin.h"

#include "clock.h"
#include "guc.h"
#include "shared.h"
#include "turn.h"

/* prototypes of private functions */
static void end_silence(TimestampTz now, TimestampTz *next);

/*
 * The launcher starts when recovery has ended: that is when the time of
 * silence after an unclean shutdown begins.
 */
void
turn_launcher_starts(void)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->launcher = MyLatch;
	for (int i = 0; i < shared->n; i++)
	{
		if (shared->entries[i].worker == BEING_STARTED)
		{
			shared->entries[i].worker = 0;
			shared->entries[i].must_leave = false;
		}
	}
	if (shared->unclean && shared->silent_until == 0)
	{
		shared->silent_until = shared_silence_from_now();
		shared->started_at = clock_now();	/* no read counts earlier */
	}
	LWLockRelease(shared->lock);
}

void
turn_launcher_ends(void)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->launcher = NULL;
	LWLockRelease(shared->lock);
}

bool
turn_knows(Oid database)
{
	bool		known;

	LWLockAcquire(shared->lock, LW_SHARED);
	known = shared_find(database, false) != NULL;
	LWLockRelease(shared->lock);
	return known;
}

/* Have a database visited, of which nothing is known; false if there is no room. */
bool
turn_add(Oid database)
{
	WakeEntry  *entry;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	entry = shared_find(database, false);
	if (entry == NULL)
	{
		entry = shared_find(database, true);
		if (entry != NULL)
			entry->pending = true;
	}
	LWLockRelease(shared->lock);
	return entry != NULL;
}

bool
turn_next(Turn *turn, TimestampTz *next)
{
	TimestampTz now = clock_now();
	WakeEntry  *best = NULL;

	*next = DT_NOEND;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->no_slot = false;
	end_silence(now, next);
	for (int i = 0; i < shared->n; i++)
	{
		WakeEntry  *entry = &shared->entries[i];

		/* Who left longest ago goes first, so that none starves. */
		if (shared_is_due(entry, now, next) &&
			(best == NULL || entry->left_at < best->left_at))
			best = entry;
	}
	if (best != NULL)
	{
		best->worker = BEING_STARTED;
		turn->database = best->database;
		turn->owner = best->owner;
	}
	LWLockRelease(shared->lock);
	return best != NULL;
}

void
turn_no_slot(Oid database)
{
	WakeEntry  *entry;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->no_slot = true;
	entry = shared_find(database, false);
	if (entry != NULL && entry->worker == BEING_STARTED)
	{
		entry->worker = 0;
		entry->must_leave = false;
	}
	LWLockRelease(shared->lock);
}

/* Once it is over, a restart need not begin it anew. */
static void
end_silence(TimestampTz now, TimestampTz *next)
{
	if (!shared->unclean)
		return;
	if (now < shared->silent_until)
		*next = Min(*next, shared->silent_until);
	else
	{
		(void) unlink(SILENCE_FILE);
		shared->unclean = false;
	}
}

/*
 * The settings changed: what waited for one may be due now.  Pending, not due:
 * a worker that leaves by the old settings writes down when it is due itself.
 */
void
turn_all_are_due(void)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < shared->n; i++)
		shared->entries[i].pending = true;
	LWLockRelease(shared->lock);
}

/* A worker is gone, or never came. */
void
turn_over(Oid database, int pause_ms)
{
	WakeEntry  *entry;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	entry = shared_find(database, false);
	if (entry != NULL && entry->worker == BEING_STARTED)
	{
		entry->owner = InvalidOid;	/* it may be that role that cannot connect */
		shared_set_free(entry, pause_ms);
	}
	LWLockRelease(shared->lock);
}

void
turn_forget(Oid database, bool is_gone)
{
	WakeEntry  *entry;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	entry = shared_find(database, false);
	if (entry != NULL && (is_gone || (!entry->pending && !entry->missed)))
		entry->database = InvalidOid;
	LWLockRelease(shared->lock);
}

bool
turn_overflowed(void)
{
	bool		overflowed;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	overflowed = shared->overflowed;
	shared->overflowed = false;
	LWLockRelease(shared->lock);
	return overflowed;
}
