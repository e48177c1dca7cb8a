/*-------------------------------------------------------------------------
 *
 * shared.h
 *	  The shared memory: which databases have work, and who serves them.
 *
 * Private to wake.c, turn.c and reserve.c, which say what is done with it.
 * Nothing here is durable, but that a time of silence is not over: after a
 * restart the launcher visits every database once.  Times are those of clock.h.  Latches are kept as
 * pointers into shared memory (a process's own latch is there) and are taken
 * back, under the lock, before their process goes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_SHARED_H
#define BCPAID_SHARED_H

#include "datatype/timestamp.h"
#include "storage/latch.h"
#include "storage/lwlock.h"

#define RESERVED_MAX	65536	/* remote orders in conversation,
								 * cluster-wide: those of 64 workers */
#define BEING_STARTED	(-1)	/* in place of a worker's pid */
#define SILENCE_FILE	"bcpaid.silence"	/* in the data directory, during
											 * one */

typedef struct WakeEntry
{
	Oid			database;		/* InvalidOid: free */
	Oid			owner;			/* whom the worker runs as, as last seen */
	bool		pending;		/* something was committed */
	bool		missed;			/* a note was lost */
	TimestampTz due;			/* next time without a wake-up, or infinity */
	TimestampTz not_before;		/* no worker before this time */
	bool		must_leave;		/* its worker is asked to go at once */
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
	bool		no_slot;		/* max_worker_processes is used up */
	bool		unclean;		/* a time of silence is to come, or not over */
	TimestampTz silent_until;	/* when it ends; 0: not begun */
	TimestampTz started_at;		/* when this memory was made, or silence began */
	int64		clock_offset;	/* of the system's clock, when last looked at */
	bool		clock_was_set;	/* forward: that is why we are silent */
	int			reserved_to;	/* slots of `reserved` ever used */
	Reservation reserved[RESERVED_MAX];
	int			n;
	WakeEntry	entries[FLEXIBLE_ARRAY_MEMBER];
} WakeShared;

/* NULL in a server that did not preload us. */
extern WakeShared *shared;

/* Reserve and attach the memory; from _PG_init at preload. */
extern void shared_install(void);

/* The entry of a database, or a free one for it; the caller holds the lock. */
extern WakeEntry *shared_find(Oid database, bool create);

/* Is it due without a worker?  If later, `next` becomes no later than that. */
extern bool shared_is_due(const WakeEntry *entry, TimestampTz now, TimestampTz *next);

/* When a silence that begins now ends: what was sent has arrived, and shows. */
extern TimestampTz shared_silence_from_now(void);

/* Its worker is gone; none comes for so long, or longer if that was said before. */
extern void shared_set_free(WakeEntry *entry, int pause_ms);

#endif							/* BCPAID_SHARED_H */
