/*-------------------------------------------------------------------------
 *
 * notes.c
 *	  What a transaction changed: kept in memory, written down before commit.
 *
 * In shell, this would be
 *
 *	  trap 'sort -u "$notes" >> candidates' COMMIT
 *
 * It runs inside the accountant's transaction, so it may not fail, not wait
 * and not cost.  Before commit, one internal subtransaction appends all notes
 * to bcpaid.candidate, a plain heap without key or index: an upsert or a
 * unique key could end in a serialization failure at COMMIT, which Odoo does
 * not retry.  Whatever goes wrong there is a WARNING, and asks for a sweep.
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
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "notes.h"
#include "stop.h"
#include "subxact.h"
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

/* prototypes of private functions */
static void listen(Oid owner);
static void enter_level(void);
static void at_transaction_event(XactEvent event, void *arg);
static void at_subtransaction_event(SubXactEvent event, SubTransactionId id,
									SubTransactionId parent, void *arg);
static void forget_all(void);
static void flush(void);
static void append_notes(void *written);
static void check_candidate(Relation candidate);
static void append_to(Relation candidate);

void
notes_miss(Oid owner)
{
	listen(owner);
	too_many = true;
}

void
notes_add(char kind, int32 ref, Oid owner)
{
	listen(owner);
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

/* Once in a backend, not in a transaction: the callbacks stay. */
static void
listen(Oid owner)
{
	noted_owner = owner;
	if (callbacks_registered)
		return;
	RegisterXactCallback(at_transaction_event, NULL);
	RegisterSubXactCallback(at_subtransaction_event, NULL);
	callbacks_registered = true;
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

/* Append all notes, in one subtransaction whose failure is only a WARNING. */
static void
flush(void)
{
	bool		written = false;
	ErrorData  *error = NULL;

	if (!too_many)
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		error = subxact_run(append_notes, &written);
		PopActiveSnapshot();
	}
	if (error != NULL)
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("bcpaid could not note this payment: %s", error->message),
				 errdetail("The transaction is not affected; a sweep will find the payment.")));

	stop_point("candidate.written");
	note_count = 0;
	level_count = 0;
	if (written && error == NULL)
		wake_at_commit(noted_owner);
	else
		wake_missed_at_commit(noted_owner);
}

/*
 * Sets `written`, unless the table is locked or full: waiting for it would
 * make the accountant wait.
 */
static void
append_notes(void *written)
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
		return;
	}

	candidate = table_open(table, NoLock);
	check_candidate(candidate);
	if (RelationGetNumberOfBlocks(candidate) <= CANDIDATE_BLOCKS_MAX)
	{
		append_to(candidate);
		*(bool *) written = true;
	}							/* else nobody reads it: the sweep will do */
	table_close(candidate, NoLock);
}

/* Before anything else is asked of it: a view has no blocks to be counted. */
static void
check_candidate(Relation candidate)
{
	TupleDesc	desc = RelationGetDescr(candidate);

	if (candidate->rd_rel->relkind != RELKIND_RELATION ||
		candidate->rd_rel->relam != HEAP_TABLE_AM_OID ||
		desc->natts != 2 || TupleDescAttr(desc, 0)->atttypid != CHAROID ||
		TupleDescAttr(desc, 1)->atttypid != INT4OID)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("bcpaid.candidate is not the table that it should be")));
}

static void
append_to(Relation candidate)
{
	TupleDesc	desc = RelationGetDescr(candidate);
	CommandId	command = GetCurrentCommandId(true);
	BulkInsertState bulk = GetBulkInsertState();

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
