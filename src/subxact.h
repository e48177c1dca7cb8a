/*-------------------------------------------------------------------------
 *
 * subxact.h
 *	  Run something in a subtransaction, so that its errors end there.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_SUBXACT_H
#define BCPAID_SUBXACT_H

typedef void (*SubxactWork) (void *arg);

/*
 * Run `work`; returns NULL, or the error that it ended with, in the caller's
 * memory context.  A cancel or a termination is passed on: it is meant for
 * the whole transaction.  Not in parallel mode, where no subtransaction can
 * be started.
 */
extern ErrorData *subxact_run(SubxactWork work, void *arg);

#endif							/* BCPAID_SUBXACT_H */
