/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"

#include <string.h>

enum { MAX_SKIP_DEPTH = 64 };

static bool wrong(struct json *j)
{
	j->failed = true;
	j->at = j->end;
	return false;
}

static void space(struct json *j)
{
	while (j->at < j->end && (*j->at == ' ' || *j->at == '\t' || *j->at == '\n' || *j->at == '\r'))
		j->at++;
}

/* Whether the next character is c, which is taken then. */
static bool take(struct json *j, char c)
{
	space(j);
	if (j->at == j->end || *j->at != c)
		return false;
	j->at++;
	return true;
}

static bool literal(struct json *j, const char *word)
{
	size_t n = strlen(word);
	space(j);
	if ((size_t)(j->end - j->at) < n || memcmp(j->at, word, n) != 0)
		return false;
	j->at += n;
	return true;
}

static bool hex4(struct json *j, uint32_t *to)
{
	*to = 0;
	if (j->end - j->at < 4)
		return wrong(j);
	for (int i = 0; i < 4; i++) {
		char c = *j->at++;
		uint32_t digit;
		if (c >= '0' && c <= '9')
			digit = (uint32_t)(c - '0');
		else if ((c | 32) >= 'a' && (c | 32) <= 'f')
			digit = (uint32_t)((c | 32) - 'a' + 10);
		else
			return wrong(j);
		*to = *to << 4 | digit;
	}
	return true;
}

/* A code point as UTF-8; how many bytes. */
static size_t utf8(uint32_t c, char *to)
{
	if (c < 0x80)
		return to[0] = (char)c, 1;
	if (c < 0x800)
		return to[0] = (char)(0xc0 | c >> 6), to[1] = (char)(0x80 | (c & 63)), 2;
	if (c < 0x10000)
		return to[0] = (char)(0xe0 | c >> 12), to[1] = (char)(0x80 | (c >> 6 & 63)), to[2] = (char)(0x80 | (c & 63)), 3;
	to[0] = (char)(0xf0 | c >> 18), to[1] = (char)(0x80 | (c >> 12 & 63));
	to[2] = (char)(0x80 | (c >> 6 & 63)), to[3] = (char)(0x80 | (c & 63));
	return 4;
}

/* What follows \u. Half of a surrogate pair becomes the replacement character, as
 * everywhere. */
static bool unicode(struct json *j, char *to, size_t *n)
{
	uint32_t c, low;
	if (!hex4(j, &c))
		return false;
	if (c >= 0xd800 && c < 0xdc00 && j->end - j->at >= 6 && j->at[0] == '\\' && j->at[1] == 'u') {
		struct json ahead = *j;
		ahead.at += 2;
		if (!hex4(&ahead, &low))
			return wrong(j);
		if (low >= 0xdc00 && low < 0xe000) {
			*j = ahead;
			c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
		}
	}
	if (c >= 0xd800 && c < 0xe000)
		c = 0xfffd;
	*n = utf8(c, to);
	return c != 0 || wrong(j); /* strings of C hold no NUL */
}

static bool escape(struct json *j, char *to, size_t *n)
{
	static const char from[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
	if (j->at == j->end)
		return wrong(j);
	char c = *j->at++;
	if (c == 'u')
		return unicode(j, to, n);
	const char *found = c ? strchr(from, c) : NULL;
	if (!found)
		return wrong(j);
	to[0] = means[found - from];
	*n = 1;
	return true;
}

bool json_string(struct json *j, char *to, size_t cap, size_t *length)
{
	size_t used = 0;
	if (!take(j, '"'))
		return wrong(j);
	while (j->at < j->end && *j->at != '"') {
		char bytes[4];
		size_t n = 1;
		bytes[0] = *j->at++;
		if ((unsigned char)bytes[0] < 0x20)
			return wrong(j);
		if (bytes[0] == '\\' && !escape(j, bytes, &n))
			return false;
		if (used + n < cap)
			memcpy(to + used, bytes, n);
		used += n;
	}
	if (!take(j, '"'))
		return wrong(j);
	if (cap > 0)
		to[used < cap ? used : 0] = '\0'; /* cut off is nothing */
	*length = used;
	return true;
}

bool json_int(struct json *j, int64_t *to)
{
	bool negative = take(j, '-');
	if (!negative)
		space(j);
	const char *first = j->at;
	uint64_t v = 0, limit = negative ? (uint64_t)1 << 63 : INT64_MAX;
	for (; j->at < j->end && *j->at >= '0' && *j->at <= '9'; j->at++) {
		uint64_t digit = (uint64_t)(*j->at - '0');
		if (v > (limit - digit) / 10)
			return wrong(j);
		v = v * 10 + digit;
	}
	if (j->at == first || (*first == '0' && j->at - first > 1))
		return wrong(j);
	if (j->at < j->end && (*j->at == '.' || *j->at == 'e' || *j->at == 'E'))
		return wrong(j); /* a number, and no integer */
	*to = (int64_t)(negative ? 0 - v : v);
	return true;
}

bool json_bool(struct json *j, bool *to)
{
	*to = literal(j, "true");
	return *to || literal(j, "false") || wrong(j);
}

/* The comma before, or the end. */
static bool more(struct json *j, int *state, char open, char close)
{
	if (j->failed)
		return false;
	if (*state == 0) {
		*state = 1;
		if (!take(j, open))
			return wrong(j);
		return !take(j, close);
	}
	if (take(j, close))
		return false;
	return take(j, ',') || wrong(j);
}

bool json_member(struct json *j, int *state, char *name, size_t cap)
{
	size_t n;
	if (!more(j, state, '{', '}') || !json_string(j, name, cap, &n))
		return false;
	return take(j, ':') || wrong(j);
}

bool json_element(struct json *j, int *state) { return more(j, state, '[', ']'); }

static bool skip_number(struct json *j)
{
	const char *first = j->at;
	while (j->at < j->end && *j->at && strchr("+-.eE0123456789", *j->at))
		j->at++;
	return j->at > first || wrong(j);
}

static bool skip(struct json *j, int depth)
{
	int state = 0;
	char none[1];
	size_t n;
	space(j);
	if (j->failed || j->at == j->end || depth > MAX_SKIP_DEPTH)
		return wrong(j);
	switch (*j->at) {
	case '{':
		while (json_member(j, &state, none, sizeof(none)))
			skip(j, depth + 1);
		return !j->failed;
	case '[':
		while (json_element(j, &state))
			skip(j, depth + 1);
		return !j->failed;
	case '"':
		return json_string(j, none, sizeof(none), &n);
	case 't': case 'f': case 'n':
		return literal(j, "true") || literal(j, "false") || literal(j, "null") || wrong(j);
	}
	return skip_number(j);
}

bool json_skip(struct json *j) { return skip(j, 0); }

bool json_end(struct json *j)
{
	space(j);
	return !j->failed && j->at == j->end;
}
