/*-------------------------------------------------------------------------
 *
 * wake.h
 *	  The wake-up at commit, and the worker's side of it.
 *
 * A backend that committed work marks its database in shared memory and wakes the
 * launcher, and the database's worker if one runs.  A worker that leaves says
 * when its database is due next.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_WAKE_H
#define BCPAID_WAKE_H

#include "datatype/timestamp.h"

/* Was the library preloaded, so that somebody will send? */
extern bool wake_is_ready(void);

/* Is somebody due for whom there is no process? */
extern bool wake_waits_for_slot(void);

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
 * Have a database's worker leave at once, and none come for a while; when this
 * transaction commits: that of this database, which finds no bcpaid any more.
 */
extern void wake_send_away(Oid database, int pause_ms);
extern void wake_send_away_at_commit(void);

/*
 * The worker's side.  wake_enter() fails if the database has a worker.
 * wake_take_news() tells, once, that something was committed since.
 * wake_has_missed() goes on telling that a note was lost, until the sweep for
 * it is written down.  wake_must_leave() tells that somebody sent it away.
 * wake_leave() says when the database is due next and for how long no worker
 * shall come.
 */
extern bool wake_enter(Oid owner);
extern bool wake_take_news(void);
extern bool wake_has_missed(void);
extern void wake_clear_missed(void);
extern bool wake_must_leave(void);
extern void wake_leave(Oid owner, TimestampTz next_due, int pause_ms);
extern bool wake_others_wait(void);

#endif							/* BCPAID_WAKE_H */
