/*-------------------------------------------------------------------------
 *
 * notes.h
 *	  What a transaction changed: kept in memory, written down before commit.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_NOTES_H
#define BCPAID_NOTES_H

/*
 * Note that a row changed.  Gone with its (sub)transaction's abort.  `owner`
 * is the owner of Odoo's tables.
 */
extern void notes_add(char kind, int32 ref, Oid owner);

/* Something changed that cannot be noted: have a sweep after the commit. */
extern void notes_miss(Oid owner);

#endif							/* BCPAID_NOTES_H */
