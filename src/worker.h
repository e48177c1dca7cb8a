/*-------------------------------------------------------------------------
 *
 * worker.h
 *	  The two kinds of background process: one launcher, workers on demand.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_WORKER_H
#define BCPAID_WORKER_H

#define WORKER_LIBRARY	"bcpaid"

/* How a worker's bgw_extra says whom it runs as. */
typedef struct WorkerStart
{
	Oid			owner;			/* InvalidOid: a visit, to find out */
} WorkerStart;

extern void launcher_register(void);
extern PGDLLEXPORT void bcpaid_launcher_main(Datum arg);
extern PGDLLEXPORT void bcpaid_worker_main(Datum arg);

#endif							/* BCPAID_WORKER_H */
