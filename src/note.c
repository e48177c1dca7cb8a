/*-------------------------------------------------------------------------
 *
 * note.c
 *	  Odoo's triggers: note what changed, write it down once before commit.
 *
 * In shell, this would be
 *
 *	  trap 'sort -u "$notes" >> candidates' COMMIT
 *
 * It runs inside the accountant's transaction, so it may not fail, not wait
 * and not cost.  A row trigger appends eight bytes to memory.  Before commit,
 * one internal subtransaction appends all notes to bcpaid.candidate, a plain
 * heap without key or index: an upsert or a unique key could end in a
 * serialization failure at COMMIT, which Odoo does not retry.  Whatever goes
 * wrong there is a WARNING, and asks for a sweep.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "note.h"
#include "wake.h"

/*
 * More notes than this in one transaction: have a sweep instead (8 MB).  And
 * a candidates' table that nobody reads stops growing here (64 MB).
 */
#define NOTES_MAX		1000000
#define CANDIDATE_BLOCKS_MAX (64 * 1024 * 1024 / BLCKSZ)

typedef struct Note
{
	int32		ref;
	char		kind;
} Note;

/* Where the notes of a subtransaction begin: what its abort takes away. */
typedef struct Level
{
	SubTransactionId id;
	int			first;
} Level;

static Note *notes = NULL;		/* in TopTransactionContext, gone with it */
static int	note_count = 0;
static int	note_room = 0;
static Level *levels = NULL;
static int	level_count = 0;
static int	level_room = 0;
static bool too_many = false;
static Oid	noted_owner = InvalidOid;	/* of Odoo's tables */
static bool callbacks_registered = false;
static bool ignoring = false;

/* prototypes of private functions */
static bool row_matters(TriggerData *trigger, HeapTuple row);
static bool condition_holds(const char *condition, HeapTuple row, TupleDesc desc);
static bool any_changed(const char *columns, TriggerData *trigger);
static bool column_changed(const char *name, TriggerData *trigger);
static void add_note(char kind, int32 ref);
static void enter_level(void);
static void at_transaction_event(XactEvent event, void *arg);
static void at_subtransaction_event(SubXactEvent event, SubTransactionId id,
									SubTransactionId parent, void *arg);
static void forget_all(void);
static void flush(void);
static bool append_notes(void);
static void append_to(Relation candidate);

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

	if (!CALLED_AS_TRIGGER(fcinfo) || trigger->tg_trigger->tgnargs != 4)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("bcpaid.note() is a trigger function with four arguments"),
				 errhint("bcpaid.attach() makes its triggers.")));

	row = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ?
		trigger->tg_newtuple : trigger->tg_trigtuple;
	if (ignoring || !row_matters(trigger, row))
		return PointerGetDatum(NULL);
	noted_owner = trigger->tg_relation->rd_rel->relowner;

	column = SPI_fnumber(trigger->tg_relation->rd_att,
						 trigger->tg_trigger->tgargs[1]);
	if (column <= 0 ||
		SPI_gettypeid(trigger->tg_relation->rd_att, column) != INT4OID)
	{
		too_many = true;		/* the column is gone, or no int4: have a sweep */
		add_note('?', 0);
		return PointerGetDatum(NULL);
	}
	ref = heap_getattr(row, column, trigger->tg_relation->rd_att, &is_null);
	if (!is_null)
		add_note(trigger->tg_trigger->tgargs[0][0], DatumGetInt32(ref));
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

static void
add_note(char kind, int32 ref)
{
	if (!callbacks_registered)
	{
		RegisterXactCallback(at_transaction_event, NULL);
		RegisterSubXactCallback(at_subtransaction_event, NULL);
		callbacks_registered = true;
	}
	if (note_count >= NOTES_MAX)
	{
		too_many = true;
		return;
	}
	enter_level();
	if (note_count > levels[level_count - 1].first &&
		notes[note_count - 1].ref == ref && notes[note_count - 1].kind == kind)
		return;					/* the same row again, as Odoo often does */

	if (note_count == note_room)
	{
		MemoryContext caller = MemoryContextSwitchTo(TopTransactionContext);

		note_room = note_room == 0 ? 64 : note_room * 2;
		notes = notes == NULL ? palloc(note_room * sizeof(Note)) :
			repalloc(notes, note_room * sizeof(Note));
		MemoryContextSwitchTo(caller);
	}
	notes[note_count].ref = ref;
	notes[note_count++].kind = kind;
}

/* Remember where the current subtransaction's notes begin. */
static void
enter_level(void)
{
	SubTransactionId id = GetCurrentSubTransactionId();

	if (level_count > 0 && levels[level_count - 1].id == id)
		return;
	if (level_count == level_room)
	{
		MemoryContext caller = MemoryContextSwitchTo(TopTransactionContext);

		level_room = level_room == 0 ? 8 : level_room * 2;
		levels = levels == NULL ? palloc(level_room * sizeof(Level)) :
			repalloc(levels, level_room * sizeof(Level));
		MemoryContextSwitchTo(caller);
	}
	levels[level_count].id = id;
	levels[level_count++].first = note_count;
}

static void
at_subtransaction_event(SubXactEvent event, SubTransactionId id,
						SubTransactionId parent, void *arg)
{
	if (level_count == 0 || levels[level_count - 1].id != id)
		return;

	if (event == SUBXACT_EVENT_ABORT_SUB)
		note_count = levels[--level_count].first;
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		/* Its notes are the parent's now. */
		if (level_count > 1 && levels[level_count - 2].id == parent)
			level_count--;
		else
			levels[level_count - 1].id = parent;
	}
}

static void
at_transaction_event(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			if (note_count > 0 || too_many)
				flush();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			forget_all();
			break;
		default:
			break;
	}
}

/* The memory itself went with TopTransactionContext. */
static void
forget_all(void)
{
	notes = NULL;
	levels = NULL;
	note_count = note_room = level_count = level_room = 0;
	too_many = false;
}

/*
 * Append all notes, in one subtransaction whose failure is only a WARNING.
 *
 * A cancel or a termination is passed on: it is meant for the transaction.
 * But only when the subtransaction is gone: the error would otherwise end
 * that one alone, and leave a session that no ROLLBACK can save.
 */
static void
flush(void)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool written = false;

	if (!too_many)
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		BeginInternalSubTransaction(NULL);
		MemoryContextSwitchTo(context);
		PG_TRY();
		{
			written = append_notes();
			ReleaseCurrentSubTransaction();
		}
		PG_CATCH();
		{
			ErrorData  *error;

			MemoryContextSwitchTo(context);
			error = CopyErrorData();
			FlushErrorState();
			RollbackAndReleaseCurrentSubTransaction();
			if (error->sqlerrcode == ERRCODE_QUERY_CANCELED ||
				error->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN)
				ReThrowError(error);
			written = false;
			ereport(WARNING,
					(errcode(error->sqlerrcode),
					 errmsg("bcpaid could not note this payment: %s", error->message),
					 errdetail("The transaction is not affected; a sweep will find the payment.")));
		}
		PG_END_TRY();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		PopActiveSnapshot();
	}

	note_count = 0;
	level_count = 0;
	if (written)
		wake_at_commit(noted_owner);
	else
		wake_missed_at_commit(noted_owner);
}

/*
 * False, with a WARNING, if the table is locked or full: waiting for it would
 * make the accountant wait.
 */
static bool
append_notes(void)
{
	Oid			schema = get_namespace_oid("bcpaid", false);
	Oid			table = get_relname_relid("candidate", schema);
	Relation	candidate;

	if (!OidIsValid(table))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table bcpaid.candidate does not exist")));
	if (!ConditionalLockRelationOid(table, RowExclusiveLock))
	{
		ereport(WARNING,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("bcpaid could not note this payment: table bcpaid.candidate is locked"),
				 errdetail("The transaction is not affected; a sweep will find the payment.")));
		return false;
	}

	candidate = table_open(table, NoLock);
	if (RelationGetNumberOfBlocks(candidate) > CANDIDATE_BLOCKS_MAX)
	{
		table_close(candidate, NoLock);
		return false;			/* nobody reads it: the sweep will do */
	}
	append_to(candidate);
	table_close(candidate, NoLock);
	return true;
}

static void
append_to(Relation candidate)
{
	TupleDesc	desc = RelationGetDescr(candidate);
	CommandId	command = GetCurrentCommandId(true);
	BulkInsertState bulk = GetBulkInsertState();

	if (candidate->rd_rel->relkind != RELKIND_RELATION ||
		candidate->rd_rel->relam != HEAP_TABLE_AM_OID ||
		desc->natts != 2 || TupleDescAttr(desc, 0)->atttypid != CHAROID ||
		TupleDescAttr(desc, 1)->atttypid != INT4OID)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("bcpaid.candidate is not the table that it should be")));

	for (int i = 0; i < note_count; i++)
	{
		Datum		values[2] = {CharGetDatum(notes[i].kind), Int32GetDatum(notes[i].ref)};
		bool		nulls[2] = {false, false};
		HeapTuple	tuple = heap_form_tuple(desc, values, nulls);

		heap_insert(candidate, tuple, command, 0, bulk);
		heap_freetuple(tuple);
	}
	FreeBulkInsertState(bulk);
}
