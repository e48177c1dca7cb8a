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
 * Returns when to try again what failed: by clock_now(), DT_NOEND if it did
 * not.
 */
extern TimestampTz claim_due(void);

/* A work_run() step: sets a QueueNext. */
extern void claim_next_due(void *next);

#endif							/* BCPAID_CLAIM_H */
