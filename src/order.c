/*-------------------------------------------------------------------------
 *
 * order.c
 *	  Set orders in Odoo to Captured.
 *
 * The ledger holds the truth; sale_order only shows it.  So this is one tiny
 * transaction an order, which does not wait for Odoo: if somebody holds the
 * row, it comes again later.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "clock.h"
#include "odoo.h"
#include "order.h"
#include "pace.h"
#include "queue.h"
#include "stop.h"
#include "work.h"

#define ORDERS_AT_ONCE	200
#define LOCKED_RETRY_MS 500
#define HASTE_MS		100		/* while stores wait for us */
#define LONG_BACKOFF	3		/* failures: what a person must mend is not
								 * urgent */

typedef struct Due
{
	int64	   *captures;
	int		   *orders;
	int64	   *remotes;
	int		   *failures;
	int			n;
} Due;

typedef struct Apply
{
	int64		capture;
	int			order;
	int64		remote;
	int			failures;
} Apply;

/* prototypes of private functions */
static void find_due(void *arg);
static void apply(void *arg);
static void apply_failed(void *arg);

bool
order_apply_due(bool in_haste)
{
	static WorkPatience patience;
	TimestampTz until = in_haste ?
	TimestampTzPlusMilliseconds(clock_now(), HASTE_MS) : DT_NOEND;
	Due			due = {0};

	if (work_try(&patience, "looking for settled captures", find_due, &due) == WORK_FAILED)
		return false;

	for (int i = 0; i < due.n; i++)
	{
		Apply		one = {due.captures[i], due.orders[i], due.remotes[i], due.failures[i]};

		CHECK_FOR_INTERRUPTS();
		if (clock_now() > until)
			return true;
		if (work_run("setting an order to Captured", apply, &one) == WORK_FAILED)
			(void) work_run("setting an order to Captured", apply_failed, &one);
		stop_point("apply.committed");
	}
	return due.n == ORDERS_AT_ONCE;
}

static void
find_due(void *arg)
{
	Due		   *due = arg;

	due->n = queue_unapplied(ORDERS_AT_ONCE, &due->captures, &due->orders, &due->remotes,
							 &due->failures);
}

/* The order and its capture change together, or not at all. */
static void
apply(void *arg)
{
	Apply	   *one = arg;
	Datum		values[2] = {Int32GetDatum(one->order), Int64GetDatum(one->remote)};
	char	   *outcome;

	odoo_query(ODOO_APPLY, values, false);
	work_may_be_lost();			/* it is captured still, and applied again */
	outcome = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (outcome == NULL)
		elog(ERROR, "the profile's apply query returned nothing");
	if (strcmp(outcome, "no value") == 0)
		queue_applied(one->capture, outcome,
					  "the connector has no value that means Captured any more",
					  pace_backoff_ms(LONG_BACKOFF + one->failures));
	else
		queue_applied(one->capture, outcome,
					  "somebody is working on the order in Odoo", LOCKED_RETRY_MS);
	stop_point("apply.done");
}

/* Something in Odoo refuses the update: the capture stands, and is shown with it. */
static void
apply_failed(void *arg)
{
	Apply	   *one = arg;

	queue_applied(one->capture, "failed",
				  psprintf("Odoo refused the status: %s", work_error()),
				  pace_backoff_ms(LONG_BACKOFF + one->failures));
}
