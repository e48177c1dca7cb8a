/*-------------------------------------------------------------------------
 *
 * note.h
 *	  Odoo's triggers: which rows are worth a note.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_NOTE_H
#define BCPAID_NOTE_H

/* Nothing is noted in the worker, whose own update of sale_order is no news. */
extern void note_ignore_this_session(void);

#endif							/* BCPAID_NOTE_H */
