/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads JSON from the front to the back, without a tree: whoever knows what to
 * expect asks for it. After the first thing that is wrong every call says false.
 */
#ifndef RINGSIDE_JSON_H
#define RINGSIDE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json {
	const char *at, *end;
	bool failed;
};

/* A string without escapes decoded; at most cap - 1 bytes and no NUL in it. */
bool json_string(struct json *j, char *to, size_t cap, size_t *length);
bool json_int(struct json *j, int64_t *to);
bool json_bool(struct json *j, bool *to);

/* Members of an object, elements of an array, one call before each: true if there
 * is one. *state is 0 before the first. A member's name is left in name; a name
 * that does not fit is that of no member anyone knows. */
bool json_member(struct json *j, int *state, char *name, size_t cap);
bool json_element(struct json *j, int *state);

/* Any value, of a bounded depth. */
bool json_skip(struct json *j);

/* Nothing but white space follows. */
bool json_end(struct json *j);

#endif
