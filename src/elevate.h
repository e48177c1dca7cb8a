/*-------------------------------------------------------------------------
 *
 * elevate.h
 *	  Run a few statements as somebody else, and leave nothing behind.
 *
 * Two directions.  Up, to the extension's owner, around statements on our own
 * tables.  Down, to the owner of Odoo's tables, around statements on those:
 * whatever that role planted there (a trigger, a function behind an operator)
 * runs with its own rights, also when a superuser calls us.
 *
 * Every section gets a GUC nest level that is rolled back at its end, with
 * search_path set anew: a planted trigger could otherwise leave a poisoned
 * search_path for the next elevated statement.  An ERROR inside a section is
 * undone by the (sub)transaction's abort, which restores user and settings.
 *
 * Up, names in schema bcpaid are looked up as a superuser.  Who owns the
 * database may drop the extension and make a schema of that name himself, or
 * have had one all along: so nobody goes anywhere who does not find ours, and
 * meanwhile it cannot be dropped, not even by a trigger in this very session.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_ELEVATE_H
#define BCPAID_ELEVATE_H

#include "utils/relcache.h"

typedef struct Elevation
{
	Oid			user;
	int			sec_context;
	int			guc_level;
	Relation	ours;			/* what keeps the extension */
} Elevation;

/* Schema bcpaid; InvalidOid where there is none, or none of ours. */
extern Oid	elevate_schema(void);

/* To the extension's owner, for our own tables only. */
extern void elevate_up(Elevation *saved);

/* To `owner`, in a security-restricted operation. */
extern void elevate_down(Elevation *saved, Oid owner);

/* A setting for the rest of the section. */
extern void elevate_set(const char *name, const char *value);

extern void elevate_end(const Elevation *saved);

#endif							/* BCPAID_ELEVATE_H */
