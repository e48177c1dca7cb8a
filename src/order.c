/*-------------------------------------------------------------------------
 *
 * order.c
 *	  Set orders in Odoo to Captured.
 *
 * The ledger holds the truth; sale_order only shows it.  So this is a
 * transaction of a few milliseconds, which does not wait for Odoo: if somebody
 * holds a row, it comes again later.  Where one order fails, each has a
 * transaction of its own; where one takes long (somebody's trigger), it soon
 * has, so that it does not hold the others.
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
#define TOGETHER_MAX	32		/* in one transaction ... */
#define TOGETHER_MS		5		/* ... which begins with no more after this */
#define LOCKED_RETRY_MS 500
#define HASTE_MS		100		/* while stores wait for us */
#define LONG_BACKOFF	3		/* failures: what a person must mend is not
								 * urgent */

typedef struct Orders
{
	QueueApply *orders;
	int			n;
} Orders;

/* prototypes of private functions */
static void find_due(void *arg);
static void apply(void *arg);
static void apply_one(QueueApply *one);
static void apply_failed(void *arg);

bool
order_apply_due(bool in_haste)
{
	static WorkPatience patience;
	static int	together = 1;
	TimestampTz until = in_haste ?
	TimestampTzPlusMilliseconds(clock_now(), HASTE_MS) : DT_NOEND;
	Orders		due = {0};
	int			done = 0;

	if (work_try(&patience, "looking for settled captures", find_due, &due) == WORK_FAILED)
		return false;

	while (done < due.n)
	{
		Orders		some = {due.orders + done, Min(together, due.n - done)};
		TimestampTz begun = clock_now();

		CHECK_FOR_INTERRUPTS();
		if (begun > until)
			return true;
		if (work_run("setting orders to Captured", apply, &some) == WORK_FAILED)
		{
			if (some.n > 1)
			{
				together = 1;
				continue;
			}
			(void) work_run("setting an order to Captured", apply_failed, some.orders);
		}
		stop_point("apply.committed");
		done += some.n;
		if (clock_now() > TimestampTzPlusMilliseconds(begun, 2 * TOGETHER_MS))
			together = 1;
		else
			together = Min(2 * together, TOGETHER_MAX);
	}
	return due.n == ORDERS_AT_ONCE;
}

static void
find_due(void *arg)
{
	Orders	   *due = arg;

	due->n = queue_unapplied(ORDERS_AT_ONCE, &due->orders);
}

/* Orders and their captures change together, or not at all.  What there was no time for is left. */
static void
apply(void *arg)
{
	Orders	   *some = arg;
	TimestampTz until = TimestampTzPlusMilliseconds(clock_now(), TOGETHER_MS);
	int			n = 0;

	while (n < some->n && (n == 0 || clock_now() < until))
		apply_one(&some->orders[n++]);
	work_may_be_lost();			/* they are captured still, and applied again */
	queue_applied(some->orders, n);
	some->n = n;
	stop_point("apply.done");
}

static void
apply_one(QueueApply *one)
{
	Datum		values[2] = {Int32GetDatum(one->order_id), Int64GetDatum(one->remote)};

	one->detail = NULL;			/* of a transaction that failed */
	one->delay_ms = 0;
	odoo_query(ODOO_APPLY, values, false);
	one->outcome = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (one->outcome == NULL)
		elog(ERROR, "the profile's apply query returned nothing");
	if (strcmp(one->outcome, "no value") == 0)
	{
		one->detail = "the connector has no value that means Captured any more";
		one->delay_ms = pace_backoff_ms(LONG_BACKOFF + one->failures);
	}
	else if (strcmp(one->outcome, "locked") == 0)
	{
		one->detail = "somebody is working on the order in Odoo";
		one->delay_ms = LOCKED_RETRY_MS;
	}
}

/* Something in Odoo refuses the update: the capture stands, and is shown with it. */
static void
apply_failed(void *arg)
{
	QueueApply *one = arg;

	one->outcome = "failed";
	one->detail = psprintf("Odoo refused the status: %s", work_error());
	one->delay_ms = pace_backoff_ms(LONG_BACKOFF + one->failures);
	queue_applied(one, 1);
}
