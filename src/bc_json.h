/*-------------------------------------------------------------------------
 *
 * bc_json.h
 *	  JSON from a store: loaded with limits, read with the type checked.
 *
 * Pure: libc and jansson.  What a getter returns belongs to the document.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_BC_JSON_H
#define BCPAID_BC_JSON_H

#include "bc_pure.h"

#include <jansson.h>

#define BC_JSON_DEPTH	32		/* BigCommerce's own answers need six */

/* An absent member and null are the same to BigCommerce, and to us. */
typedef enum BcMember
{
	BC_ABSENT,
	BC_PRESENT,
	BC_WRONG_TYPE
} BcMember;

/* The document, to be json_decref'ed, or NULL if it is none or too deep. */
extern json_t *bc_json_load(const char *body, size_t length);

extern BcMember bc_json_text(const json_t *object, const char *key, const char **value);
extern BcMember bc_json_integer(const json_t *object, const char *key, int64 *value);
extern BcMember bc_json_flag(const json_t *object, const char *key, bool *value);

#endif							/* BCPAID_BC_JSON_H */
