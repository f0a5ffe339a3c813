/* SPDX-License-Identifier: Apache-2.0 */
/* Paths into types, as C writes them. */
#include <errno.h>
#include <string.h>

#include "ringside.h"

/* Steps into the member of that name, through anonymous ones as C does. Depth is
 * bounded: schema_parse let no deeper tree through. */
static bool into_member(struct ringside_field *place, const char *name, size_t length)
{
	const struct ringside_type *t = place->type;
	const struct ringside_field *f;
	for (uint32_t i = 0; (f = ringside_field(t, i)) != NULL; i++) {
		struct ringside_field inner = *f;
		inner.offset += place->offset;
		bool anonymous = f->name[0] == '\0';
		if (anonymous ? into_member(&inner, name, length) : strlen(f->name) == length && memcmp(f->name, name, length) == 0) {
			*place = inner;
			return true;
		}
	}
	return false;
}

static int into_element(struct ringside_field *place, const char **path)
{
	const struct ringside_type *t = place->type;
	const char *p = *path;
	uint64_t i = 0;
	if (*p < '0' || *p > '9')
		return -EINVAL;
	for (; *p >= '0' && *p <= '9'; p++)
		if ((i = i * 10 + (uint64_t)(*p - '0')) > UINT32_MAX)
			return -ENOENT;
	if (*p != ']')
		return -EINVAL;
	if (t->kind != RINGSIDE_TYPE_ARRAY || i >= t->count)
		return -ENOENT;
	*path = p + 1;
	*place = (struct ringside_field){.name = "", .offset = place->offset + (uint32_t)i * t->elem->size, .type = t->elem};
	return 0;
}

int ringside_find(const struct ringside_type *type, const char *path, struct ringside_field *out)
{
	struct ringside_field at = {.name = "", .type = type};
	for (const char *p = path; *p;) {
		if (*p == '[') {
			p++;
			int err = into_element(&at, &p);
			if (err)
				return err;
			continue;
		}
		if (p != path && *p++ != '.')
			return -EINVAL;
		size_t length = strcspn(p, ".[");
		if (length == 0)
			return -EINVAL;
		if (!into_member(&at, p, length))
			return -ENOENT;
		p += length;
	}
	*out = at;
	return 0;
}
