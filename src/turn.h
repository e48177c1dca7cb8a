/*-------------------------------------------------------------------------
 *
 * turn.h
 *	  Whose turn it is: the launcher's side of the shared memory.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_TURN_H
#define BCPAID_TURN_H

#include "datatype/timestamp.h"

/* An invalid owner asks for a visit: who is it, and is anything due? */
typedef struct Turn
{
	Oid			database;
	Oid			owner;
} Turn;

extern void turn_launcher_starts(void);
extern void turn_launcher_ends(void);

/* Is it kept track of? */
extern bool turn_knows(Oid database);

/* Have a database visited, unless there is no room; forget one, unless it is there and has news. */
extern bool turn_add(Oid database);
extern void turn_forget(Oid database, bool is_gone);

/*
 * The database that should get a worker now, marked as taken.  False if there
 * is none; `next` is then when one will be due, or infinity.
 */
extern bool turn_next(Turn *turn, TimestampTz *next);

/* The settings changed: have every database looked at. */
extern void turn_all_are_due(void);

/* There is no process for it: its turn is still to come. */
extern void turn_no_slot(Oid database);

/* A worker that never came, or did not say goodbye. */
extern void turn_over(Oid database, int pause_ms);

/* Was there no room for a database since the last call? */
extern bool turn_overflowed(void);

#endif							/* BCPAID_TURN_H */
