/*-------------------------------------------------------------------------
 *
 * wake.c
 *	  Who has work: one shared table of databases, and the wake-up at commit.
 *
 * Latches are kept as pointers into shared memory (a process's own latch is
 * there) and are taken back, under the lock, before their process goes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_control.h"
#include "common/controldata_utils.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "wake.h"

#define RESERVED_MAX	4096	/* remote orders in conversation, cluster-wide */
#define BEING_STARTED	(-1)	/* in place of a worker's pid */

typedef struct WakeEntry
{
	Oid			database;		/* InvalidOid: free */
	Oid			owner;			/* whom the worker runs as, as last seen */
	bool		pending;		/* something was committed */
	bool		missed;			/* a note was lost */
	TimestampTz due;			/* next time without a wake-up, or infinity */
	TimestampTz not_before;		/* no worker before this time */
	TimestampTz left_at;		/* when its last worker left */
	pid_t		worker;			/* 0: none */
	Latch	   *latch;
} WakeEntry;

typedef struct Reservation
{
	uint64		key;			/* 0: free */
	pid_t		worker;
} Reservation;

typedef struct WakeShared
{
	LWLock	   *lock;
	Latch	   *launcher;
	bool		overflowed;
	bool		unclean;		/* the server came out of crash or archive recovery */
	TimestampTz quarantine_end;
	int			reserved_to;	/* slots of `reserved` ever used */
	Reservation reserved[RESERVED_MAX];
	int			n;
	WakeEntry	entries[FLEXIBLE_ARRAY_MEMBER];
} WakeShared;

static WakeShared *shared = NULL;
static shmem_request_hook_type previous_request = NULL;
static shmem_startup_hook_type previous_startup = NULL;

static bool commit_callback_registered = false;
static bool wake_wanted = false;
static bool missed_wanted = false;
static Oid	wake_owner = InvalidOid;

/* prototypes of private functions */
static Size memory_size(void);
static void request_memory(void);
static void attach_memory(void);
static bool was_shut_down_cleanly(void);
static void at_transaction_end(XactEvent event, void *arg);
static WakeEntry *find(Oid database, bool create);
static void mark(Oid database, Oid owner, bool missed);
static bool is_due(const WakeEntry *entry, TimestampTz now, TimestampTz *next);
static void set_free(WakeEntry *entry, int pause_ms);
static uint64 reservation_key(const char *hash, int64 remote_order_id);

static Size
memory_size(void)
{
	return add_size(offsetof(WakeShared, entries),
					mul_size(bcpaid_max_databases, sizeof(WakeEntry)));
}

void
wake_install(void)
{
	previous_request = shmem_request_hook;
	shmem_request_hook = request_memory;
	previous_startup = shmem_startup_hook;
	shmem_startup_hook = attach_memory;
}

static void
request_memory(void)
{
	if (previous_request)
		previous_request();
	RequestAddinShmemSpace(memory_size());
	RequestNamedLWLockTranche("bcpaid", 1);
}

static void
attach_memory(void)
{
	bool		found;

	if (previous_startup)
		previous_startup();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("bcpaid", memory_size(), &found);
	if (!found)
	{
		memset(shared, 0, memory_size());
		shared->lock = &GetNamedLWLockTranche("bcpaid")->lock;
		shared->unclean = !was_shut_down_cleanly();
	}
	LWLockRelease(AddinShmemInitLock);
}

/*
 * The control file, read before recovery begins, still tells how the server
 * went down.  Anything but a clean shutdown of a primary (a crash, a standby
 * that will be promoted, a restored base backup) may have lost an intent
 * whose request is still on its way.
 */
static bool
was_shut_down_cleanly(void)
{
	bool		crc_is_right;
	ControlFileData *control = get_controlfile(DataDir, &crc_is_right);
	bool		clean = crc_is_right && control->state == DB_SHUTDOWNED;

	pfree(control);
	return clean;
}

bool
wake_is_ready(void)
{
	return shared != NULL;
}

void
wake_at_commit(Oid owner)
{
	if (!commit_callback_registered)
	{
		RegisterXactCallback(at_transaction_end, NULL);
		commit_callback_registered = true;
	}
	wake_wanted = true;
	wake_owner = owner;
}

/* A prepared transaction wakes nobody when it commits: the sweep finds it. */
static void
at_transaction_end(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT && wake_wanted)
		mark(MyDatabaseId, wake_owner, missed_wanted);
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT ||
		event == XACT_EVENT_PREPARE)
		wake_wanted = missed_wanted = false;
}

void
wake_missed_at_commit(Oid owner)
{
	wake_at_commit(owner);
	missed_wanted = true;
}

static void
mark(Oid database, Oid owner, bool missed)
{
	WakeEntry  *entry;

	if (shared == NULL)
		return;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	entry = find(database, true);
	if (entry != NULL)
	{
		entry->pending = true;
		entry->missed |= missed;
		if (OidIsValid(owner))
			entry->owner = owner;
		if (entry->latch != NULL)
			SetLatch(entry->latch);
	}
	else
		shared->overflowed = true;
	if (shared->launcher != NULL && (entry == NULL || entry->worker == 0))
		SetLatch(shared->launcher);
	LWLockRelease(shared->lock);
}

/* The entry of a database, or a free one for it; caller holds the lock. */
static WakeEntry *
find(Oid database, bool create)
{
	WakeEntry  *vacant = NULL;

	for (int i = 0; i < shared->n; i++)
	{
		if (shared->entries[i].database == database)
			return &shared->entries[i];
		if (!OidIsValid(shared->entries[i].database))
			vacant = &shared->entries[i];
	}
	if (!create)
		return NULL;
	if (vacant == NULL && shared->n < bcpaid_max_databases)
		vacant = &shared->entries[shared->n++];
	if (vacant != NULL)
	{
		memset(vacant, 0, sizeof(WakeEntry));
		vacant->database = database;
		vacant->due = DT_NOEND;
	}
	return vacant;
}

/* ---- the launcher's side ---- */

/*
 * The launcher starts when recovery has ended: that is when the time of
 * silence after an unclean shutdown begins.
 */
void
wake_launcher_starts(void)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->launcher = MyLatch;
	for (int i = 0; i < shared->n; i++)
	{
		if (shared->entries[i].worker == BEING_STARTED)
			shared->entries[i].worker = 0;
	}
	if (shared->unclean && shared->quarantine_end == 0)
		shared->quarantine_end =
			GetCurrentTimestamp() +
			((int64) bcpaid_request_timeout + bcpaid_settle_time) * 1000;
	LWLockRelease(shared->lock);
}

void
wake_launcher_ends(void)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->launcher = NULL;
	LWLockRelease(shared->lock);
}

TimestampTz
wake_quarantine_end(void)
{
	return shared->quarantine_end;
}

/* Have a database visited, of which nothing is known. */
void
wake_add(Oid database)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	if (find(database, false) == NULL)
	{
		WakeEntry  *entry = find(database, true);

		if (entry != NULL)
			entry->pending = true;
		else
			shared->overflowed = true;
	}
	LWLockRelease(shared->lock);
}

bool
wake_next_turn(WakeTurn *turn, TimestampTz *next)
{
	TimestampTz now = GetCurrentTimestamp();
	WakeEntry  *best = NULL;

	*next = DT_NOEND;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < shared->n; i++)
	{
		WakeEntry  *entry = &shared->entries[i];

		/* Who left longest ago goes first, so that none starves. */
		if (is_due(entry, now, next) &&
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

static bool
is_due(const WakeEntry *entry, TimestampTz now, TimestampTz *next)
{
	TimestampTz at;

	if (!OidIsValid(entry->database) || entry->worker != 0)
		return false;

	at = (entry->pending || entry->missed) ? now : entry->due;
	at = Max(at, entry->not_before);
	if (at > now)
		*next = Min(*next, at);
	return at <= now;
}

/* A worker is gone, or never came. */
void
wake_turn_over(Oid database, int pause_ms)
{
	WakeEntry  *entry;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	entry = find(database, false);
	if (entry != NULL && entry->worker == BEING_STARTED)
		set_free(entry, pause_ms);
	LWLockRelease(shared->lock);
}

void
wake_forget(Oid database)
{
	WakeEntry  *entry;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	entry = find(database, false);
	if (entry != NULL)
		entry->database = InvalidOid;
	LWLockRelease(shared->lock);
}

bool
wake_overflowed(void)
{
	bool		overflowed;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	overflowed = shared->overflowed;
	shared->overflowed = false;
	LWLockRelease(shared->lock);
	return overflowed;
}

/* ---- the worker's side ---- */

bool
wake_enter(Oid owner)
{
	WakeEntry  *entry;
	bool		entered = false;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	entry = find(MyDatabaseId, true);
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
wake_take(bool *missed)
{
	WakeEntry  *entry;
	bool		pending = false;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	entry = find(MyDatabaseId, false);
	if (entry != NULL)
	{
		pending = entry->pending;
		*missed |= entry->missed;
		entry->pending = entry->missed = false;
	}
	LWLockRelease(shared->lock);
	return pending;
}

void
wake_leave(Oid owner, TimestampTz next_due, int pause_ms)
{
	WakeEntry  *entry;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	entry = find(MyDatabaseId, false);
	if (entry != NULL && entry->worker == MyProcPid)
	{
		entry->owner = owner;
		entry->due = next_due;
		set_free(entry, pause_ms);
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

static void
set_free(WakeEntry *entry, int pause_ms)
{
	entry->worker = 0;
	entry->latch = NULL;
	entry->left_at = GetCurrentTimestamp();
	entry->not_before = entry->left_at + (int64) pause_ms * 1000;
}

/* Is a database due that has no worker? */
bool
wake_others_wait(void)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz next = DT_NOEND;
	bool		waiting = false;

	LWLockAcquire(shared->lock, LW_SHARED);
	for (int i = 0; i < shared->n && !waiting; i++)
		waiting = is_due(&shared->entries[i], now, &next);
	LWLockRelease(shared->lock);
	return waiting;
}

/* ---- remote orders in conversation ---- */

bool
wake_reserve(const char *hash, int64 remote_order_id)
{
	uint64		key = reservation_key(hash, remote_order_id);
	Reservation *vacant = NULL;
	bool		taken = false;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < shared->reserved_to; i++)
	{
		Reservation *slot = &shared->reserved[i];

		if (slot->key == key && slot->worker != MyProcPid)
			taken = true;
		if (slot->key == 0)
			vacant = slot;
	}
	if (vacant == NULL && shared->reserved_to < RESERVED_MAX)
		vacant = &shared->reserved[shared->reserved_to++];
	if (!taken && vacant != NULL)
	{
		vacant->key = key;
		vacant->worker = MyProcPid;
	}
	LWLockRelease(shared->lock);
	return !taken && vacant != NULL;
}

void
wake_release(const char *hash, int64 remote_order_id)
{
	uint64		key = reservation_key(hash, remote_order_id);

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < shared->reserved_to; i++)
	{
		if (shared->reserved[i].key == key &&
			shared->reserved[i].worker == MyProcPid)
			shared->reserved[i].key = 0;
	}
	LWLockRelease(shared->lock);
}

static uint64
reservation_key(const char *hash, int64 remote_order_id)
{
	uint64		key = hash_bytes_extended((const unsigned char *) hash,
										  strlen(hash), remote_order_id);

	return key == 0 ? 1 : key;
}
