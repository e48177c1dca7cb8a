/*-------------------------------------------------------------------------
 *
 * eligibility.c
 *	  bcpaid_can_mark(): is an order eligible, or which of a list are?
 *
 * The rule itself is SQL (src/sql/30-eligibility.sql); this file runs it as
 * the owner of Odoo's tables, and keeps its errors out of Odoo's way.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "lib/qunique.h"
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
	bool		can_mark;
} OneWork;

/* prototypes of private functions */
static void judge_one(void *arg);
static ArrayType *array_of(int order_id);
static int	distinct_ids(ArrayType *array, int32 **ids);
static int	compare_ids(const void *a, const void *b);
static void judge_set(void *arg);
static void judge_rest(SetWork *work, const int32 *ids, int n);
static void put_answer(SetWork *work, Datum order_id, bool can_mark);
static void run_judge(ArrayType *order_ids);
static bool bool_value(HeapTuple row, TupleDesc desc, int column);

PG_FUNCTION_INFO_V1(bcpaid_can_mark);
PG_FUNCTION_INFO_V1(bcpaid_can_mark_set);

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
	PG_RETURN_BOOL(odoo_try(judge_one, &work) && work.can_mark);
}

static void
judge_one(void *arg)
{
	OneWork    *work = arg;
	OdooAnswer	answer;
	Judgement	judgement;

	if (!eligibility_caller_may(ACL_SELECT))
		return;
	odoo_ask(&work->order_id, 1, &answer);
	work->can_mark = answer == ODOO_CAN_MARK ||
		(answer == ODOO_NOT_DECIDED && eligibility_judge(work->order_id, &judgement) && judgement.can_mark);
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

/* The set form: one row for each id that is an order. */
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
	int32	   *ids;
	int			n = distinct_ids(work->order_ids, &ids);
	OdooAnswer *answers = palloc(sizeof(OdooAnswer) * Max(n, 1));
	int			undecided = 0;

	if (!eligibility_caller_may(ACL_SELECT))
		return;
	odoo_ask(ids, n, answers);
	for (int i = 0; i < n; i++)
	{
		if (answers[i] == ODOO_NOT_DECIDED)
			ids[undecided++] = ids[i];
		else if (answers[i] != ODOO_NO_ORDER)
			put_answer(work, Int32GetDatum(ids[i]), answers[i] == ODOO_CAN_MARK);
	}
	if (undecided > 0)
		judge_rest(work, ids, undecided);
}

/* Sorted, too: orders that were made together lie together. */
static int
distinct_ids(ArrayType *array, int32 **ids)
{
	Datum	   *elements;
	bool	   *nulls;
	int			n;
	int			found = 0;

	deconstruct_array(array, INT4OID, 4, true, TYPALIGN_INT, &elements, &nulls, &n);
	*ids = palloc(sizeof(int32) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		if (!nulls[i])
			(*ids)[found++] = DatumGetInt32(elements[i]);
	}
	qsort(*ids, found, sizeof(int32), compare_ids);
	return qunique(*ids, found, sizeof(int32), compare_ids);
}

static int
compare_ids(const void *a, const void *b)
{
	int32		left = *(const int32 *) a;
	int32		right = *(const int32 *) b;

	return (left > right) - (left < right);
}

static void
judge_rest(SetWork *work, const int32 *ids, int n)
{
	Datum	   *elements = palloc(sizeof(Datum) * n);

	for (int i = 0; i < n; i++)
		elements[i] = Int32GetDatum(ids[i]);
	SPI_connect();
	run_judge(construct_array(elements, n, INT4OID, 4, true, TYPALIGN_INT));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		is_null;

		put_answer(work, SPI_getbinval(row, desc, JUDGE_ORDER_ID, &is_null),
				   bool_value(row, desc, JUDGE_CAN_MARK));
	}
	SPI_finish();
}

static void
put_answer(SetWork *work, Datum order_id, bool can_mark)
{
	Datum		values[2] = {order_id, BoolGetDatum(can_mark)};
	bool		nulls[2] = {false, false};

	tuplestore_putvalues(work->result->setResult, work->result->setDesc, values, nulls);
}
