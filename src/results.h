/*-------------------------------------------------------------------------
 *
 * results.h
 *	  What stores answered: write it down, and take the next step.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_RESULTS_H
#define BCPAID_RESULTS_H

/* Outside a transaction.  False if there was nothing to write down. */
extern bool results_settle(void);

#endif							/* BCPAID_RESULTS_H */
