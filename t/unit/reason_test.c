/*-------------------------------------------------------------------------
 *
 * reason_test.c
 *	  Goal: every shape of error body becomes words for a person, and what is
 *	  no JSON does no harm.
 *
 *-------------------------------------------------------------------------
 */
#include "bc_reason.h"
#include "tap.h"

#define TOKEN "s3cret-token"

static void
says(int status, const char *body, const char *error, const char *wanted)
{
	HttpAnswer	answer = {.status = status,.body = body,.error = error};
	char		reason[400] = "";

	answer.body_length = body ? strlen(body) : 0;
	bc_reason_append(reason, sizeof(reason), &answer, TOKEN);
	is_text(reason, wanted, wanted);
}

static void
survives_long_text(void)
{
	static char body[200 * 1024];
	HttpAnswer	answer = {.status = 422,.body = body};
	char		reason[400] = "refused";

	snprintf(body, sizeof(body), "{\"title\":\"%0*d\"}", 190 * 1024, 7);
	answer.body_length = strlen(body);
	bc_reason_append(reason, sizeof(reason), &answer, TOKEN);
	ok(strlen(reason) < 300, "190 kB of title are cut to %zu bytes", strlen(reason));
	memset(body, '[', 100 * 1024);
	answer.body_length = 100 * 1024;
	reason[0] = '\0';
	bc_reason_append(reason, sizeof(reason), &answer, TOKEN);
	is_text(reason, "HTTP 422: unreadable JSON", "100,000 brackets are not followed");
}

int
main(void)
{
	says(404, "[{\"status\":404,\"message\":\"Not found.\"}]", NULL, "HTTP 404: Not found.");
	says(422, "{\"status\":422,\"title\":\"Bad input\",\"type\":\"x\",\"errors\":{\"amount\":\"must be positive\"}}",
		 NULL, "HTTP 422: Bad input; amount: must be positive");
	says(422, "{\"title\":\"Bad input\",\"detail\":\"No.\",\"errors\":[\"one\",{\"message\":\"two\"}]}",
		 NULL, "HTTP 422: Bad input; No.; one; message: two");
	says(400, "{\"data\":[{\"title\":\"first\"},{\"detail\":\"second\"}]}", NULL, "HTTP 400: first; second");
	says(400, "{\"errors\":{\"a\":{\"b\":[\"deep\"]}}}", NULL, "HTTP 400: b: deep");
	says(400, "{\"errors\":{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":\"too deep\"}}}}}}", NULL, "HTTP 400");
	says(400, "{\"title\":7,\"errors\":null,\"data\":{}}", NULL, "HTTP 400");
	says(400, "[1,[],{},null]", NULL, "HTTP 400");
	says(401, "{\"title\":\"token " TOKEN " is bad\",\"errors\":{\"" TOKEN "\":\"x\"}}", NULL,
		 "HTTP 401: token *** is bad; ***: x");
	says(400, "{\"title\":\"same\",\"message\":\"same\"}", NULL, "HTTP 400: same");
	says(400, "{\"title\":\"two\\nlines \\u202e\"}", NULL, "HTTP 400: two lines");

	says(502, "<html><body>" TOKEN "</body></html>", NULL, "HTTP 502: an HTML page");
	says(503, "Down for maintenance\r\n", NULL, "HTTP 503: Down for maintenance");
	says(503, "", NULL, "HTTP 503");
	says(503, NULL, NULL, "HTTP 503");
	says(500, "{\"title\":\"cut o", NULL, "HTTP 500: unreadable JSON");
	says(500, "bad \xff\xfe " TOKEN, NULL, "HTTP 500: bad ?? ***");
	says(500, "{\"title\":\"\xff\"}", NULL, "HTTP 500: unreadable JSON");
	says(200, NULL, "the answer is too long", "HTTP 200: the answer is too long");
	says(0, NULL, "Connection timed out", "Connection timed out");
	says(0, NULL, NULL, "");
	survives_long_text();
	return done_testing();
}
