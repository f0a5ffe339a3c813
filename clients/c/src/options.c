/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "reader.h"

enum { DEFAULT_TIMEOUT_MS = 5000 };

/* Copies a name, NUL-padded. */
static int set(char *to, size_t room, const char *what, const char *from, struct text *why)
{
	size_t n = strlen(from);
	if (n >= room)
		return fail(why, ENAMETOOLONG, "%s \"%.64s...\" has %zu bytes, at most %zu fit", what, from, n, room - 1);
	memcpy(to, from, n);
	return 0;
}

/* What this program is called, as far as the sidecar takes it. */
static void own_name(char *to, size_t room)
{
	const char *name = program_invocation_short_name;
	size_t n = 0;
	for (; name && name[n] && n < room - 1; n++)
		to[n] = name[n] > ' ' && name[n] < 127 ? name[n] : '_';
}

/* Takes options of any size: what this version does not know must be 0. */
static int take(struct ringside_options *o, const struct ringside_options *from, struct text *why)
{
	ringside_options_init(o);
	if (!from)
		return 0;
	const unsigned char *bytes = (const unsigned char *)from;
	if (from->size < offsetof(struct ringside_options, socket))
		return fail(why, EINVAL, "options of %zu bytes: call ringside_options_init first", from->size);
	for (size_t i = sizeof(*o); i < from->size; i++)
		if (bytes[i] != 0)
			return fail(why, E2BIG, "an option that version " RINGSIDE_VERSION " does not know");
	memcpy(o, from, from->size < sizeof(*o) ? from->size : sizeof(*o));
	return 0;
}

int settings_read(struct settings *s, const struct ringside_options *from, struct text *why)
{
	struct ringside_options o;
	*s = (struct settings){0};
	int err = take(&o, from, why);
	if (err)
		return err;
	if (o.flags || o.reserved || o.timeout_ms < 0 || o.start > RINGSIDE_START_BEGINNING)
		return fail(why, EINVAL, "options: start, flags, timeout_ms or reserved is impossible");
	const char *env = getenv(RINGSIDE_SOCKET_ENV);
	const char *socket = o.socket ? o.socket : env && *env ? env : RINGSIDE_DEFAULT_SOCKET;
	s->start = o.start;
	s->timeout_ms = o.timeout_ms ? o.timeout_ms : DEFAULT_TIMEOUT_MS;
	err = set(s->socket, sizeof(s->socket), "socket", socket, why);
	if (!err)
		err = set(s->ring, sizeof(s->ring), "ring", o.ring ? o.ring : RINGSIDE_DEFAULT_RING, why);
	if (!err && o.source)
		err = set(s->source, sizeof(s->source), "source", o.source, why);
	if (!err && o.name)
		err = set(s->name, sizeof(s->name), "name", o.name, why);
	else if (!err)
		own_name(s->name, sizeof(s->name));
	return err;
}
