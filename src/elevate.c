/*-------------------------------------------------------------------------
 *
 * elevate.c
 *	  Run a few statements as somebody else, and leave nothing behind.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "utils/guc.h"

#include "elevate.h"

/* prototypes of private functions */
static void begin(Elevation *saved, Oid user, int more_context);
static void set(const char *name, const char *value);

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
	set("jit", "off");			/* compiling would take longer than any of the
								 * queries */
}

void
elevate_fence(Elevation *saved)
{
	begin(saved, GetUserId(), 0);
}

void
elevate_end(const Elevation *saved)
{
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
	GetUserIdAndSecContext(&saved->user, &saved->sec_context);
	saved->guc_level = NewGUCNestLevel();
	SetUserIdAndSecContext(user, saved->sec_context | more_context);
	set("search_path", "pg_catalog, pg_temp");
}

static void
set(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}
