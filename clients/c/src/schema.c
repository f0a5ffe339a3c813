/* SPDX-License-Identifier: Apache-2.0 */
#include "schema.h"

#include <string.h>

#include "json.h"

/* What the library knows of a type beyond what it shows. */
struct node {
	struct ringside_type type; /* first: a pointer to one is a pointer to the other */
	void **members; /* of struct ringside_field or struct ringside_constant */
	uint32_t room;
};

struct parser {
	struct json json;
	struct arena *arena;
	uint32_t nodes;
	char name[SCHEMA_MAX_NAME + 1];
};

static bool refuse(struct parser *p)
{
	p->json.failed = true;
	p->json.at = p->json.end;
	return false;
}

static bool parse_type(struct parser *p, int depth, const struct ringside_type **out);

static bool count(struct parser *p) { return ++p->nodes <= SCHEMA_MAX_NODES || refuse(p); }

static bool parse_name(struct parser *p, const char **to)
{
	size_t n;
	if (!json_string(&p->json, p->name, sizeof(p->name), &n) || n > SCHEMA_MAX_NAME)
		return refuse(p);
	*to = arena_string(p->arena, p->name, n);
	return *to || refuse(p);
}

static bool parse_number(struct parser *p, int64_t most, uint32_t *to)
{
	int64_t v;
	if (!json_int(&p->json, &v) || v < 0 || v > most)
		return refuse(p);
	*to = (uint32_t)v;
	return true;
}

static bool parse_kind(struct parser *p, uint32_t *to)
{
	static const char *const names[] = {"", "int", "uint", "bool", "char", "float", "enum", "pointer", "array",
		"struct", "union", "bytes"};
	size_t n;
	if (!json_string(&p->json, p->name, sizeof(p->name), &n))
		return false;
	for (uint32_t k = RINGSIDE_TYPE_INT; k <= RINGSIDE_TYPE_BYTES; k++)
		if (strcmp(names[k], p->name) == 0)
			return *to = k, true;
	return refuse(p);
}

/* Makes room for one more member and returns it, zeroed. */
static void *add_member(struct parser *p, struct node *n, size_t bytes)
{
	if (!count(p))
		return NULL;
	if (n->type.count == n->room) {
		uint32_t room = n->room ? 2 * n->room : 4;
		void **members = arena_take(p->arena, room * sizeof(*members));
		if (!members)
			return refuse(p), NULL;
		if (n->room)
			memcpy(members, n->members, n->room * sizeof(*members));
		n->members = members;
		n->room = room;
	}
	void *member = arena_take(p->arena, bytes);
	if (!member)
		return refuse(p), NULL;
	return n->members[n->type.count++] = member;
}

static bool parse_field(struct parser *p, int depth, struct ringside_field *f)
{
	char member[16];
	f->name = "";
	for (int state = 0; json_member(&p->json, &state, member, sizeof(member));) {
		if (strcmp(member, "name") == 0)
			parse_name(p, &f->name);
		else if (strcmp(member, "offset") == 0)
			parse_number(p, SCHEMA_MAX_TYPE_SIZE, &f->offset);
		else if (strcmp(member, "bit_offset") == 0)
			parse_number(p, 7, &f->bit_offset);
		else if (strcmp(member, "bit_size") == 0)
			parse_number(p, 64, &f->bit_size);
		else if (strcmp(member, "type") == 0)
			parse_type(p, depth + 1, &f->type);
		else
			json_skip(&p->json);
	}
	return !p->json.failed && (f->type || refuse(p));
}

static bool parse_constant(struct parser *p, struct ringside_constant *c)
{
	char member[16];
	c->name = "";
	for (int state = 0; json_member(&p->json, &state, member, sizeof(member));) {
		if (strcmp(member, "name") == 0)
			parse_name(p, &c->name);
		else if (strcmp(member, "value") == 0)
			json_int(&p->json, &c->value);
		else
			json_skip(&p->json);
	}
	return !p->json.failed;
}

/* What a type's object holds, in whatever order: count and members are kept apart
 * until the kind is known for sure. */
struct parts {
	uint32_t elements;
	struct node fields, values;
	bool has_fields, has_values;
};

static bool parse_fields(struct parser *p, int depth, struct parts *parts)
{
	parts->fields = (struct node){0}; /* the last one counts */
	parts->has_fields = true;
	for (int state = 0; json_element(&p->json, &state);) {
		struct ringside_field *f = add_member(p, &parts->fields, sizeof(*f));
		if (!f || !parse_field(p, depth, f))
			return false;
	}
	return !p->json.failed;
}

static bool parse_values(struct parser *p, struct parts *parts)
{
	parts->values = (struct node){0};
	parts->has_values = true;
	for (int state = 0; json_element(&p->json, &state);) {
		struct ringside_constant *c = add_member(p, &parts->values, sizeof(*c));
		if (!c || !parse_constant(p, c))
			return false;
	}
	return !p->json.failed;
}

static bool is_integer(uint32_t kind)
{
	return kind == RINGSIDE_TYPE_INT || kind == RINGSIDE_TYPE_UINT || kind == RINGSIDE_TYPE_BOOL ||
		kind == RINGSIDE_TYPE_CHAR || kind == RINGSIDE_TYPE_ENUM;
}

static bool size_fits(uint32_t kind, uint32_t size)
{
	switch (kind) {
	case RINGSIDE_TYPE_INT:
	case RINGSIDE_TYPE_UINT:
		return size == 1 || size == 2 || size == 4 || size == 8 || size == 16;
	case RINGSIDE_TYPE_BOOL:
	case RINGSIDE_TYPE_ENUM:
		return size == 1 || size == 2 || size == 4 || size == 8;
	case RINGSIDE_TYPE_CHAR:
		return size == 1;
	case RINGSIDE_TYPE_FLOAT:
		return size == 4 || size == 8;
	case RINGSIDE_TYPE_POINTER:
		return size == 8;
	}
	return kind >= RINGSIDE_TYPE_ARRAY;
}

static bool field_fits(const struct ringside_type *t, const struct ringside_field *f)
{
	uint64_t from = (uint64_t)f->offset * 8 + f->bit_offset;
	if (f->bit_size == 0)
		return f->bit_offset == 0 && (uint64_t)f->offset + f->type->size <= t->size;
	return is_integer(f->type->kind) && f->bit_size <= (uint64_t)f->type->size * 8 &&
		from + f->bit_size <= (uint64_t)t->size * 8;
}

/* Holds what was parsed against the rules, and makes it one. */
static bool assemble(struct parser *p, struct node *n, const struct parts *parts)
{
	struct ringside_type *t = &n->type;
	bool compound = t->kind == RINGSIDE_TYPE_STRUCT || t->kind == RINGSIDE_TYPE_UNION;
	if (!size_fits(t->kind, t->size) || (parts->fields.type.count > 0 && !compound) ||
	    (parts->values.type.count > 0 && t->kind != RINGSIDE_TYPE_ENUM))
		return refuse(p);
	if ((t->elem || parts->elements > 0) && t->kind != RINGSIDE_TYPE_ARRAY)
		return refuse(p);
	if (t->kind == RINGSIDE_TYPE_ARRAY) {
		t->count = parts->elements;
		bool fits = t->elem && (uint64_t)t->elem->size * t->count == t->size && (t->elem->size > 0 || t->count == 0);
		return fits || refuse(p);
	}
	const struct node *from = compound ? &parts->fields : &parts->values;
	t->count = from->type.count;
	n->members = from->members;
	for (uint32_t i = 0; compound && i < t->count; i++)
		if (!field_fits(t, n->members[i]))
			return refuse(p);
	return true;
}

static bool parse_type(struct parser *p, int depth, const struct ringside_type **out)
{
	char member[16];
	struct parts parts = {0};
	struct node *n = depth <= SCHEMA_MAX_DEPTH ? arena_take(p->arena, sizeof(*n)) : NULL;
	if (!n || !count(p))
		return refuse(p);
	n->type.name = "";
	for (int state = 0; json_member(&p->json, &state, member, sizeof(member));) {
		if (strcmp(member, "kind") == 0)
			parse_kind(p, &n->type.kind);
		else if (strcmp(member, "name") == 0)
			parse_name(p, &n->type.name);
		else if (strcmp(member, "size") == 0)
			parse_number(p, SCHEMA_MAX_TYPE_SIZE, &n->type.size);
		else if (strcmp(member, "signed") == 0)
			json_bool(&p->json, &n->type.is_signed);
		else if (strcmp(member, "count") == 0)
			parse_number(p, SCHEMA_MAX_TYPE_SIZE, &parts.elements);
		else if (strcmp(member, "elem") == 0)
			parse_type(p, depth + 1, &n->type.elem);
		else if (strcmp(member, "fields") == 0)
			parse_fields(p, depth, &parts);
		else if (strcmp(member, "values") == 0)
			parse_values(p, &parts);
		else
			json_skip(&p->json);
	}
	if (p->json.failed || !assemble(p, n, &parts))
		return refuse(p);
	n->type.is_signed = n->type.is_signed || n->type.kind == RINGSIDE_TYPE_INT;
	*out = &n->type;
	return true;
}

bool schema_parse(const char *text, size_t bytes, struct arena *arena,
	const struct ringside_type **key, const struct ringside_type **value)
{
	struct parser p = {.json = {.at = text, .end = text + bytes}, .arena = arena};
	char member[16];
	int64_t version = 0;
	*key = *value = NULL;
	if (bytes > SCHEMA_MAX_BYTES)
		return false;
	for (int state = 0; json_member(&p.json, &state, member, sizeof(member));) {
		if (strcmp(member, "version") == 0)
			json_int(&p.json, &version);
		else if (strcmp(member, "key") == 0)
			parse_type(&p, 0, key);
		else if (strcmp(member, "value") == 0)
			parse_type(&p, 0, value);
		else
			json_skip(&p.json);
	}
	if (json_end(&p.json) && version == 1)
		return true;
	*key = *value = NULL;
	return false;
}

static void *member_of(const struct ringside_type *t, bool right, uint32_t i)
{
	/* Every type that leaves the library is the first member of a node. */
	return right && i < t->count ? ((const struct node *)(const void *)t)->members[i] : NULL;
}

const struct ringside_field *ringside_field(const struct ringside_type *t, uint32_t i)
{
	return member_of(t, t->kind == RINGSIDE_TYPE_STRUCT || t->kind == RINGSIDE_TYPE_UNION, i);
}

const struct ringside_constant *ringside_constant(const struct ringside_type *t, uint32_t i)
{
	return member_of(t, t->kind == RINGSIDE_TYPE_ENUM, i);
}
