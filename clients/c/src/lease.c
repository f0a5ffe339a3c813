/* SPDX-License-Identifier: Apache-2.0 */
#include "lease.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ringside.h"

void lease_init(struct lease *l) { *l = (struct lease){.socket = -1, .bell = -1}; }

static int map_page(struct lease *l, int fd, struct text *why)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & PAGE_SEALS) != PAGE_SEALS || fstat(fd, &st) < 0 || st.st_size != PAGE_BYTES)
		return fail(why, EBADFD, "the consumer's page is not sealed, or not a page");
	void *page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return fail(why, errno, "cannot map the consumer's page: %s", ringside_strerror(errno));
	l->page = page;
	return 0;
}

/* The bell is an end of a socket; of anything else epoll would wait for nothing. */
static int check_bell(int fd, struct text *why)
{
	int type;
	socklen_t n = sizeof(type);
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) < 0 || type != SOCK_SEQPACKET)
		return fail(why, EPROTO, "not the ringside protocol: the bell is none");
	return 0;
}

static int map_all(struct lease *l, const struct grant *g, struct text *why)
{
	int err = ring_map(&l->ring, g->ring, why);
	if (!err && (l->ring.epoch != g->epoch || l->ring.bytes != g->ring_bytes))
		err = fail(why, EPROTO, "the sidecar grants epoch %" PRIx64 " of %" PRIu64 " bytes, the ring is epoch %" PRIx64 " of %" PRIu64,
			g->epoch, g->ring_bytes, l->ring.epoch, l->ring.bytes);
	if (!err)
		err = map_page(l, g->page, why);
	return err ? err : check_bell(g->bell, why);
}

int lease_take(struct lease *l, const struct settings *o, const struct grant *g, int socket, struct text *why)
{
	struct text cause;
	lease_init(l);
	l->bell = g->bell;
	l->pos = g->pos;
	l->pos.offset &= ~(uint64_t)(FRAME_ALIGN - 1);
	l->source = g->source;
	int err = map_all(l, g, &cause);
	close(g->ring); /* mappings need no descriptors */
	close(g->page);
	if (err) {
		lease_drop(l);
		return fail(why, -err, "ring \"%s\" from %s: %s", o->ring, o->socket, cause.s);
	}
	l->socket = socket;
	return 0;
}

void lease_drop(struct lease *l)
{
	ring_unmap(&l->ring);
	if (l->page)
		munmap(l->page, PAGE_BYTES);
	if (l->bell >= 0)
		close(l->bell);
	if (l->socket >= 0)
		close(l->socket);
	lease_init(l);
}
