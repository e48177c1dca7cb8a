/*-------------------------------------------------------------------------
 *
 * shared.c
 *	  The shared memory: which databases have work, and who serves them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_control.h"
#include "common/controldata_utils.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "shared.h"

WakeShared *shared = NULL;

static shmem_request_hook_type previous_request = NULL;
static shmem_startup_hook_type previous_startup = NULL;

/* prototypes of private functions */
static Size memory_size(void);
static void request_memory(void);
static void attach_memory(void);
static bool was_shut_down_cleanly(void);

static Size
memory_size(void)
{
	return add_size(offsetof(WakeShared, entries),
					mul_size(bcpaid_max_databases, sizeof(WakeEntry)));
}

void
shared_install(void)
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

WakeEntry *
shared_find(Oid database, bool create)
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

bool
shared_is_due(const WakeEntry *entry, TimestampTz now, TimestampTz *next)
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

void
shared_set_free(WakeEntry *entry, int pause_ms)
{
	entry->worker = 0;
	entry->latch = NULL;
	entry->must_leave = false;
	entry->left_at = GetCurrentTimestamp();
	entry->not_before = Max(entry->not_before, entry->left_at + (int64) pause_ms * 1000);
}
