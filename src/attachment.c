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
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "attachment.h"
#include "elevate.h"

/* The columns of bcpaid.attachment that hold the queries. */
static const char *const query_columns[ODOO_QUERIES] = {
	[ODOO_CHEAP] = "cheap",
	[ODOO_PLAIN] = "plain",
	[ODOO_JUDGE] = "judge",
	[ODOO_EXPLAIN] = "explain",
	[ODOO_RESOLVE] = "resolve",
	[ODOO_SWEEP] = "sweep",
	[ODOO_APPLY] = "apply",
	[ODOO_TOKEN] = "token",
};

typedef struct Attachment
{
	MemoryContext context;		/* of all below but the plans */
	Oid			table;			/* bcpaid.attachment, whose invalidation ends
								 * it all */
	bool		is_complete;	/* no error came in between */
	bool		may_be_old;		/* read in parallel mode, by the snapshot that
								 * was there */
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
static void free_plans(void);
static void read_row(HeapTuple row, TupleDesc desc);
static char *text_column(HeapTuple row, TupleDesc desc, const char *name);
static void read_columns(HeapTuple row, TupleDesc desc);
static bool column_exists(const char *path);

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
 * not be lost.  Complete only after: an error (a lock timeout) must not be
 * taken for "nothing is attached".
 */
static void
load(void)
{
	Oid			schema;
	Elevation	elevation;

	if (cache_is_valid && cached.is_complete &&
		(!cached.may_be_old || IsInParallelMode()))
		return;
	if (!callback_registered)
	{
		CacheRegisterRelcacheCallback(forget_at_invalidation, (Datum) 0);
		callback_registered = true;
	}
	free_plans();
	if (cached.context != NULL)
		MemoryContextDelete(cached.context);
	memset(&cached, 0, sizeof(cached));

	schema = elevate_schema();
	if (OidIsValid(schema))
		cached.table = get_relname_relid("attachment", schema);
	if (!OidIsValid(cached.table))
		return;					/* asked again each time */

	cached.context = AllocSetContextCreate(CacheMemoryContext, "bcpaid attachment",
										   ALLOCSET_SMALL_SIZES);
	cache_is_valid = true;

	/*
	 * The invalidation came with a commit that an older snapshot does not
	 * see.
	 */
	if (!IsInParallelMode())
		PushActiveSnapshot(GetLatestSnapshot());
	SPI_connect();
	elevate_up(&elevation);
	if (SPI_execute("SELECT * FROM bcpaid.attachment", true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read bcpaid.attachment");
	if (SPI_processed == 1)
		read_row(SPI_tuptable->vals[0], SPI_tuptable->tupdesc);
	elevate_end(&elevation);
	SPI_finish();
	if (!IsInParallelMode())
		PopActiveSnapshot();
	cached.may_be_old = IsInParallelMode();
	cached.is_complete = true;
}

/*
 * Not while one may be running: a trigger of Odoo's, fired by our own apply,
 * may ask us something.  Such plans, a rare few, are left behind.
 */
static void
free_plans(void)
{
	for (int i = 0; i < ODOO_QUERIES; i++)
	{
		if (cached.plan[i] != NULL && !InSecurityRestrictedOperation())
			SPI_freeplan(cached.plan[i]);
	}
}

static void
read_row(HeapTuple row, TupleDesc desc)
{
	MemoryContext caller = MemoryContextSwitchTo(cached.context);

	for (int i = 0; i < ODOO_QUERIES; i++)
		cached.text[i] = text_column(row, desc, query_columns[i]);
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


SPIPlanPtr
attachment_plan(OdooQuery query)
{
	load();
	return cached.plan[query];
}

void
attachment_keep_plan(OdooQuery query, SPIPlanPtr plan)
{
	cached.plan[query] = plan;
}

/* NULL if nothing is attached, or the profile has no such query. */
const char *
attachment_text(OdooQuery query)
{
	load();
	return cached.attached ? cached.text[query] : NULL;
}
