/*-------------------------------------------------------------------------
 *
 * bc_text.c
 *	  Text that comes from a store: made harmless, compared, put together.
 *
 * A store's words end up in a table, a log and a person's screen.  They may
 * be in no encoding at all, forge a line of the log, or echo our token.  So
 * nothing of them is kept before it went through bc_text_clean().
 *
 *-------------------------------------------------------------------------
 */
#include "bc_text.h"

#include <stdio.h>

#define MASK	"***"
#define CUT		"..."

/* prototypes of private functions */
static size_t take(const char *from, size_t left, const char *secret,
				   char *piece, size_t *n);
static size_t character_length(const unsigned char *c, size_t left);
static bool begins_with(const char *shown, const char *text);
static bool is_control(const unsigned char *c, size_t length);
static void drop_half_character(char *text);
static bool same_for(const char *a, const char *b, size_t length);
static char fold(char c);

/*
 * Character by character.  `safe` trails behind: it is the last place where
 * "..." still fits, should the text turn out to be too long.
 */
void
bc_text_clean(char *to, size_t size, const char *from, size_t length,
			  const char *secret)
{
	size_t		used = 0;
	size_t		room;			/* how far one may write and still say "..." */
	size_t		safe = 0;

	to[0] = '\0';
	if (size < sizeof(CUT) || from == NULL)
		return;
	room = size - sizeof(CUT);
	while (length > 0)
	{
		char		piece[8];
		size_t		n;
		size_t		taken = take(from, length, secret, piece, &n);

		from += taken;
		length -= taken;
		if (piece[0] == ' ' && (used == 0 || to[used - 1] == ' '))
			continue;
		if (used + n >= size)
		{
			memcpy(to + safe, CUT, sizeof(CUT));
			return;
		}
		memcpy(to + used, piece, n);
		used += n;
		if (used <= room)
			safe = used;
	}
	while (used > 0 && to[used - 1] == ' ')
		used--;
	to[used] = '\0';
}

/*
 * The next character to write; returns how many bytes it took to read.
 *
 * The secret is masked before anything is cut off, or its first half could
 * remain at the end.
 */
static size_t
take(const char *from, size_t left, const char *secret, char *piece, size_t *n)
{
	size_t		secret_length = secret ? strlen(secret) : 0;
	size_t		length = character_length((const unsigned char *) from, left);

	if (secret_length > 0 && left >= secret_length &&
		memcmp(from, secret, secret_length) == 0)
	{
		*n = strlen(MASK);
		memcpy(piece, MASK, *n);
		return secret_length;
	}
	*n = 1;
	piece[0] = length == 0 ? '?' : ' ';
	if (length == 0)
		return 1;
	if (!is_control((const unsigned char *) from, length))
	{
		*n = length;
		memcpy(piece, from, length);
	}
	return length;
}

/* Bytes of the UTF-8 character at c, 0 if it is none (RFC 3629, table 3-7 of Unicode). */
static size_t
character_length(const unsigned char *c, size_t left)
{
	size_t		length;
	size_t		i;

	if (c[0] < 0x80)
		return 1;
	if (c[0] < 0xC2 || c[0] > 0xF4)
		return 0;
	length = c[0] < 0xE0 ? 2 : c[0] < 0xF0 ? 3 : 4;
	if (left < length)
		return 0;
	for (i = 1; i < length; i++)
	{
		if ((c[i] & 0xC0) != 0x80)
			return 0;
	}
	/* longer than needed, a surrogate, beyond U+10FFFF */
	if ((c[0] == 0xE0 && c[1] < 0xA0) || (c[0] == 0xED && c[1] > 0x9F) ||
		(c[0] == 0xF0 && c[1] < 0x90) || (c[0] == 0xF4 && c[1] > 0x8F))
		return 0;
	return length;
}

/* C0, DEL, C1, and what breaks or turns a line: U+2028 to U+202E, U+2066 to U+2069. */
static bool
is_control(const unsigned char *c, size_t length)
{
	if (length == 1)
		return c[0] < 0x20 || c[0] == 0x7F;
	if (length == 2)
		return c[0] == 0xC2 && c[1] < 0xA0;
	if (length == 3 && c[0] == 0xE2)
		return (c[1] == 0x80 && c[2] >= 0xA8 && c[2] <= 0xAE) ||
			(c[1] == 0x81 && c[2] >= 0xA6 && c[2] <= 0xA9);
	return false;
}

void
bc_text_append(char *to, size_t size, const char *format,...)
{
	va_list		args;

	va_start(args, format);
	bc_text_vappend(to, size, format, args);
	va_end(args);
}

void
bc_text_vappend(char *to, size_t size, const char *format, va_list args)
{
	size_t		used = strlen(to);
	int			n = vsnprintf(to + used, size - used, format, args);

	if (n < 0)
		to[used] = '\0';
	else if ((size_t) n >= size - used)
		drop_half_character(to);
}

/* vsnprintf counts bytes: the last character may have lost its tail, or be a blank. */
static void
drop_half_character(char *text)
{
	size_t		length = strlen(text);
	size_t		start = length;

	while (start > 0 && ((unsigned char) text[start - 1] & 0xC0) == 0x80)
		start--;
	if (start > 0 && (unsigned char) text[start - 1] >= 0xC0)
		start--;
	if (start < length &&
		character_length((const unsigned char *) text + start, length - start) != length - start)
		text[start] = '\0';
	for (length = strlen(text); length > 0 && text[length - 1] == ' '; length--)
		text[length - 1] = '\0';
}

bool
bc_text_same(const char *a, const char *b)
{
	size_t		length = strlen(a);

	return length == strlen(b) && same_for(a, b, length);
}

/* Line by line without copying; an empty line matches nothing. */
bool
bc_text_listed(const char *text, const char *lines)
{
	size_t		length = strlen(text);

	while (*lines != '\0')
	{
		size_t		line = strcspn(lines, "\n");

		if (line == length && same_for(text, lines, length))
			return true;
		lines += line;
		lines += strspn(lines, "\n");
	}
	return false;
}

bool
bc_text_shows(const char *shown, const char *text)
{
	for (; *shown != '\0'; shown++)
	{
		if (begins_with(shown, text))
			return true;
	}
	return *text == '\0';
}

static bool
begins_with(const char *shown, const char *text)
{
	for (; *text != '\0'; shown++)
	{
		if (*shown == *text)
			text++;
		else if (*shown == '?')
			text += character_length((const unsigned char *) text, strlen(text));
		else
			return false;
	}
	return true;
}

static bool
same_for(const char *a, const char *b, size_t length)
{
	size_t		i;

	for (i = 0; i < length; i++)
	{
		if (fold(a[i]) != fold(b[i]))
			return false;
	}
	return true;
}

/* ASCII only: the server's locale is not the store's. */
static char
fold(char c)
{
	return (c >= 'A' && c <= 'Z') ? (char) (c - 'A' + 'a') : c;
}
