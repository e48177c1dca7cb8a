/*-------------------------------------------------------------------------
 *
 * odoo.c
 *	  Run queries on Odoo's tables, as their owner and never with more rights.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_database.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "parser/parse_coerce.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

#include "elevate.h"
#include "odoo.h"
#include "odoo_plan.h"
#include "subxact.h"

#define MAX_COLUMNS 13

/*
 * Parameters and results of the queries.  Results are checked: their types
 * are those of Odoo's columns, or of whatever a restore loaded, and a Datum of
 * another type than expected would be garbage.
 */
static const struct
{
	const char *name;
	Oid			parameters[3];
	Oid			results[MAX_COLUMNS];
}			queries[ODOO_QUERIES] = {
	[ODOO_CHEAP] = {"cheap", {INT4OID}, {INT4OID, BOOLOID}},
	[ODOO_PLAIN] = {"plain", {INT4OID}, {INT4OID, BOOLOID}},
	[ODOO_JUDGE] = {"judge", {INT4ARRAYOID},
	{INT4OID, INT4OID, TEXTOID, INT8OID, NUMERICOID, TEXTOID, INT4OID,
	BOOLOID, BOOLOID, BOOLOID, INT8OID, TEXTOID, TEXTOID}},
	[ODOO_EXPLAIN] = {"explain", {INT4OID}, {TEXTOID, BOOLOID, TEXTOID}},
	[ODOO_RESOLVE] = {"resolve", {INT4ARRAYOID, INT4ARRAYOID, INT4ARRAYOID}, {INT4OID}},
	[ODOO_SWEEP] = {"sweep", {INT4OID, INT4OID}, {INT4OID}},
	[ODOO_APPLY] = {"apply", {INT4OID, INT8OID}, {TEXTOID}},
	[ODOO_TOKEN] = {"token", {INT4OID}, {TEXTOID}},
};

/* prototypes of private functions */
static SPIPlanPtr plan_text(const char *query, int nargs, bool keep);
static Oid	owner_or_error(void);
static Oid	owner_of_database(void);

void
odoo_query(OdooQuery query, Datum *values, bool read_only)
{
	Elevation	elevation;
	int			result;

	elevate_down(&elevation, odoo_owner(query));
	elevate_set("jit", "off");	/* compiling would take longer than any query */
	result = SPI_execute_plan(odoo_plan(query), values, NULL, read_only, 0);
	if (result < 0)
		elog(ERROR, "could not run query \"%s\": %s", queries[query].name,
			 SPI_result_code_string(result));
	odoo_check_result(query, SPI_tuptable->tupdesc);
	elevate_end(&elevation);
}

Oid
odoo_owner(OdooQuery query)
{
	if (attachment_text(query) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("bcpaid is not attached in this database"),
				 errhint("Run SELECT bcpaid.attach() as the owner of sale_order.")));
	return owner_or_error();
}

/* Generic: planning anew for each order would cost twenty times as much. */
SPIPlanPtr
odoo_plan(OdooQuery query)
{
	SPIPlanPtr	plan = attachment_plan(query);
	int			nargs = 0;

	if (plan != NULL)
		return plan;
	while (nargs < lengthof(queries[query].parameters) &&
		   OidIsValid(queries[query].parameters[nargs]))
		nargs++;
	plan = SPI_prepare_cursor(attachment_text(query), nargs,
							  (Oid *) queries[query].parameters,
							  CURSOR_OPT_GENERIC_PLAN | CURSOR_OPT_NO_SCROLL);
	if (plan == NULL || SPI_keepplan(plan) != 0)
		elog(ERROR, "could not prepare query \"%s\"", queries[query].name);
	attachment_keep_plan(query, plan);
	return plan;
}

void
odoo_check_result(OdooQuery query, TupleDesc desc)
{
	bool		fits = desc != NULL && desc->natts <= MAX_COLUMNS;

	for (int i = 0; fits && i < MAX_COLUMNS; i++)
	{
		Oid			wanted = queries[query].results[i];

		if (i >= desc->natts)
			fits = !OidIsValid(wanted);
		else
			fits = OidIsValid(wanted) &&
				IsBinaryCoercible(TupleDescAttr(desc, i)->atttypid, wanted);
	}
	if (!fits)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("query \"%s\" returns columns of other types than expected",
						queries[query].name),
				 errhint("Run SELECT bcpaid.attach() again.")));
}

static Oid
owner_or_error(void)
{
	Oid			owner = attachment_owner();

	if (!OidIsValid(owner))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("this database has no table \"sale_order\""),
				 errhint("bcpaid works in an Odoo database with the Sales and Invoicing apps installed.")));
	if (odoo_owner_is_too_mighty(owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("table \"sale_order\" belongs to a superuser, and this database does not"),
				 errdetail("Whatever the database's owner planted would run with a superuser's rights."),
				 errhint("Give Odoo's tables to the role that Odoo works as, with ALTER TABLE ... OWNER TO.")));
	return owner;
}

/*
 * Never down to a superuser, but where every owner is one (as in Odoo's own
 * container images): what a lesser role planted would rise with us.
 */
bool
odoo_owner_is_too_mighty(Oid owner)
{
	return OidIsValid(owner) && superuser_arg(owner) && !superuser_arg(owner_of_database());
}

static Oid
owner_of_database(void)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(MyDatabaseId));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for database %u", MyDatabaseId);
	owner = ((Form_pg_database) GETSTRUCT(tuple))->datdba;
	ReleaseSysCache(tuple);
	return owner;
}

void
odoo_query_text(const char *query, int nargs, Datum *values,
				const char *nulls, OdooRow row, void *arg)
{
	Elevation	elevation;
	Oid			owner = owner_or_error();
	bool		is_below = InSecurityRestrictedOperation();
	int			result;

	elevate_down(&elevation, owner);
	elevate_set("jit", "off");
	result = SPI_execute_plan(plan_text(query, nargs, !is_below), values, nulls, false, 0);
	if (result < 0)
		elog(ERROR, "could not run a query as Odoo's owner: %s",
			 SPI_result_code_string(result));
	for (uint64 i = 0; SPI_tuptable != NULL && i < SPI_processed; i++)
		row(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, arg);
	elevate_end(&elevation);
}

/*
 * The worker asks where it is in each round, always with the same text: the
 * last plan is kept.  Not for who asks us from below, while it may be running.
 */
static SPIPlanPtr
plan_text(const char *query, int nargs, bool keep)
{
	static SPIPlanPtr last = NULL;
	static int	last_nargs;
	static char last_text[200];
	Oid		   *types;
	SPIPlanPtr	plan;

	if (keep && last != NULL && last_nargs == nargs && strcmp(last_text, query) == 0)
		return last;

	types = palloc(sizeof(Oid) * Max(nargs, 1));
	for (int i = 0; i < nargs; i++)
		types[i] = TEXTOID;
	plan = SPI_prepare(query, nargs, types);
	if (plan == NULL)
		elog(ERROR, "could not prepare a query as Odoo's owner: %s",
			 SPI_result_code_string(SPI_result));
	if (keep && strlen(query) < sizeof(last_text) && SPI_keepplan(plan) == 0)
	{
		if (last != NULL)
			SPI_freeplan(last);
		last = plan;
		last_nargs = nargs;
		strcpy(last_text, query);
	}
	return plan;
}

/*
 * In parallel mode no subtransaction can catch an error: there, what a
 * changed Odoo could break is looked at beforehand, and what is left comes
 * from the machine (out of memory), not from us.
 */
bool
odoo_try(OdooWork work, void *arg)
{
	ErrorData  *error;

	if (IsInParallelMode())
	{
		if (!attachment_exists() || attachment_missing_column() != NULL)
			return false;
		work(arg);
		return true;
	}

	error = subxact_run(work, arg);
	if (error != NULL)
		FreeErrorData(error);
	return error == NULL;
}

void
odoo_put_rows(ReturnSetInfo *result)
{
	for (uint64 i = 0; i < SPI_processed; i++)
		tuplestore_puttuple(result->setResult, SPI_tuptable->vals[i]);
}
