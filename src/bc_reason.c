/*-------------------------------------------------------------------------
 *
 * bc_reason.c
 *	  Words for a person from an answer that is no success.
 *
 * v2 answers [{"status":404,"message":"..."}], v3 {"status":422,"title":...,
 * "errors":{"field":"..."}} with variants (detail, errors as a list, data as
 * a list of errors), and the edge before them HTML, text or nothing.  So the
 * known members are collected from wherever they stand, up to a limit; the
 * whole body is never kept, for there may be personal data in it.
 *
 *-------------------------------------------------------------------------
 */
#include "bc_reason.h"

#include "bc_json.h"
#include "bc_text.h"

#define WORDS_MAX	240			/* bytes kept of the store's own words */
#define TEXT_MAX	120			/* of a body that is plain text */
#define LEVELS_MAX	4

typedef struct Words
{
	char		text[WORDS_MAX];
	const char *token;
} Words;

/* prototypes of private functions */
static void collect_error(const json_t *error, Words *words);
static void collect_all(const json_t *node, const char *name, int levels, Words *words);
static void add(const char *name, const char *text, size_t length, Words *words);
static void add_plain_text(const HttpAnswer *answer, Words *words);

void
bc_reason_append(char *reason, size_t size, const HttpAnswer *answer, const char *token)
{
	json_t	   *document = bc_json_load(answer->body, answer->body_length);
	Words		words = {.token = token};

	if (document != NULL)
		collect_error(document, &words);
	else
		add_plain_text(answer, &words);
	if (answer->error != NULL)
		add(NULL, answer->error, strlen(answer->error), &words);

	if (answer->status != 0)
		bc_text_append(reason, size, "%sHTTP %d", reason[0] ? ": " : "", answer->status);
	if (words.text[0] != '\0')
		bc_text_append(reason, size, "%s%s", reason[0] ? ": " : "", words.text);
	json_decref(document);
}

/* A list of errors, or one. */
static void
collect_error(const json_t *error, Words *words)
{
	static const char *const members[] = {"title", "message", "detail", "error"};
	const char *text;
	size_t		i;

	for (i = 0; i < json_array_size(error); i++)
	{
		if (json_is_object(json_array_get(error, i)))
			collect_error(json_array_get(error, i), words);
	}
	for (i = 0; i < sizeof(members) / sizeof(members[0]); i++)
	{
		if (bc_json_text(error, members[i], &text) == BC_PRESENT)
			add(NULL, text, strlen(text), words);
	}
	collect_all(json_object_get(error, "errors"), NULL, LEVELS_MAX, words);
	if (json_is_array(json_object_get(error, "data")))
		collect_error(json_object_get(error, "data"), words);
}

/* Every text below "errors", with the name of the field it belongs to. */
static void
collect_all(const json_t *node, const char *name, int levels, Words *words)
{
	const char *key;
	json_t	   *value;
	size_t		i;

	if (json_is_string(node))
		add(name, json_string_value(node), json_string_length(node), words);
	if (levels == 0)
		return;
	json_array_foreach((json_t *) node, i, value)
		collect_all(value, name, levels - 1, words);
	json_object_foreach((json_t *) node, key, value)
		collect_all(value, key, levels - 1, words);
}

/* Cleaned one by one and before the limit, so that the token is never cut in half. */
static void
add(const char *name, const char *text, size_t length, Words *words)
{
	char		clean[WORDS_MAX];

	bc_text_clean(clean, sizeof(clean), text, length, words->token);
	if (clean[0] == '\0' || strstr(words->text, clean) != NULL)
		return;					/* variants repeat themselves */
	if (words->text[0] != '\0')
		bc_text_append(words->text, sizeof(words->text), "; ");
	if (name != NULL)
	{
		char		clean_name[64];

		bc_text_clean(clean_name, sizeof(clean_name), name, strlen(name), words->token);
		bc_text_append(words->text, sizeof(words->text), "%s: ", clean_name);
	}
	bc_text_append(words->text, sizeof(words->text), "%s", clean);
}

/* HTML helps nobody in a list of reasons; a line of text may. */
static void
add_plain_text(const HttpAnswer *answer, Words *words)
{
	char		clean[TEXT_MAX];

	if (answer->body == NULL)
		return;
	bc_text_clean(clean, sizeof(clean), answer->body, answer->body_length, words->token);
	if (clean[0] == '<')
		add(NULL, "an HTML page", strlen("an HTML page"), words);
	else if (clean[0] == '{' || clean[0] == '[')
		add(NULL, "unreadable JSON", strlen("unreadable JSON"), words);
	else
		add(NULL, clean, strlen(clean), words);
}
