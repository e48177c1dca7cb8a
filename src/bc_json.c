/*-------------------------------------------------------------------------
 *
 * bc_json.c
 *	  JSON from a store: loaded with limits, read with the type checked.
 *
 * The size was capped by http.c.  jansson refuses invalid UTF-8, trailing
 * text and NUL characters by itself.  It recurses once per level though, when
 * it reads and when it frees, up to 2048 levels: we stop far earlier.
 *
 *-------------------------------------------------------------------------
 */
#include "bc_json.h"

/* prototypes of private functions */
static bool is_shallow(const char *body, size_t length);
static const json_t *member(const json_t *object, const char *key);

json_t *
bc_json_load(const char *body, size_t length)
{
	json_error_t error;

	if (body == NULL || !is_shallow(body, length))
		return NULL;
	return json_loadb(body, length, 0, &error);
}

/* Counts brackets outside of strings; what is no JSON at all jansson finds out. */
static bool
is_shallow(const char *body, size_t length)
{
	bool		in_string = false;
	int			depth = 0;
	size_t		i;

	for (i = 0; i < length; i++)
	{
		char		c = body[i];

		if (in_string && c == '\\')
			i++;
		else if (c == '"')
			in_string = !in_string;
		else if (!in_string && (c == '[' || c == '{') && ++depth > BC_JSON_DEPTH)
			return false;
		else if (!in_string && (c == ']' || c == '}'))
			depth--;
	}
	return true;
}

BcMember
bc_json_text(const json_t *object, const char *key, const char **value)
{
	const json_t *found = member(object, key);

	if (found == NULL)
		return BC_ABSENT;
	if (!json_is_string(found))
		return BC_WRONG_TYPE;
	*value = json_string_value(found);
	return BC_PRESENT;
}

BcMember
bc_json_integer(const json_t *object, const char *key, int64 *value)
{
	const json_t *found = member(object, key);

	if (found == NULL)
		return BC_ABSENT;
	if (!json_is_integer(found))
		return BC_WRONG_TYPE;
	*value = json_integer_value(found);
	return BC_PRESENT;
}

BcMember
bc_json_flag(const json_t *object, const char *key, bool *value)
{
	const json_t *found = member(object, key);

	if (found == NULL)
		return BC_ABSENT;
	if (!json_is_boolean(found))
		return BC_WRONG_TYPE;
	*value = json_is_true(found);
	return BC_PRESENT;
}

/* null and absent are one: BigCommerce shows an unset member as either. */
static const json_t *
member(const json_t *object, const char *key)
{
	const json_t *found = json_object_get(object, key);

	return json_is_null(found) ? NULL : found;
}
