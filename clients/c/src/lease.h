/* SPDX-License-Identifier: Apache-2.0 */
/* What a sidecar lent: the ring, this consumer's page, the bell, and the socket
 * whose end is the end of it. */
#ifndef RINGSIDE_LEASE_H
#define RINGSIDE_LEASE_H

#include "wire.h"

struct lease {
	struct ring ring;
	uint8_t *page; /* NULL: a file has none */
	int socket, bell;
	struct position pos;
	uint32_t source;
};

void lease_init(struct lease *l);

/* Maps what was granted and holds it against what was said about it. The grant's
 * descriptors are taken in any case, the socket only on success. */
int lease_take(struct lease *l, const struct settings *o, const struct grant *g, int socket, struct text *why);

/* Gives everything back. */
void lease_drop(struct lease *l);

#endif
