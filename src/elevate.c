/*-------------------------------------------------------------------------
 *
 * elevate.c
 *	  Run a few statements as somebody else, and leave nothing behind.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_namespace.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "elevate.h"

/* prototypes of private functions */
static Relation hold(void);
static void begin(Elevation *saved, Oid user, int more_context);

PG_FUNCTION_INFO_V1(bcpaid_call_handler);

/*
 * The language of our SECURITY DEFINER functions: PL/pgSQL, with the
 * extension held from before the first name is looked up.  It must be a
 * language: whatever a function's body calls, it calls by name.
 */
Datum
bcpaid_call_handler(PG_FUNCTION_ARGS)
{
	static PGFunction plpgsql = NULL;
	Relation	ours = hold();
	Datum		result;

	if (plpgsql == NULL)
		plpgsql = load_external_function("$libdir/plpgsql", "plpgsql_call_handler", true, NULL);
	result = plpgsql(fcinfo);
	table_close(ours, NoLock);
	return result;
}

/* Ours belongs to a superuser, and nobody else may make anything in it. */
Oid
elevate_schema(void)
{
	Oid			schema = get_namespace_oid("bcpaid", true);
	HeapTuple	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	if (!superuser_arg(((Form_pg_namespace) GETSTRUCT(tuple))->nspowner))
		schema = InvalidOid;
	ReleaseSysCache(tuple);
	return schema;
}

/*
 * The lock keeps other sessions from dropping the extension, the open
 * relation (CheckTableNotInUse) this one.  An ERROR lets go of both.
 */
static Relation
hold(void)
{
	Oid			schema = elevate_schema();
	Oid			table = OidIsValid(schema) ? get_relname_relid("attachment", schema) : InvalidOid;

	if (!OidIsValid(table))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_SCHEMA),
				 errmsg("the extension bcpaid is gone")));
	return table_open(table, AccessShareLock);
}

void
elevate_up(Elevation *saved)
{
	begin(saved, BOOTSTRAP_SUPERUSERID, SECURITY_LOCAL_USERID_CHANGE);
}

void
elevate_down(Elevation *saved, Oid owner)
{
	begin(saved, owner,
		  SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
}

void
elevate_end(const Elevation *saved)
{
	table_close(saved->ours, NoLock);
	AtEOXact_GUC(false, saved->guc_level);
	SetUserIdAndSecContext(saved->user, saved->sec_context);
}

/*
 * GUC_ACTION_SAVE, as in a function's SET clause: undone with the nest level,
 * and allowed in parallel mode.
 */
static void
begin(Elevation *saved, Oid user, int more_context)
{
	saved->ours = hold();
	GetUserIdAndSecContext(&saved->user, &saved->sec_context);
	saved->guc_level = NewGUCNestLevel();
	SetUserIdAndSecContext(user, saved->sec_context | more_context);
	elevate_set("search_path", "pg_catalog, pg_temp");
}

void
elevate_set(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}
