/*-------------------------------------------------------------------------
 *
 * job.h
 *	  The captures under way in this worker.
 *
 * A job is a claimed capture and the conversation about it.  It is moved on
 * by capture.c; here are its making, its conversations and its end.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_JOB_H
#define BCPAID_JOB_H

#include "lib/ilist.h"

#include "bigcommerce.h"
#include "queue.h"
#include "settle.h"

typedef struct Job
{
	dlist_node	node;
	MemoryContext context;		/* of the claim's strings and the job itself */
	QueueClaim	claim;
	BcResult	look;			/* what the write rests on */
	BcResult	result;			/* of the last conversation, if it has ended */
	bool		has_ended;
	TimestampTz asked_at;		/* when the last conversation began */
	TimestampTz ended_at;		/* when it ended */
	TimestampTz not_before;		/* its result could not be written down before */
	bool		is_chosen;		/* to be written down in this round */
	bool		is_test;		/* of a store, on behalf of no capture */
	int			owed;			/* requests that it may still make, told to
								 * pace.c */
	bool		is_settled;		/* what is read now can only lead to a warning */
	SettleStep	step;			/* what follows, once it is committed */
} Job;

extern dlist_head job_list;
extern int	job_count;

/* Make a job of a claim, with copies of its strings; job_drop() frees all. */
extern Job *job_make(const QueueClaim *claim);
extern void job_drop(Job *job);

/* Begin a conversation; its end shows as has_ended after job_collect(). */
extern void job_converse(Job *job, BcPurpose purpose);

/*
 * Read back what is settled; one of a store at a time is enough to tell, and
 * once it has told, those claimed before that need not.
 */
extern void job_read_back(Job *job);
extern bool job_reads_back(int store_id);
extern void job_was_read_back(int store_id);

/* A conversation that ended before it began. */
extern void job_end(Job *job, BcVerdict verdict, const char *reason);

/* How many more may be made now; if none, when more might without one's end. */
extern int	job_room(void);
extern TimestampTz job_room_at(void);

/* Have what was begun leave now: what the round does next takes longer. */
extern void job_push(void);

/* Take in the conversations that have ended. */
extern void job_collect(void);

/* Has a result that may be written down now?  When will a job have, that may not yet? */
extern bool job_is_ready(const Job *job);
extern TimestampTz job_next_ready(void);

#endif							/* BCPAID_JOB_H */
