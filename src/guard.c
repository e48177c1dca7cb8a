/*-------------------------------------------------------------------------
 *
 * guard.c
 *	  Nobody but bcpaid writes its tables once the environment is confirmed.
 *
 * A trigger on each of them, before every statement.  Until then a restore,
 * which runs as Odoo's role, must be able to load the ledger.  What is in no
 * backup nobody else ever writes: members of pg_write_all_data could.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/rel.h"

#include "elevate.h"

/* prototypes of private functions */
static bool may_be_restored(const char *table);
static bool is_confirmed(void);

PG_FUNCTION_INFO_V1(bcpaid_guard);

Datum
bcpaid_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	const char *table;

	if (!CALLED_AS_TRIGGER(fcinfo))
		elog(ERROR, "bcpaid.guard() is a trigger function");
	table = RelationGetRelationName(trigger->tg_relation);
	if (!superuser() && !(may_be_restored(table) && !is_confirmed()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("table bcpaid.%s is written by bcpaid only", table),
				 errhint("Use bcpaid_mark(), bcpaid.retry(), bcpaid.settle_by_hand() and their kin.")));
	return PointerGetDatum(NULL);
}

static bool
may_be_restored(const char *table)
{
	return strcmp(table, "progress") != 0 && strcmp(table, "environment") != 0;
}

static bool
is_confirmed(void)
{
	Elevation	elevation;
	bool		confirmed;

	SPI_connect();
	elevate_up(&elevation);
	if (SPI_execute("SELECT FROM bcpaid.environment", false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read bcpaid.environment");
	confirmed = SPI_processed > 0;
	elevate_end(&elevation);
	SPI_finish();
	return confirmed;
}
