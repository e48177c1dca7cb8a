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
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_ELEVATE_H
#define BCPAID_ELEVATE_H

typedef struct Elevation
{
	Oid			user;
	int			sec_context;
	int			guc_level;
} Elevation;

/* To the extension's owner, for our own tables only. */
extern void elevate_up(Elevation *saved);

/* To `owner`, in a security-restricted operation. */
extern void elevate_down(Elevation *saved, Oid owner);

/* Only the settings: for a session that is `owner` already. */
extern void elevate_fence(Elevation *saved);

extern void elevate_end(const Elevation *saved);

#endif							/* BCPAID_ELEVATE_H */
