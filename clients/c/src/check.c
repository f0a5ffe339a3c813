/* SPDX-License-Identifier: Apache-2.0 */
/* A program's structs against what a source's rows really are. */
#include <errno.h>
#include <inttypes.h>

#include "fail.h"
#include "ringside.h"

/* What is held against what, for the sentence. */
struct side {
	const struct ringside_source *src;
	const char *name; /* "key" or "value" */
	const struct ringside_type *type;
	uint32_t bytes; /* 0: nobody knows */
};

static int check_member(const struct side *s, const struct ringside_member *m, struct text *why)
{
	struct ringside_field f;
	if (ringside_find(s->type, m->path, &f) < 0)
		return fail(why, EINVAL, "source \"%s\": its %s has no member %s", s->src->name, s->name, m->path);
	if (f.bit_size > 0)
		return fail(why, EINVAL, "source \"%s\": %s.%s is a bitfield of %" PRIu32 " bits at byte %" PRIu32,
			s->src->name, s->name, m->path, f.bit_size, f.offset);
	if (f.offset != m->offset || f.type->size != m->size)
		return fail(why, EINVAL, "source \"%s\": %s.%s is %" PRIu32 " bytes at offset %" PRIu32 ", this program has %zu at %zu; "
			"`ringside schema --lang c` prints the struct that fits",
			s->src->name, s->name, m->path, f.type->size, f.offset, m->size, m->offset);
	return 0;
}

static int check(const struct side *s, size_t size, const struct ringside_member *members, size_t n)
{
	struct text why;
	int err = 0;
	if (s->bytes != 0 && s->bytes != size)
		err = fail(&why, EINVAL, "source \"%s\": a %s has %" PRIu32 " bytes, this program's %zu; `ringside schema --lang c` prints the struct that fits",
			s->src->name, s->name, s->bytes, size);
	for (size_t i = 0; !err && s->type && i < n; i++)
		err = check_member(s, &members[i], &why);
	if (err)
		fail_in_thread(&why);
	return err;
}

int ringside_check_key(const struct ringside_source *src, size_t size, const struct ringside_member *members, size_t n)
{
	return check(&(struct side){src, "key", src->key, src->key_size}, size, members, n);
}

int ringside_check_value(const struct ringside_source *src, size_t size, const struct ringside_member *members, size_t n)
{
	uint32_t bytes = src->map_value_size;
	if (src->flags & RINGSIDE_SOURCE_EVENTS)
		bytes = src->value ? src->value->size : 0;
	return check(&(struct side){src, "value", src->value, bytes}, size, members, n);
}
