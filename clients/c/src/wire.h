/* SPDX-License-Identifier: Apache-2.0 */
/* The socket: asking for a ring, and what comes back. Nothing here blocks. */
#ifndef RINGSIDE_WIRE_H
#define RINGSIDE_WIRE_H

#include <sys/un.h>

#include "fail.h"
#include "protocol.h"
#include "ring.h"

/* The options, copied and with their defaults. */
struct settings {
	char socket[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char ring[NAME_BYTES], name[NAME_BYTES], source[S_NAME_BYTES];
	uint32_t start;
	int timeout_ms;
};

/* What the sidecar granted. The descriptors are the receiver's. */
struct grant {
	uint32_t source; /* ANY_SOURCE: all */
	uint64_t epoch, ring_bytes;
	struct position pos;
	int ring, page, bell;
};

/* Connects and asks: 0 and *socket. */
int wire_ask(const struct settings *o, uint32_t start, int *socket, struct text *why);

/* 0: granted. 1: nothing has come yet. */
int wire_answer(const struct settings *o, int socket, struct grant *g, struct text *why);

#endif
