/*-------------------------------------------------------------------------
 *
 * wake.h
 *	  Who has work: one shared table of databases, and the wake-up at commit.
 *
 * A backend that committed work marks its database here and wakes the
 * launcher, and the database's worker if one runs.  A worker that leaves says
 * when its database is due next.  Nothing here is durable: after a restart
 * the launcher visits every database once.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_WAKE_H
#define BCPAID_WAKE_H

#include "datatype/timestamp.h"

/* Reserve and attach shared memory; from _PG_init at preload. */
extern void wake_install(void);

/* Was the library preloaded, so that somebody will send? */
extern bool wake_is_ready(void);

/*
 * Wake whoever serves this database when this transaction commits.
 *
 * Once per transaction, however often called; not at all after an abort.
 * `owner` is the owner of Odoo's tables, whom the worker will run as.
 */
extern void wake_at_commit(Oid owner);

/* The same, and a note was lost: have this database swept after the commit. */
extern void wake_missed_at_commit(Oid owner);

/*
 * The launcher's side.  wake_next_turn() finds the database that should get a
 * worker now and marks it as taken; false if none, and `next` is when one
 * will be due.  An invalid owner asks for a visit: look who the owner is and
 * whether anything is due.
 */
typedef struct WakeTurn
{
	Oid			database;
	Oid			owner;
} WakeTurn;

extern void wake_launcher_starts(void);
extern void wake_launcher_ends(void);
extern void wake_add(Oid database);
extern bool wake_next_turn(WakeTurn *turn, TimestampTz *next);
extern void wake_turn_over(Oid database, int pause_ms);
extern void wake_forget(Oid database);
extern bool wake_overflowed(void);

/*
 * The worker's side.  wake_enter() fails if the database has a worker.
 * wake_take() tells, once, what was committed since; `missed` says that a
 * note was lost.  wake_leave() says when the database is due next and for how
 * long no worker shall come.
 */
extern bool wake_enter(Oid owner);
extern bool wake_take(bool *missed);
extern void wake_leave(Oid owner, TimestampTz next_due, int pause_ms);
extern bool wake_others_wait(void);

/* No store is written to before this time: see promise 1 in DESIGN.md. */
extern TimestampTz wake_quarantine_end(void);

/*
 * Reserve a remote order for this worker, cluster-wide; false if another
 * worker has it.  Reservations go with wake_leave().
 */
extern bool wake_reserve(const char *hash, int64 remote_order_id);
extern void wake_release(const char *hash, int64 remote_order_id);

#endif							/* BCPAID_WAKE_H */
