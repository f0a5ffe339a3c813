/* SPDX-License-Identifier: Apache-2.0 */
/* The sources of one ring, loaded when they are first asked for. */
#ifndef RINGSIDE_SOURCE_H
#define RINGSIDE_SOURCE_H

#include "arena.h"
#include "ring.h"
#include "ringside.h"

struct sources {
	struct ringside_source **all; /* by number; NULL: not loaded yet */
	uint32_t room;
	struct arena arena;
};

void sources_init(struct sources *s);
void sources_free(struct sources *s);

/* Source n: 0, -EBADMSG (not counted, or wrong), or -ENOMEM. */
int sources_get(struct sources *s, const struct ring *ring, uint32_t n,
	const struct ringside_source **out, struct text *why);

/* The number of the newest source of a name; ANY_SOURCE: there is none. */
uint32_t sources_find(struct sources *s, const struct ring *ring, const char *name, struct text *why);

/* The source that has n's name now: n, unless another map took its place. */
uint32_t source_successor(const struct ring *ring, uint32_t n);

#endif
