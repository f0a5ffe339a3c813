/* SPDX-License-Identifier: Apache-2.0 */
/* Schemas, paths into them, and options. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "check.h"
#include "json.h"
#include "reader.h"
#include "schema.h"

static const struct ringside_type *key, *value;

static bool parse(struct arena *a, const char *text)
{
	arena_free(a);
	a->budget = 1 << 20;
	/* A copy of exactly that length: a sanitizer sees who reads beyond it. */
	size_t n = strlen(text);
	char *copy = malloc(n ? n : 1);
	memcpy(copy, text, n);
	bool ok = schema_parse(copy, n, a, &key, &value);
	free(copy);
	return ok;
}

#define U32 "{\"kind\":\"uint\",\"name\":\"__u32\",\"size\":4}"

static void schemas_that_hold(void)
{
	struct arena a = {0};
	CHECK(parse(&a, "{\"version\":1}") && !key && !value);
	CHECK(parse(&a, " { \"version\" : 1 , \"key\" : " U32 " , \"new\" : [ {\"a\":[null,true,-1.5e3]} ] } ") && key && !value);
	CHECK(key->kind == RINGSIDE_TYPE_UINT && key->size == 4 && strcmp(key->name, "__u32") == 0);
	CHECK(parse(&a, "{\"version\":1,\"value\":{\"kind\":\"enum\",\"size\":4,\"values\":["
		"{\"name\":\"A\",\"value\":-9223372036854775808},{\"name\":\"\\u00e9\\ud83d\\ude00\\n\",\"value\":9223372036854775807}]}}"));
	CHECK(value->count == 2 && ringside_constant(value, 0)->value == INT64_MIN && ringside_constant(value, 1)->value == INT64_MAX);
	CHECK(strcmp(ringside_constant(value, 1)->name, "\xc3\xa9\xf0\x9f\x98\x80\n") == 0);
	CHECK(!ringside_constant(value, 2) && !ringside_field(value, 0));
	arena_free(&a);
}

static void schemas_that_do_not(void)
{
	static const char *const wrong[] = {
		"", "{", "{}", "null", "[]", "{\"version\":2}", "{\"version\":1}x", "{\"version\":1,}", "{\"version\":01}",
		"{\"version\":1.0}", "{\"version\":- 1}", "{\"version\":1,\"key\":{}}",
		"{\"version\":1,\"key\":{\"kind\":\"uint\",\"size\":3}}",
		"{\"version\":1,\"key\":{\"kind\":\"uint\",\"size\":-4}}",
		"{\"version\":1,\"key\":{\"kind\":\"uint\",\"size\":4,\"count\":2}}",
		"{\"version\":1,\"key\":{\"kind\":\"uint\",\"size\":99999999999999999999}}",
		"{\"version\":1,\"key\":{\"kind\":\"strange\",\"size\":4}}",
		"{\"version\":1,\"key\":{\"kind\":\"array\",\"size\":8,\"count\":3,\"elem\":" U32 "}}",
		"{\"version\":1,\"key\":{\"kind\":\"array\",\"size\":8,\"count\":2}}",
		"{\"version\":1,\"key\":{\"kind\":\"array\",\"size\":0,\"count\":268435456,\"elem\":{\"kind\":\"bytes\",\"size\":0}}}",
		"{\"version\":1,\"key\":{\"kind\":\"struct\",\"size\":4,\"fields\":[{\"name\":\"a\",\"offset\":1,\"type\":" U32 "}]}}",
		"{\"version\":1,\"key\":{\"kind\":\"struct\",\"size\":4,\"fields\":[{\"name\":\"a\",\"offset\":0}]}}",
		"{\"version\":1,\"key\":{\"kind\":\"struct\",\"size\":4,\"fields\":[{\"offset\":3,\"bit_offset\":7,\"bit_size\":2,\"type\":" U32 "}]}}",
		"{\"version\":1,\"key\":{\"kind\":\"uint\",\"size\":4,\"name\":\"\\u0000\"}}",
		"{\"version\":1,\"key\":{\"kind\":\"uint\",\"size\":4,\"name\":\"\\ud83d\\uzzzz\"}}",
		"{\"version\":1,\"key\":{\"kind\":\"uint\",\"size\":4,\"name\":\"a\nb\"}}",
	};
	struct arena a = {0};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (parse(&a, wrong[i]) || key || value) {
			printf("accepted: %s\n", wrong[i]);
			exit(1);
		}
	arena_free(&a);
}

/* depth types inside each other. */
static bool parse_nested(struct arena *a, int depth)
{
	static char text[1 << 16];
	size_t n = (size_t)sprintf(text, "{\"version\":1,\"value\":");
	for (int i = 0; i < depth; i++)
		n += (size_t)sprintf(text + n, "{\"kind\":\"array\",\"size\":4,\"count\":1,\"elem\":");
	n += (size_t)sprintf(text + n, U32);
	for (int i = 0; i <= depth; i++)
		text[n++] = '}';
	text[n] = '\0';
	return parse(a, text);
}

static void bounds(void)
{
	struct arena a = {0};
	CHECK(parse_nested(&a, SCHEMA_MAX_DEPTH));
	CHECK(!parse_nested(&a, SCHEMA_MAX_DEPTH + 1));
	struct json deep = {0};
	char brackets[1000];
	memset(brackets, '[', sizeof(brackets));
	deep.at = brackets, deep.end = brackets + sizeof(brackets);
	CHECK(!json_skip(&deep));
	/* Over budget is no schema, and no crash. */
	arena_free(&a);
	a.budget = 4096;
	const char *text = "{\"version\":1,\"key\":{\"kind\":\"enum\",\"size\":4,\"values\":[{\"name\":\"A\",\"value\":0}]}}";
	CHECK(schema_parse(text, strlen(text), &a, &key, &value));
	arena_free(&a);
	a.budget = 100;
	CHECK(!schema_parse(text, strlen(text), &a, &key, &value));
	arena_free(&a);
}

static void paths(void)
{
	struct arena a = {0};
	struct ringside_field f;
	CHECK(parse(&a, "{\"version\":1,\"value\":{\"kind\":\"struct\",\"name\":\"struct v\",\"size\":24,\"fields\":["
		"{\"name\":\"n\",\"offset\":0,\"type\":" U32 "},"
		"{\"offset\":4,\"type\":{\"kind\":\"union\",\"size\":4,\"fields\":[{\"name\":\"inner\",\"offset\":0,\"type\":" U32 "},"
		"{\"name\":\"low\",\"offset\":1,\"bit_offset\":3,\"bit_size\":5,\"type\":" U32 "}]}},"
		"{\"name\":\"list\",\"offset\":8,\"type\":{\"kind\":\"array\",\"size\":16,\"count\":2,\"elem\":"
		"{\"kind\":\"struct\",\"size\":8,\"fields\":[{\"name\":\"a\",\"offset\":0,\"type\":" U32 "},{\"name\":\"b\",\"offset\":4,\"type\":" U32 "}]}}}"
		"]}}"));
	CHECK(ringside_find(value, "", &f) == 0 && f.type == value && f.offset == 0);
	CHECK(ringside_find(value, "n", &f) == 0 && f.offset == 0 && f.type->size == 4);
	CHECK(ringside_find(value, "inner", &f) == 0 && f.offset == 4);
	CHECK(ringside_find(value, "low", &f) == 0 && f.offset == 5 && f.bit_offset == 3 && f.bit_size == 5);
	CHECK(ringside_find(value, "list[1].b", &f) == 0 && f.offset == 20);
	CHECK(ringside_find(value, "list[1]", &f) == 0 && f.offset == 16 && f.type->kind == RINGSIDE_TYPE_STRUCT);
	CHECK(ringside_find(value, "list[2]", &f) == -ENOENT && ringside_find(value, "list[99999999999]", &f) == -ENOENT);
	CHECK(ringside_find(value, "list.a", &f) == -ENOENT && ringside_find(value, "m", &f) == -ENOENT);
	CHECK(ringside_find(value, "n[0]", &f) == -ENOENT && ringside_find(value, "n.", &f) == -EINVAL);
	CHECK(ringside_find(value, "list[", &f) == -EINVAL && ringside_find(value, "list[1", &f) == -EINVAL);
	CHECK(ringside_find(value, "list[1]b", &f) == -EINVAL && ringside_find(value, ".n", &f) == -EINVAL);
	arena_free(&a);
}

struct row {
	uint32_t n, inner;
	uint64_t list[2];
};

static void layouts(void)
{
	struct arena a = {0};
	struct ringside_source src = {.name = "m", .key_size = 4, .value_size = 24, .map_value_size = 24};
	struct ringside_member members[] = {RINGSIDE_MEMBER(struct row, n), RINGSIDE_MEMBER(struct row, inner),
		RINGSIDE_MEMBER(struct row, list)};
	CHECK(ringside_check_key(&src, 4, NULL, 0) == 0 && ringside_check_key(&src, 8, NULL, 0) == -EINVAL);
	CHECK(strstr(ringside_last_error(NULL), "a key has 4 bytes"));
	CHECK(ringside_check_value(&src, sizeof(struct row), members, 3) == 0); /* no types: the size fits */
	CHECK(parse(&a, "{\"version\":1,\"value\":{\"kind\":\"struct\",\"size\":24,\"fields\":["
		"{\"name\":\"n\",\"offset\":0,\"type\":" U32 "},{\"name\":\"inner\",\"offset\":4,\"type\":" U32 "},"
		"{\"name\":\"low\",\"offset\":4,\"bit_size\":5,\"type\":" U32 "},"
		"{\"name\":\"list\",\"offset\":8,\"type\":{\"kind\":\"bytes\",\"size\":16}}]}}"));
	src.value = value;
	CHECK(ringside_check_value(&src, sizeof(struct row), members, 3) == 0);
	members[1].offset = 6;
	CHECK(ringside_check_value(&src, sizeof(struct row), members, 3) == -EINVAL);
	CHECK(strstr(ringside_last_error(NULL), "value.inner is 4 bytes at offset 4, this program has 4 at 6"));
	members[1].path = "outer";
	CHECK(ringside_check_value(&src, sizeof(struct row), members, 3) == -EINVAL && strstr(ringside_last_error(NULL), "no member outer"));
	members[1].path = "low";
	CHECK(ringside_check_value(&src, sizeof(struct row), members, 3) == -EINVAL && strstr(ringside_last_error(NULL), "bitfield"));
	arena_free(&a);
}

static void options(void)
{
	struct settings s;
	struct text why;
	struct {
		struct ringside_options o;
		uint64_t later;
	} newer = {0};
	ringside_options_init(&newer.o);
	CHECK(settings_read(&s, NULL, &why) == 0 && strcmp(s.ring, "main") == 0 && s.name[0]);
	newer.o.size = sizeof(newer);
	CHECK(settings_read(&s, &newer.o, &why) == 0);
	newer.later = 1;
	CHECK(settings_read(&s, &newer.o, &why) == -E2BIG);
	newer.o.size = offsetof(struct ringside_options, ring); /* an older program's */
	newer.o.socket = "/a";
	newer.o.ring = "ignored";
	CHECK(settings_read(&s, &newer.o, &why) == 0 && strcmp(s.socket, "/a") == 0 && strcmp(s.ring, "main") == 0);
	newer.o.size = 0;
	CHECK(settings_read(&s, &newer.o, &why) == -EINVAL);
	ringside_options_init(&newer.o);
	newer.o.flags = 1;
	CHECK(settings_read(&s, &newer.o, &why) == -EINVAL);
	char name[300];
	memset(name, 'x', sizeof(name));
	name[299] = '\0';
	ringside_options_init(&newer.o);
	newer.o.ring = name;
	CHECK(settings_read(&s, &newer.o, &why) == -ENAMETOOLONG && strstr(why.s, "ring"));
	newer.o.ring = "";
	newer.o.socket = name;
	CHECK(settings_read(&s, &newer.o, &why) == -ENAMETOOLONG && strstr(why.s, "socket"));
}

int main(void)
{
	schemas_that_hold();
	schemas_that_do_not();
	bounds();
	paths();
	layouts();
	options();
	CHECK(strcmp(ringside_strerror(-EBADMSG), "the ring is corrupt") == 0);
	return 0;
}
