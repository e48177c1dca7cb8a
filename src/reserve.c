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

#include "clock.h"
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

/*
 * A clock that was set forward makes a write look older than it is, and reads
 * after it count too early: as after a crash, it is the silence that tells how
 * long ago the last write was.
 */
int
reserve_silence_ms(const char **why)
{
	int64		ahead;
	TimestampTz left;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	ahead = clock_offset() - shared->clock_offset;
	if (ahead > CLOCK_SET_US)
	{
		shared->silent_until = Max(shared->silent_until, shared_silence_from_now());
		shared->clock_was_set = true;
	}
	if (ahead > CLOCK_SET_US || ahead < -CLOCK_SET_US)
		shared->clock_offset += ahead;
	left = shared->silent_until - clock_now();
	if (left > 0)
		*why = shared->clock_was_set ?
			"the system's clock was set forward: a request may still be on its way" :
			"the server was not shut down cleanly: a request may still be on its way";
	LWLockRelease(shared->lock);
	return left > 0 ? (int) (left / 1000) + 1 : 0;
}

TimestampTz
reserve_server_start(void)
{
	return shared->started_at + clock_offset();
}
