/*-------------------------------------------------------------------------
 *
 * utility.c
 *	  Statements for which a worker has to go at once.
 *
 * DROP DATABASE, CREATE DATABASE ... TEMPLATE and their kin wait 5 s for
 * whoever is connected and then fail: the worker is asked to leave before
 * that.  DROP EXTENSION waits for nobody, but leaves a worker that waits for
 * a store without what it works on.  Nothing here raises an error of its own,
 * and what is not such a statement passes by a comparison or two.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/objectaccess.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/syscache.h"

#include "utility.h"
#include "wake.h"

#define AWAY_MS		10000		/* twice as long as core waits */

static ProcessUtility_hook_type previous_utility = NULL;
static object_access_hook_type previous_access = NULL;

/* prototypes of private functions */
static void on_utility(PlannedStmt *pstmt, const char *query, bool read_only,
					   ProcessUtilityContext context, ParamListInfo params,
					   QueryEnvironment *environment, DestReceiver *dest,
					   QueryCompletion *completion);
static const char *database_wanted(Node *statement);
static const char *option_text(List *options, const char *name);
static bool caller_owns(Oid database);
static void on_access(ObjectAccessType access, Oid class, Oid object, int sub, void *arg);
static bool is_bcpaid(Oid extension);

void
utility_install(void)
{
	previous_utility = ProcessUtility_hook;
	ProcessUtility_hook = on_utility;
	previous_access = object_access_hook;
	object_access_hook = on_access;
}

static void
on_utility(PlannedStmt *pstmt, const char *query, bool read_only,
		   ProcessUtilityContext context, ParamListInfo params,
		   QueryEnvironment *environment, DestReceiver *dest,
		   QueryCompletion *completion)
{
	const char *name = database_wanted(pstmt->utilityStmt);
	Oid			database = name ? get_database_oid(name, true) : InvalidOid;

	if (OidIsValid(database) && caller_owns(database))
		wake_send_away(database, AWAY_MS);

	if (previous_utility)
		previous_utility(pstmt, query, read_only, context, params, environment,
						 dest, completion);
	else
		standard_ProcessUtility(pstmt, query, read_only, context, params,
								environment, dest, completion);
}

/* The database that a statement wants for itself, NULL mostly. */
static const char *
database_wanted(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_DropdbStmt:
			return castNode(DropdbStmt, statement)->dbname;
		case T_CreatedbStmt:
			return option_text(castNode(CreatedbStmt, statement)->options, "template");
		case T_RenameStmt:
			if (castNode(RenameStmt, statement)->renameType == OBJECT_DATABASE)
				return castNode(RenameStmt, statement)->subname;
			return NULL;
		case T_AlterDatabaseStmt:
			if (option_text(castNode(AlterDatabaseStmt, statement)->options, "tablespace"))
				return castNode(AlterDatabaseStmt, statement)->dbname;
			return NULL;
		default:
			return NULL;
	}
}

static const char *
option_text(List *options, const char *name)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, name) == 0 && option->arg != NULL &&
			IsA(option->arg, String))
			return strVal(option->arg);
	}
	return NULL;
}

/* Else anybody could keep the worker away by statements that fail. */
static bool
caller_owns(Oid database)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
	bool		owns;

	if (!HeapTupleIsValid(tuple))
		return false;
	owns = has_privs_of_role(GetUserId(), ((Form_pg_database) GETSTRUCT(tuple))->datdba);
	ReleaseSysCache(tuple);
	return owns;
}

/* However it is dropped: by itself, with its schema, with its owner. */
static void
on_access(ObjectAccessType access, Oid class, Oid object, int sub, void *arg)
{
	if (previous_access)
		previous_access(access, class, object, sub, arg);
	if (access == OAT_DROP && class == ExtensionRelationId && is_bcpaid(object))
		wake_send_away_at_commit();
}

static bool
is_bcpaid(Oid extension)
{
	char	   *name = get_extension_name(extension);

	return name != NULL && strcmp(name, "bcpaid") == 0;
}
