/*-------------------------------------------------------------------------
 *
 * eligibility.h
 *	  Which orders are eligible, as the attached profile's query says.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_ELIGIBILITY_H
#define BCPAID_ELIGIBILITY_H

typedef struct Judgement
{
	int			order_id;
	int64		capture_id;		/* 0: none */
	bool		can_mark;
	bool		is_captured_or_under_way;
} Judgement;

/*
 * Judge one order, inside a transaction.  False if there is no such order.
 * Throws what the query throws.
 */
extern bool eligibility_judge(int order_id, Judgement *judgement);

/* May the calling user read (update) orders? */
extern bool eligibility_caller_may(uint64 right);

#endif							/* BCPAID_ELIGIBILITY_H */
