/* SPDX-License-Identifier: Apache-2.0 */
/* top SOURCE FIELD: the ten keys with the largest values of a 64-bit counter. */
#include <err.h>
#include <stdio.h>
#include <string.h>
#include <ringside.h>

static void show(const struct ringside_table *t, uint32_t offset)
{
	const void *key, *value, *keys[11] = {NULL};
	unsigned long long n, most[11] = {0};
	for (size_t at = 0, i; ringside_table_each(t, &at, &key, &value); most[i] = n, keys[i] = key) {
		memcpy(&n, (const char *)value + offset, sizeof(n));
		for (i = 10; i > 0 && n > most[i - 1]; i--) /* sinks towards the front */
			most[i] = most[i - 1], keys[i] = keys[i - 1];
	}
	for (int i = 0; i < 10 && keys[i]; printf(" %llu\n", most[i++]))
		for (uint32_t k = 0; k < ringside_table_key_size(t); k++)
			printf("%02x", ((const unsigned char *)keys[i])[k]);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct ringside *r = NULL;
	struct ringside_table *table;
	struct ringside_field field;
	const struct ringside_batch *b;
	if (argc != 3)
		errx(1, "usage: top SOURCE FIELD");
	if (ringside_attach(NULL, &r) < 0 || ringside_table_open(r, argv[1], NULL, &table) < 0)
		errx(1, "%s", ringside_last_error(r));
	const struct ringside_source *src = ringside_source_by_name(r, argv[1]);
	if (!src || !src->value || ringside_find(src->value, argv[2], &field) < 0 || field.type->size != 8)
		errx(1, "no source %s with a 64-bit counter %s", argv[1], argv[2]);
	for (int n; (n = ringside_next(r, &b)) >= 0;)
		if (n == 0)
			ringside_wait(r, -1);
		else if (ringside_table_apply(table, b) == 1 && ringside_table_value_size(table) >= field.offset + 8)
			show(table, field.offset);
	errx(1, "%s", ringside_last_error(r));
}
