/*-------------------------------------------------------------------------
 *
 * mark.c
 *	  bcpaid_mark(): a person asks for the capture of an order.
 *
 * Runs in the person's own transaction: what is enqueued here is sent only
 * after it commits.  Also the two functions by which our SQL code works on
 * Odoo's tables without the rights of a superuser.
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
#include "utils/json.h"
#include "utils/tuplestore.h"

#include "attachment.h"
#include "bigcommerce.h"
#include "elevate.h"
#include "eligibility.h"
#include "explain.h"
#include "odoo.h"
#include "wake.h"

/* prototypes of private functions */
static int64 enqueue(int order_id);
static void refuse(int order_id);
static void put_row_as_json(HeapTuple row, TupleDesc desc, void *arg);

PG_FUNCTION_INFO_V1(bcpaid_mark);
PG_FUNCTION_INFO_V1(bcpaid_as_owner);
PG_FUNCTION_INFO_V1(bcpaid_caller);
PG_FUNCTION_INFO_V1(bcpaid_wake);
PG_FUNCTION_INFO_V1(bcpaid_sender_is_ready);
PG_FUNCTION_INFO_V1(bcpaid_waits_for_slot);
PG_FUNCTION_INFO_V1(bcpaid_missing_column);
PG_FUNCTION_INFO_V1(bcpaid_marker);

/*
 * Enqueue the capture of an order; twice is the same as once.
 */
Datum
bcpaid_mark(PG_FUNCTION_ARGS)
{
	int			order_id = PG_GETARG_INT32(0);
	Judgement	judgement;
	int64		capture_id;

	if (OidIsValid(attachment_order_table()) && !eligibility_caller_may(ACL_UPDATE))
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, "sale_order");

	if (!eligibility_judge(order_id, &judgement))
		refuse(order_id);
	if (!judgement.can_mark && judgement.is_captured_or_under_way)
	{
		ereport(NOTICE,
				(errmsg("order %d has a capture already", order_id),
				 errdetail("Capture %lld is under way or done; nothing was added.",
						   (long long) judgement.capture_id)));
		PG_RETURN_INT64(judgement.capture_id);
	}
	if (!judgement.can_mark)
		refuse(order_id);

	capture_id = enqueue(order_id);
	if (!wake_is_ready())
		ereport(WARNING,
				(errmsg("the capture is recorded, but nobody will send it"),
				 errdetail("The library bcpaid was not loaded at the start of the server."),
				 errhint("Add bcpaid to shared_preload_libraries and restart the server.")));
	wake_at_commit(attachment_owner());
	PG_RETURN_INT64(capture_id);
}

static void
refuse(int order_id)
{
	char	   *why = explain_why_not(order_id);

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("order %d cannot be marked as paid", order_id),
			 why ? errdetail("Condition not met: %s.", why) : 0,
			 errhint("SELECT * FROM bcpaid_why_not(%d) shows every condition.", order_id)));
}

static int64
enqueue(int order_id)
{
	Oid			types[2] = {INT4OID, TEXTOID};
	Datum		values[2];
	Elevation	elevation;
	int64		capture_id;
	bool		is_null;

	values[0] = Int32GetDatum(order_id);
	values[1] = CStringGetTextDatum(GetUserNameFromId(GetUserId(), false));
	SPI_connect();
	elevate_up(&elevation);
	if (SPI_execute_with_args("SELECT bcpaid.enqueue_by_hand($1, $2)",
							  2, types, values, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not enqueue order %d", order_id);
	capture_id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
											 SPI_tuptable->tupdesc, 1, &is_null));
	elevate_end(&elevation);
	SPI_finish();
	return capture_id;
}

/*
 * bcpaid.as_owner(query, VARIADIC args): run a statement as the owner of
 * Odoo's tables and return its rows as jsonb.  Granted to nobody: only our
 * own SECURITY DEFINER functions call it.
 */
Datum
bcpaid_as_owner(PG_FUNCTION_ARGS)
{
	char	   *query = text_to_cstring(PG_GETARG_TEXT_PP(0));
	Datum	   *values;
	bool	   *are_null;
	char	   *nulls;
	int			nargs;

	if (!superuser())			/* default privileges may have granted it */
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FUNCTION, "as_owner");
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT,
					  &values, &are_null, &nargs);
	nulls = palloc(Max(nargs, 1));
	for (int i = 0; i < nargs; i++)
		nulls[i] = are_null[i] ? 'n' : ' ';

	SPI_connect();
	odoo_query_text(query, nargs, values, nulls, put_row_as_json,
					fcinfo->resultinfo);
	SPI_finish();
	return (Datum) 0;
}

static void
put_row_as_json(HeapTuple row, TupleDesc desc, void *arg)
{
	ReturnSetInfo *result = arg;
	Datum		record = heap_copy_tuple_as_datum(row, BlessTupleDesc(desc));
	Datum		json = DirectFunctionCall1(row_to_json, record);
	Datum		jsonb = DirectFunctionCall1(jsonb_in,
											CStringGetDatum(TextDatumGetCString(json)));
	bool		is_null = false;

	tuplestore_putvalues(result->setResult, result->setDesc, &jsonb, &is_null);
}

/*
 * bcpaid.caller(): who called the SECURITY DEFINER function that asks.
 *
 * That is the session's user, and so nobody's to ask for where that user has
 * lent his session to a lesser one: what Odoo's role planted on its tables
 * could otherwise call us in the name of the superuser that touched them.
 */
Datum
bcpaid_caller(PG_FUNCTION_ARGS)
{
	if (InSecurityRestrictedOperation())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot call this function from a trigger or policy on Odoo's tables")));
	PG_RETURN_OID(GetOuterUserId());
}

/* bcpaid.wake(): have the worker look at what this transaction commits. */
Datum
bcpaid_wake(PG_FUNCTION_ARGS)
{
	wake_at_commit(attachment_owner());
	PG_RETURN_VOID();
}

Datum
bcpaid_sender_is_ready(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(wake_is_ready());
}

Datum
bcpaid_waits_for_slot(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(wake_waits_for_slot());
}

Datum
bcpaid_missing_column(PG_FUNCTION_ARGS)
{
	const char *missing = attachment_missing_column();

	if (missing == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(missing));
}

/* bcpaid.marker(store_hash, remote_order_id) */
Datum
bcpaid_marker(PG_FUNCTION_ARGS)
{
	char		marker[BC_MARKER_LEN];

	bigcommerce_marker(text_to_cstring(PG_GETARG_TEXT_PP(0)), PG_GETARG_INT64(1), marker);
	PG_RETURN_TEXT_P(cstring_to_text(marker));
}
