/*-------------------------------------------------------------------------
 *
 * work.h
 *	  The worker's transactions: short, bounded in time, immune to settings.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_WORK_H
#define BCPAID_WORK_H

#include "datatype/timestamp.h"

#define WORK_TIMEOUT_MS 10000	/* for one transaction, its commit included */
#define WORK_LOCK_TIMEOUT "500ms"

typedef enum WorkResult
{
	WORK_DONE,					/* committed, and durable as configured */
	WORK_FAILED,				/* rolled back, and logged unless this worker
								 * was sent away */
	WORK_CUT_SHORT				/* committed here, but a standby did not
								 * confirm */
} WorkResult;

typedef void (*WorkStep) (void *arg);

/*
 * Run `step` in a READ COMMITTED transaction of its own, connected to SPI.
 * An error is logged and ends only this step.  The caller's memory context is
 * current again afterwards; what `step` allocates in it survives.
 */
extern WorkResult work_run(const char *activity, WorkStep step, void *arg);

/*
 * The same, but after a failure not again before a pause that doubles from 2 s
 * to 8 min: whoever must mend it reads the log, not a flood of it.  WORK_FAILED
 * is the answer during the pause, too.
 */
typedef struct WorkPatience
{
	int			failures;
	TimestampTz not_before;
} WorkPatience;

extern WorkResult work_try(WorkPatience *patience, const char *activity,
						   WorkStep step, void *arg);

/* How many ended in WORK_FAILED so far. */
extern uint64 work_failures(void);

/* Words of the last WORK_FAILED, for the ledger; valid until the next work_run(). */
extern const char *work_error(void);

/*
 * From within a step: the commit need not wait for the disk.  A crash of the
 * server may lose it; only for what is then found undone, and done again.
 */
extern void work_may_be_lost(void);

/* Memory that outlives the transaction: that of work_run()'s caller. */
extern MemoryContext work_context(void);

#endif							/* BCPAID_WORK_H */
