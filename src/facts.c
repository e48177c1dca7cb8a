/*-------------------------------------------------------------------------
 *
 * facts.c
 *	  What our own SQL asks of Odoo: judge, resolve, sweep, token.
 *
 * Granted to nobody: an error in here is ours to see.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "odoo.h"

/* prototypes of private functions */
static Datum put_order_ids(FunctionCallInfo fcinfo, OdooQuery query, Datum *values);

PG_FUNCTION_INFO_V1(bcpaid_judge);
PG_FUNCTION_INFO_V1(bcpaid_resolve);
PG_FUNCTION_INFO_V1(bcpaid_unswept);
PG_FUNCTION_INFO_V1(bcpaid_connector_token);
PG_FUNCTION_INFO_V1(bcpaid_judging_problem);

/* bcpaid.judge(int[]): every fact, for our own SQL; granted to nobody. */
Datum
bcpaid_judge(PG_FUNCTION_ARGS)
{
	Datum		order_ids = PG_GETARG_DATUM(0);

	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	odoo_query(ODOO_JUDGE, &order_ids, true);
	odoo_put_rows((ReturnSetInfo *) fcinfo->resultinfo);
	SPI_finish();
	return (Datum) 0;
}

/* bcpaid.resolve(payments, moves, lines) and bcpaid.unswept(after, up_to): order ids. */
Datum
bcpaid_resolve(PG_FUNCTION_ARGS)
{
	Datum		values[3] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), PG_GETARG_DATUM(2)};

	return put_order_ids(fcinfo, ODOO_RESOLVE, values);
}

Datum
bcpaid_unswept(PG_FUNCTION_ARGS)
{
	Datum		values[2] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)};

	return put_order_ids(fcinfo, ODOO_SWEEP, values);
}

static Datum
put_order_ids(FunctionCallInfo fcinfo, OdooQuery query, Datum *values)
{
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	SPI_connect();
	odoo_query(query, values, true);
	odoo_put_rows((ReturnSetInfo *) fcinfo->resultinfo);
	SPI_finish();
	return (Datum) 0;
}

Datum
bcpaid_connector_token(PG_FUNCTION_ARGS)
{
	Datum		store_id = PG_GETARG_DATUM(0);
	MemoryContext caller = CurrentMemoryContext;
	char	   *token = NULL;

	if (!superuser())			/* default privileges may have granted it */
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FUNCTION, "connector_token");
	SPI_connect();
	if (attachment_text(ODOO_TOKEN) != NULL)
	{
		odoo_query(ODOO_TOKEN, &store_id, true);
		if (SPI_processed == 1)
			token = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
		token = token == NULL ? NULL : MemoryContextStrdup(caller, token);
	}
	SPI_finish();
	if (token == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(token));
}

/* bcpaid.judging_problem(): why nothing can be judged here, NULL if it can; asked in each round. */
Datum
bcpaid_judging_problem(PG_FUNCTION_ARGS)
{
	const char *problem = NULL;
	const char *missing;

	if (!attachment_exists())
		problem = "bcpaid is not attached: run SELECT bcpaid.attach()";
	else if ((missing = attachment_missing_column()) != NULL)
		problem = psprintf("column %s is gone from Odoo: run SELECT bcpaid.attach() again", missing);
	else if (odoo_owner_is_too_mighty(attachment_owner()))
		problem = "sale_order belongs to a superuser, and this database does not: give it to the role that Odoo works as";
	if (problem == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(problem));
}
