/*-------------------------------------------------------------------------
 *
 * claim.h
 *	  Which captures are taken up now, and when others will be.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_CLAIM_H
#define BCPAID_CLAIM_H

#include "datatype/timestamp.h"

/*
 * Claim what is due and begin its conversations; outside a transaction.
 * Without `news`, and while no store that we have met has room, only once a
 * second: for other stores, and for tests.  Returns when to try again what
 * failed, or was not looked for: by clock_now(), DT_NOEND if neither, or if a
 * conversation's end will tell.
 */
extern TimestampTz claim_due(bool news);

/* A work_run() step: sets a QueueNext. */
extern void claim_next_due(void *next);

#endif							/* BCPAID_CLAIM_H */
