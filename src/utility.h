/*-------------------------------------------------------------------------
 *
 * utility.h
 *	  Statements for which a worker has to go at once.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_UTILITY_H
#define BCPAID_UTILITY_H

/* Install the hooks; from _PG_init at preload. */
extern void utility_install(void);

#endif							/* BCPAID_UTILITY_H */
