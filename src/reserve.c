/*-------------------------------------------------------------------------
 *
 * reserve.c
 *	  Remote orders in conversation, and the time of silence.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"

#include "reserve.h"
#include "shared.h"

/* prototypes of private functions */
static uint64 reservation_key(const char *hash, int64 remote_order_id);

bool
reserve_order(const char *hash, int64 remote_order_id)
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
reserve_end(const char *hash, int64 remote_order_id)
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

TimestampTz
reserve_silence_end(void)
{
	return shared->quarantine_end;
}
