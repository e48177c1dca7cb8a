/*-------------------------------------------------------------------------
 *
 * attachment.c
 *	  This database's Odoo: who owns it, and the queries that read it.
 *
 * What is cached here is thrown away when bcpaid.attachment changes (a
 * trigger on it sends a relation-cache invalidation for the table) and when
 * any relation cache is reset.  A plan over a column that Odoo drops is
 * invalidated by PostgreSQL itself.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "attachment.h"
#include "elevate.h"
#include "subxact.h"

/* Column of bcpaid.attachment, and the types of the query's parameters. */
static const struct
{
	const char *column;
	int			nargs;
	Oid			types[3];
}			queries[ODOO_QUERIES] = {
	[ODOO_CHEAP] = {"cheap", 1, {INT4ARRAYOID}},
	[ODOO_PLAIN] = {"plain", 1, {INT4ARRAYOID}},
	[ODOO_JUDGE] = {"judge", 1, {INT4ARRAYOID}},
	[ODOO_EXPLAIN] = {"explain", 1, {INT4OID}},
	[ODOO_RESOLVE] = {"resolve", 3, {INT4ARRAYOID, INT4ARRAYOID, INT4ARRAYOID}},
	[ODOO_SWEEP] = {"sweep", 2, {INT4OID, INT4OID}},
	[ODOO_APPLY] = {"apply", 1, {INT4OID}},
	[ODOO_TOKEN] = {"token", 1, {INT4OID}},
};

typedef struct Attachment
{
	MemoryContext context;		/* of all below but the plans */
	Oid			table;			/* bcpaid.attachment, whose invalidation ends it all */
	bool		attached;
	char	   *odoo_schema;
	char	   *text[ODOO_QUERIES];
	SPIPlanPtr	plan[ODOO_QUERIES];
	char	  **columns;		/* schema.table.column */
	int			ncolumns;
} Attachment;

static Attachment cached;
static bool cache_is_valid = false;
static bool callback_registered = false;

/* prototypes of private functions */
static void forget_at_invalidation(Datum arg, Oid relation);
static void load(void);
static void read_row(HeapTuple row, TupleDesc desc);
static char *text_column(HeapTuple row, TupleDesc desc, const char *name);
static void read_columns(HeapTuple row, TupleDesc desc);
static bool column_exists(const char *path);
static Oid	owner_or_error(void);

PG_FUNCTION_INFO_V1(bcpaid_attachment_changed);

/* Trigger on bcpaid.attachment: every backend reads it anew. */
Datum
bcpaid_attachment_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		elog(ERROR, "bcpaid.attachment_changed() is a trigger function");
	CacheInvalidateRelcache(trigger->tg_relation);
	return PointerGetDatum(NULL);
}

static void
forget_at_invalidation(Datum arg, Oid relation)
{
	if (relation == InvalidOid || relation == cached.table)
		cache_is_valid = false;
}

/*
 * Read bcpaid.attachment, unless it is known.
 *
 * Marked valid before it is read: an invalidation that arrives meanwhile must
 * not be lost.
 */
static void
load(void)
{
	Oid			schema;
	Elevation	elevation;

	if (cache_is_valid)
		return;
	if (!callback_registered)
	{
		CacheRegisterRelcacheCallback(forget_at_invalidation, (Datum) 0);
		callback_registered = true;
	}
	for (int i = 0; i < ODOO_QUERIES; i++)
	{
		if (cached.plan[i] != NULL)
			SPI_freeplan(cached.plan[i]);
	}
	if (cached.context != NULL)
		MemoryContextDelete(cached.context);
	memset(&cached, 0, sizeof(cached));

	schema = get_namespace_oid("bcpaid", true);
	if (OidIsValid(schema))
		cached.table = get_relname_relid("attachment", schema);
	if (!OidIsValid(cached.table))
		return;

	cached.context = AllocSetContextCreate(CacheMemoryContext, "bcpaid attachment",
										   ALLOCSET_SMALL_SIZES);
	cache_is_valid = true;

	SPI_connect();
	elevate_up(&elevation);
	if (SPI_execute("SELECT * FROM bcpaid.attachment", true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read bcpaid.attachment");
	if (SPI_processed == 1)
		read_row(SPI_tuptable->vals[0], SPI_tuptable->tupdesc);
	elevate_end(&elevation);
	SPI_finish();
}

static void
read_row(HeapTuple row, TupleDesc desc)
{
	MemoryContext caller = MemoryContextSwitchTo(cached.context);

	for (int i = 0; i < ODOO_QUERIES; i++)
		cached.text[i] = text_column(row, desc, queries[i].column);
	cached.odoo_schema = text_column(row, desc, "odoo_schema");
	read_columns(row, desc);
	cached.attached = true;
	MemoryContextSwitchTo(caller);
}

static char *
text_column(HeapTuple row, TupleDesc desc, const char *name)
{
	bool		is_null;
	Datum		value = SPI_getbinval(row, desc, SPI_fnumber(desc, name), &is_null);

	return is_null ? NULL : TextDatumGetCString(value);
}

static void
read_columns(HeapTuple row, TupleDesc desc)
{
	bool		is_null;
	Datum		value = SPI_getbinval(row, desc, SPI_fnumber(desc, "columns"), &is_null);
	Datum	   *elements;

	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, NULL, &cached.ncolumns);
	cached.columns = palloc(sizeof(char *) * Max(cached.ncolumns, 1));
	for (int i = 0; i < cached.ncolumns; i++)
		cached.columns[i] = TextDatumGetCString(elements[i]);
}

bool
attachment_exists(void)
{
	load();
	return cached.attached;
}

bool
attachment_has(OdooQuery query)
{
	load();
	return cached.attached && cached.text[query] != NULL;
}

Oid
attachment_order_table(void)
{
	Oid			schema;

	load();
	schema = get_namespace_oid(cached.attached ? cached.odoo_schema : "public", true);
	return OidIsValid(schema) ? get_relname_relid("sale_order", schema) : InvalidOid;
}

Oid
attachment_owner(void)
{
	Oid			table = attachment_order_table();
	HeapTuple	tuple;
	Oid			owner = InvalidOid;

	if (!OidIsValid(table))
		return InvalidOid;

	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	if (HeapTupleIsValid(tuple))
	{
		owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
		ReleaseSysCache(tuple);
	}
	return owner;
}

const char *
attachment_missing_column(void)
{
	load();
	for (int i = 0; i < cached.ncolumns; i++)
	{
		if (!column_exists(cached.columns[i]))
			return cached.columns[i];
	}
	return NULL;
}

/* Names are stored as they are: Odoo's hold no dot. */
static bool
column_exists(const char *path)
{
	char	   *schema = pstrdup(path);
	char	   *table = strchr(schema, '.');
	char	   *column;
	Oid			schema_oid,
				table_oid;

	if (table == NULL || (column = strchr(table + 1, '.')) == NULL)
		return false;
	*table++ = '\0';
	*column++ = '\0';

	schema_oid = get_namespace_oid(schema, true);
	table_oid = OidIsValid(schema_oid) ? get_relname_relid(table, schema_oid) : InvalidOid;
	return OidIsValid(table_oid) &&
		get_attnum(table_oid, column) != InvalidAttrNumber;
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
	return owner;
}

void
attachment_query(OdooQuery query, Datum *values, bool read_only)
{
	Elevation	elevation;
	Oid			owner;
	int			result;

	load();
	if (!cached.attached || cached.text[query] == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("bcpaid is not attached in this database"),
				 errhint("Run SELECT bcpaid.attach() as the owner of sale_order.")));
	owner = owner_or_error();

	elevate_down(&elevation, owner);
	if (cached.plan[query] == NULL)
	{
		/* Generic: planning anew for each order would cost twenty times as much. */
		SPIPlanPtr	plan = SPI_prepare_cursor(cached.text[query], queries[query].nargs,
											  (Oid *) queries[query].types,
											  CURSOR_OPT_GENERIC_PLAN);

		if (plan == NULL || SPI_keepplan(plan) != 0)
			elog(ERROR, "could not prepare query \"%s\"", queries[query].column);
		cached.plan[query] = plan;
	}
	result = SPI_execute_plan(cached.plan[query], values, NULL, read_only, 0);
	if (result < 0)
		elog(ERROR, "could not run query \"%s\": %s", queries[query].column,
			 SPI_result_code_string(result));
	elevate_end(&elevation);
}

void
attachment_query_text(const char *query, int nargs, Datum *values,
					  const char *nulls, AttachmentRow row, void *arg)
{
	Elevation	elevation;
	Oid			owner = owner_or_error();
	Oid		   *types = palloc(sizeof(Oid) * Max(nargs, 1));
	int			result;

	for (int i = 0; i < nargs; i++)
		types[i] = TEXTOID;

	elevate_down(&elevation, owner);
	result = SPI_execute_with_args(query, nargs, types, values, nulls, false, 0);
	if (result < 0)
		elog(ERROR, "could not run a query as Odoo's owner: %s",
			 SPI_result_code_string(result));
	for (uint64 i = 0; SPI_tuptable != NULL && i < SPI_processed; i++)
		row(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, arg);
	elevate_end(&elevation);
}

/*
 * In parallel mode no subtransaction can catch an error: there, what a
 * changed Odoo could break is looked at beforehand, and what is left comes
 * from the machine (out of memory), not from us.
 */
bool
attachment_try(AttachmentWork work, void *arg)
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
