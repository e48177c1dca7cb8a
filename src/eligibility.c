/*-------------------------------------------------------------------------
 *
 * eligibility.c
 *	  bcpaid_can_mark(), bcpaid_why_not() and their kin.
 *
 * The rule itself is SQL (src/sql/30-eligibility.sql); this file runs it as
 * the owner of Odoo's tables, and keeps its errors out of Odoo's way.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "attachment.h"
#include "eligibility.h"
#include "odoo.h"

/* Columns of the judge query, see 31-judge.sql. */
#define JUDGE_ORDER_ID		1
#define JUDGE_CAN_MARK		8
#define JUDGE_CAPTURE_ID	11
#define JUDGE_STATE			12

typedef struct SetWork
{
	ArrayType  *order_ids;
	ReturnSetInfo *result;
} SetWork;

typedef struct OneWork
{
	int			order_id;
	bool		found;
	Judgement	judgement;
} OneWork;

/* prototypes of private functions */
static void judge_one(void *arg);
static bool is_answered(OdooQuery query, int order_id, bool *answer);
static ArrayType *array_of(int order_id);
static void judge_set(void *arg);
static void run_judge(ArrayType *order_ids);
static bool bool_value(HeapTuple row, TupleDesc desc, int column);
static void put_explanation(ReturnSetInfo *result, const char *condition,
							const char *detail);
static void explain(void *arg);

PG_FUNCTION_INFO_V1(bcpaid_can_mark);
PG_FUNCTION_INFO_V1(bcpaid_can_mark_set);
PG_FUNCTION_INFO_V1(bcpaid_why_not);

bool
eligibility_caller_may(uint64 right)
{
	Oid			table = attachment_order_table();

	return OidIsValid(table) &&
		pg_class_aclcheck(table, GetUserId(), right) == ACLCHECK_OK;
}

/* Is the order eligible?  Whatever goes wrong means no. */
Datum
bcpaid_can_mark(PG_FUNCTION_ARGS)
{
	OneWork		work = {0};

	if (PG_ARGISNULL(0))
		PG_RETURN_BOOL(false);

	work.order_id = PG_GETARG_INT32(0);
	PG_RETURN_BOOL(odoo_try(judge_one, &work) &&
				   work.found && work.judgement.can_mark);
}

/*
 * The judge's query costs most, so two shorter ones come first: most orders
 * are decided by their own row and our ledger (cheap), most of the others by
 * invoices in which nothing is unusual (plain).
 */
static void
judge_one(void *arg)
{
	OneWork    *work = arg;
	bool		answer;

	if (!eligibility_caller_may(ACL_SELECT))
		return;
	if (is_answered(ODOO_CHEAP, work->order_id, &answer))
		return;					/* no such order, or a condition that fails */
	if (is_answered(ODOO_PLAIN, work->order_id, &answer))
	{
		work->found = true;
		work->judgement.can_mark = answer;
		return;
	}
	work->found = eligibility_judge(work->order_id, &work->judgement);
}

/* Does this query decide the order?  A NULL in its second column means no. */
static bool
is_answered(OdooQuery query, int order_id, bool *answer)
{
	Datum		order_ids = PointerGetDatum(array_of(order_id));
	bool		is_null = false;

	*answer = false;
	SPI_connect();
	odoo_query(query, &order_ids, true);
	if (SPI_processed == 1)
	{
		Datum		value = SPI_getbinval(SPI_tuptable->vals[0],
										  SPI_tuptable->tupdesc, 2, &is_null);

		*answer = query == ODOO_PLAIN && !is_null && DatumGetBool(value);
	}
	SPI_finish();
	return !is_null;
}

static ArrayType *
array_of(int order_id)
{
	Datum		element = Int32GetDatum(order_id);

	return construct_array(&element, 1, INT4OID, 4, true, TYPALIGN_INT);
}

bool
eligibility_judge(int order_id, Judgement *judgement)
{
	HeapTuple	row;
	TupleDesc	desc;
	bool		is_null;
	bool		found;

	SPI_connect();
	run_judge(array_of(order_id));
	found = SPI_processed == 1;
	if (found)
	{
		Datum		capture;
		char	   *state;

		row = SPI_tuptable->vals[0];
		desc = SPI_tuptable->tupdesc;
		capture = SPI_getbinval(row, desc, JUDGE_CAPTURE_ID, &is_null);
		state = SPI_getvalue(row, desc, JUDGE_STATE);
		judgement->order_id = order_id;
		judgement->capture_id = is_null ? 0 : DatumGetInt64(capture);
		judgement->can_mark = bool_value(row, desc, JUDGE_CAN_MARK);
		judgement->is_captured_or_under_way = state != NULL &&
			strcmp(state, "refused") != 0 && strcmp(state, "held") != 0 &&
			strcmp(state, "cancelled") != 0 && strcmp(state, "not_ours") != 0;
	}
	SPI_finish();
	return found;
}

static void
run_judge(ArrayType *order_ids)
{
	Datum		value = PointerGetDatum(order_ids);

	odoo_query(ODOO_JUDGE, &value, true);
}

static bool
bool_value(HeapTuple row, TupleDesc desc, int column)
{
	bool		is_null;
	Datum		value = SPI_getbinval(row, desc, column, &is_null);

	return !is_null && DatumGetBool(value);
}

/* The set form: one query for a whole list; ids that are no order are left out. */
Datum
bcpaid_can_mark_set(PG_FUNCTION_ARGS)
{
	SetWork		work;

	InitMaterializedSRF(fcinfo, 0);
	work.result = (ReturnSetInfo *) fcinfo->resultinfo;
	if (!PG_ARGISNULL(0))
	{
		work.order_ids = PG_GETARG_ARRAYTYPE_P(0);
		(void) odoo_try(judge_set, &work);
	}
	return (Datum) 0;
}

static void
judge_set(void *arg)
{
	SetWork    *work = arg;

	if (!eligibility_caller_may(ACL_SELECT))
		return;
	SPI_connect();
	run_judge(work->order_ids);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		nulls[2] = {false, false};
		Datum		values[2];

		values[0] = SPI_getbinval(row, desc, JUDGE_ORDER_ID, &nulls[0]);
		values[1] = BoolGetDatum(bool_value(row, desc, JUDGE_CAN_MARK));
		tuplestore_putvalues(work->result->setResult, work->result->setDesc,
							 values, nulls);
	}
	SPI_finish();
}

/* Every condition with its fact; a broken profile is told as a condition, too. */
Datum
bcpaid_why_not(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result;
	SetWork		work;
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
		work.order_ids = array_of(PG_GETARG_INT32(0));
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
	SetWork    *work = arg;
	Datum		order_id = Int32GetDatum(*(int32 *) ARR_DATA_PTR(work->order_ids));

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
eligibility_why_not(int order_id)
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

		if (!bool_value(row, desc, 2))
		{
			MemoryContextSwitchTo(caller);
			why = psprintf("%s: %s", SPI_getvalue(row, desc, 1),
						   SPI_getvalue(row, desc, 3));
		}
	}
	SPI_finish();
	return why;
}
