/*-------------------------------------------------------------------------
 *
 * explain.c
 *	  bcpaid_why_not(): every condition of an order, with the fact behind it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "funcapi.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "attachment.h"
#include "eligibility.h"
#include "explain.h"
#include "odoo.h"

typedef struct ExplainWork
{
	int			order_id;
	ReturnSetInfo *result;
} ExplainWork;

/* prototypes of private functions */
static void explain(void *arg);
static void put_explanation(ReturnSetInfo *result, const char *condition,
							const char *detail);
static bool is_met(HeapTuple row, TupleDesc desc);

PG_FUNCTION_INFO_V1(bcpaid_why_not);

/* Every condition with its fact; a broken profile is told as a condition, too. */
Datum
bcpaid_why_not(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result;
	ExplainWork work;
	const char *missing;

	InitMaterializedSRF(fcinfo, 0);
	result = (ReturnSetInfo *) fcinfo->resultinfo;
	if (!OidIsValid(attachment_order_table()))
		put_explanation(result, "profile", "this database has no table sale_order");
	else if (!eligibility_caller_may(ACL_SELECT))
		put_explanation(result, "access", "you may not read sale_order");
	else if (!attachment_exists())
		put_explanation(result, "profile", "bcpaid is not attached: run SELECT bcpaid.attach()");
	else if ((missing = attachment_missing_column()) != NULL)
		put_explanation(result, "profile",
						psprintf("column %s is gone: run SELECT bcpaid.attach() again", missing));
	else if (PG_ARGISNULL(0))
		put_explanation(result, "link", "no order given");
	else
	{
		work.order_id = PG_GETARG_INT32(0);
		work.result = result;
		if (!odoo_try(explain, &work))
			put_explanation(result, "profile",
							"the profile's queries fail: SELECT * FROM bcpaid.doctor() says why");
	}
	return (Datum) 0;
}

static void
explain(void *arg)
{
	ExplainWork *work = arg;
	Datum		order_id = Int32GetDatum(work->order_id);

	SPI_connect();
	odoo_query(ODOO_EXPLAIN, &order_id, true);
	odoo_put_rows(work->result);
	SPI_finish();
}

static void
put_explanation(ReturnSetInfo *result, const char *condition, const char *detail)
{
	Datum		values[3] = {CStringGetTextDatum(condition), BoolGetDatum(false),
	CStringGetTextDatum(detail)};
	bool		nulls[3] = {false, false, false};

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

char *
explain_why_not(int order_id)
{
	MemoryContext caller = CurrentMemoryContext;
	Datum		value = Int32GetDatum(order_id);
	char	   *why = NULL;

	SPI_connect();
	odoo_query(ODOO_EXPLAIN, &value, true);
	for (uint64 i = 0; i < SPI_processed && why == NULL; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;

		if (!is_met(row, desc))
		{
			MemoryContextSwitchTo(caller);
			why = psprintf("%s: %s", SPI_getvalue(row, desc, 1),
						   SPI_getvalue(row, desc, 3));
		}
	}
	SPI_finish();
	return why;
}

static bool
is_met(HeapTuple row, TupleDesc desc)
{
	bool		is_null;
	Datum		value = SPI_getbinval(row, desc, 2, &is_null);

	return !is_null && DatumGetBool(value);
}
