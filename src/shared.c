/*-------------------------------------------------------------------------
 *
 * shared.c
 *	  The shared memory: which databases have work, and who serves them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <unistd.h>

#include "access/xlog.h"
#include "catalog/pg_control.h"
#include "common/controldata_utils.h"
#include "common/file_perm.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"

#include "clock.h"
#include "guc.h"
#include "shared.h"

WakeShared *shared = NULL;

static shmem_request_hook_type previous_request = NULL;
static shmem_startup_hook_type previous_startup = NULL;

/* prototypes of private functions */
static Size memory_size(void);
static void request_memory(void);
static void attach_memory(void);
static bool begins_in_silence(void);
static bool was_shut_down_cleanly(void);
static bool exists(const char *file);
static WakeEntry *least_wanted(void);

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
		shared->unclean = begins_in_silence();
		shared->started_at = clock_now();
		shared->clock_offset = clock_offset();
	}
	LWLockRelease(AddinShmemInitLock);
}

/*
 * Anything but the start of a primary that was shut down cleanly may have
 * lost an intent whose request is still on its way: after a crash, after the
 * promotion of a standby, also of one made from a server that was shut down
 * cleanly, as a switchover does, and after a restart in the time of silence
 * that followed one of these.  A file stands for that time until it is over.
 */
static bool
begins_in_silence(void)
{
	int			file;

	if (was_shut_down_cleanly() && !exists(SILENCE_FILE) &&
		!exists(STANDBY_SIGNAL_FILE) && !exists(RECOVERY_SIGNAL_FILE))
		return false;

	file = open(SILENCE_FILE, O_CREAT | O_WRONLY, pg_file_create_mode);
	if (file < 0)
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not create file \"%s\": %m", SILENCE_FILE)));
	else
		close(file);
	return true;
}

/* The control file, read before recovery begins, still tells. */
static bool
was_shut_down_cleanly(void)
{
	bool		crc_is_right;
	ControlFileData *control = get_controlfile(DataDir, &crc_is_right);
	bool		clean = crc_is_right && control->state == DB_SHUTDOWNED;

	pfree(control);
	return clean;
}

/* In the data directory, where every server process works. */
static bool
exists(const char *file)
{
	return access(file, F_OK) == 0;
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
	if (vacant == NULL)
	{
		/* It is visited again, and so is who finds no room. */
		vacant = least_wanted();
		shared->overflowed = true;
	}
	if (vacant != NULL)
	{
		memset(vacant, 0, sizeof(WakeEntry));
		vacant->database = database;
		vacant->due = DT_NOEND;
	}
	return vacant;
}

/* Of those that nothing is known to do for now, the one that is due last. */
static WakeEntry *
least_wanted(void)
{
	TimestampTz now = clock_now();
	WakeEntry  *best = NULL;

	for (int i = 0; i < shared->n; i++)
	{
		WakeEntry  *entry = &shared->entries[i];

		if (entry->worker == 0 && !entry->pending && !entry->missed &&
			entry->due > now && entry->not_before <= now &&
			(best == NULL || entry->due > best->due))
			best = entry;
	}
	return best;
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
	entry->left_at = clock_now();
	entry->not_before = Max(entry->not_before, entry->left_at + (int64) pause_ms * 1000);
}

TimestampTz
shared_silence_from_now(void)
{
	return clock_now() + ((int64) bcpaid_request_timeout + bcpaid_settle_time) * 1000;
}
