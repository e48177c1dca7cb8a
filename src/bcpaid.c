/*-------------------------------------------------------------------------
 *
 * bcpaid.c
 *	  Where PostgreSQL finds us: settings, shared memory, the launcher.
 *
 * Read on in this order: mark.c and note.c (what Odoo calls), worker.c,
 * capture.c (the flow), bigcommerce.c, http.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "guc.h"
#include "shared.h"
#include "utility.h"
#include "worker.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

/*
 * Loaded late, by a session's first call, only the settings are there: calls
 * of SQL work, nobody sends.  In pg_upgrade's server nobody sends, either.
 */
void
_PG_init(void)
{
	bool		preloading = process_shared_preload_libraries_in_progress;

	guc_define(preloading);
	if (!preloading || IsBinaryUpgrade)
		return;

	shared_install();
	utility_install();
	launcher_register();
}
