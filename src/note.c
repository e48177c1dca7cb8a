/*-------------------------------------------------------------------------
 *
 * note.c
 *	  Odoo's triggers: which rows are worth a note.
 *
 * Runs for each row that Odoo changes: it looks at the row alone, and appends
 * eight bytes to memory (notes.c).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/datum.h"
#include "utils/rel.h"

#include "note.h"
#include "notes.h"

static bool ignoring = false;

/* prototypes of private functions */
static bool row_matters(TriggerData *trigger, HeapTuple row);
static bool condition_holds(const char *condition, HeapTuple row, TupleDesc desc);
static bool any_changed(const char *columns, TriggerData *trigger);
static bool column_changed(const char *name, TriggerData *trigger);

PG_FUNCTION_INFO_V1(bcpaid_note);

void
note_ignore_this_session(void)
{
	ignoring = true;
}

/*
 * bcpaid.note(kind, column, only, changed): note a row.
 *
 * The arguments, and why they stand in the place of WHEN and UPDATE OF, are
 * described in src/sql/35-attach.sql.
 */
Datum
bcpaid_note(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	HeapTuple	row;
	int			column;
	bool		is_null;
	Datum		ref;
	Oid			owner;

	if (!CALLED_AS_TRIGGER(fcinfo) || trigger->tg_trigger->tgnargs != 4)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("bcpaid.note() is a trigger function with four arguments"),
				 errhint("bcpaid.attach() makes its triggers.")));

	row = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ?
		trigger->tg_newtuple : trigger->tg_trigtuple;
	if (ignoring || !row_matters(trigger, row))
		return PointerGetDatum(NULL);

	owner = trigger->tg_relation->rd_rel->relowner;
	column = SPI_fnumber(trigger->tg_relation->rd_att,
						 trigger->tg_trigger->tgargs[1]);
	if (column <= 0 ||
		SPI_gettypeid(trigger->tg_relation->rd_att, column) != INT4OID)
	{
		notes_miss(owner);		/* the column is gone, or no int4 */
		return PointerGetDatum(NULL);
	}
	ref = heap_getattr(row, column, trigger->tg_relation->rd_att, &is_null);
	if (!is_null)
		notes_add(trigger->tg_trigger->tgargs[0][0], DatumGetInt32(ref), owner);
	return PointerGetDatum(NULL);
}

static bool
row_matters(TriggerData *trigger, HeapTuple row)
{
	char	  **args = trigger->tg_trigger->tgargs;

	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) &&
		args[3][0] != '\0' && !any_changed(args[3], trigger))
		return false;
	return args[2][0] == '\0' ||
		condition_holds(args[2], row, trigger->tg_relation->rd_att);
}

/* Is one of these comma separated columns different now? */
static bool
any_changed(const char *columns, TriggerData *trigger)
{
	char		name[NAMEDATALEN];

	while (*columns != '\0')
	{
		size_t		length = strcspn(columns, ",");

		strlcpy(name, columns, Min(length + 1, sizeof(name)));
		if (column_changed(name, trigger))
			return true;
		columns += length + (columns[length] == ',');
	}
	return false;
}

/* Compared byte by byte: a new spelling of an equal value is news, too. */
static bool
column_changed(const char *name, TriggerData *trigger)
{
	TupleDesc	desc = trigger->tg_relation->rd_att;
	int			column = SPI_fnumber(desc, name);
	Form_pg_attribute attribute;
	Datum		old_value,
				new_value;
	bool		old_is_null,
				new_is_null;

	if (column <= 0)
		return true;
	attribute = TupleDescAttr(desc, column - 1);
	old_value = heap_getattr(trigger->tg_trigtuple, column, desc, &old_is_null);
	new_value = heap_getattr(trigger->tg_newtuple, column, desc, &new_is_null);
	if (old_is_null || new_is_null)
		return old_is_null != new_is_null;
	return !datum_image_eq(old_value, new_value, attribute->attbyval,
						   attribute->attlen);
}

/* Does 'a=x,y;b=z' hold for the row?  A column that is gone holds. */
static bool
condition_holds(const char *condition, HeapTuple row, TupleDesc desc)
{
	while (*condition != '\0')
	{
		size_t		length = strcspn(condition, ";");
		size_t		name_length = strcspn(condition, "=");
		char		name[NAMEDATALEN];
		int			column;
		char	   *value;
		bool		found = false;

		strlcpy(name, condition, Min(name_length + 1, sizeof(name)));
		column = SPI_fnumber(desc, name);
		value = column > 0 ? SPI_getvalue(row, desc, column) : NULL;
		for (size_t at = name_length; value != NULL && at < length && !found;)
		{
			size_t		word = strcspn(condition + at + 1, ",;");

			found = strlen(value) == word &&
				strncmp(value, condition + at + 1, word) == 0;
			at += word + 1;
		}
		if (column > 0 && !found)
			return false;
		condition += length + (condition[length] == ';');
	}
	return true;
}
