/* SPDX-License-Identifier: Apache-2.0 */
/* conform FILE...: prints what is read from golden images, as
 * clients/testdata/README.md fixes it. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "ringside.h"

static void hex(const void *bytes, uint32_t n)
{
	const unsigned char *b = bytes;
	putchar('"');
	for (uint32_t i = 0; i < n; i++)
		printf("%02x", b[i]);
	putchar('"');
}

static void row(const struct ringside_batch *b, uint32_t i)
{
	uint32_t length;
	if (b->kind == RINGSIDE_EVENTS) {
		const void *event = ringside_event(b, i, &length);
		putchar('[');
		hex(event, length);
		putchar(']');
		return;
	}
	putchar('[');
	hex(ringside_key(b, i), b->key_size);
	if (b->kind == RINGSIDE_ROWS) {
		putchar(',');
		hex(ringside_value(b, i), b->value_size);
	}
	putchar(']');
}

static void batch(const struct ringside_batch *b)
{
	static const char *const kinds[] = {"", "rows", "deletes", "events"};
	static const char *const truth[] = {"false", "true"};
	if (b->kind == RINGSIDE_LOST) {
		printf("{\"kind\":\"lost\",\"frames\":%" PRIu64 ",\"rows\":%" PRIu64 ",\"exact\":%s}\n",
			b->lost.frames, b->lost.rows, truth[b->lost.exact]);
		return;
	}
	printf("{\"kind\":\"%s\",\"source\":\"%s\",\"seq\":%" PRIu64 ",\"scan\":%" PRIu64 ",\"first\":%s,\"last\":%s,\"keyframe\":%s,\"rows\":[",
		kinds[b->kind], b->source->name, b->seq, b->scan, truth[(b->flags & RINGSIDE_FIRST) != 0],
		truth[(b->flags & RINGSIDE_LAST) != 0], truth[(b->flags & RINGSIDE_KEYFRAME) != 0]);
	for (uint32_t i = 0; i < b->rows; i++) {
		if (i > 0)
			putchar(',');
		row(b, i);
	}
	puts("]}");
}

static const char *name_of(int err)
{
	switch (err) {
	case -ENODATA:
		return "";
	case -EBADMSG:
		return "corrupt";
	case -ELOOP:
		return "lapped";
	case -EMEDIUMTYPE:
	case -EPROTONOSUPPORT:
		return "refused";
	}
	return ringside_strerror(err);
}

int main(int argc, char **argv)
{
	struct ringside_options o;
	ringside_options_init(&o);
	o.start = RINGSIDE_START_BEGINNING;
	for (int i = 1; i < argc; i++) {
		struct ringside *r;
		const struct ringside_batch *b;
		struct ringside_stats s = {.size = sizeof(s)};
		int n = ringside_open_file(argv[i], &o, &r);
		while (n >= 0 && (n = ringside_next(r, &b)) >= 0)
			if (n == 1)
				batch(b);
		if (r)
			ringside_stats(r, &s);
		fprintf(stderr, "%s\n", ringside_last_error(r));
		printf("{\"kind\":\"end\",\"frames\":%" PRIu64 ",\"rows\":%" PRIu64 ",\"lost_frames\":%" PRIu64 ",\"lost_rows\":%" PRIu64
			",\"laps\":%" PRIu64 ",\"error\":\"%s\"}\n", s.frames, s.rows, s.lost_frames, s.lost_rows, s.laps, name_of(n));
		ringside_close(r);
	}
	return 0;
}
