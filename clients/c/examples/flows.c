/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the rows of a map of flows: the same program in every language. */
#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <ringside.h>

struct flow { uint32_t src, dst; };
struct stats { uint64_t packets, bytes; };
static const struct ringside_member key[] = {RINGSIDE_MEMBER(struct flow, src), RINGSIDE_MEMBER(struct flow, dst)};
static const struct ringside_member value[] = {RINGSIDE_MEMBER(struct stats, packets), RINGSIDE_MEMBER(struct stats, bytes)};

int main(void)
{
	struct ringside_options o;
	struct ringside *r;
	const struct ringside_batch *b;
	const struct ringside_source *known = NULL;
	int n;

	ringside_options_init(&o);
	o.source = "flows";
	if (ringside_attach(&o, &r) < 0)
		errx(1, "%s", ringside_last_error(NULL)); /* names the socket, the cause and the remedy */
	while ((n = ringside_next(r, &b)) >= 0) {
		if (n == 0)
			ringside_wait(r, -1);
		else if (b->kind == RINGSIDE_LOST)
			warnx("lost %" PRIu64 " rows", b->lost.rows);
		else if (b->kind == RINGSIDE_RESTART)
			known = NULL;
		else if (b->kind == RINGSIDE_ROWS) {
			if (b->source != known && (ringside_check_key(b->source, sizeof(struct flow), key, 2) < 0 ||
					ringside_check_value(b->source, sizeof(struct stats), value, 2) < 0))
				errx(1, "%s", ringside_last_error(NULL)); /* names the first field that differs */
			known = b->source;
			for (uint32_t i = 0; i < b->rows; i++) {
				struct flow flow; /* rows need not be aligned */
				struct stats stats;
				memcpy(&flow, ringside_key(b, i), sizeof(flow));
				memcpy(&stats, ringside_value(b, i), sizeof(stats));
				printf("%08" PRIx32 " %08" PRIx32 " %" PRIu64 "\n", flow.src, flow.dst, stats.bytes);
			}
		}
	}
	errx(1, "%s", ringside_last_error(r));
}
