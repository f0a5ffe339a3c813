/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "reader.h"

enum { FIRST_PAUSE_MS = 1, MAX_PAUSE_MS = 50 };

int reader_new(struct ringside **out, const struct ringside_options *options, struct text *why)
{
	struct ringside *r = calloc(1, sizeof(*r));
	if (!r)
		return fail(why, ENOMEM, "no memory");
	r->epoll = r->timer = r->away.socket = -1;
	r->phase = AWAY;
	r->stuck = UINT64_MAX;
	lease_init(&r->lease);
	sources_init(&r->sources);
	sources_init(&r->past);
	int err = settings_read(&r->settings, options, why);
	if (err) {
		free(r);
		return err;
	}
	*out = r;
	return 0;
}

/* Both are watched by their edge or their end: the bell is for ever readable, and
 * rings by becoming so again; on the socket nothing comes but its end. */
static int watch(struct ringside *r, const struct lease *l, struct text *why)
{
	struct epoll_event bell = {.events = EPOLLIN | EPOLLET, .data.fd = l->bell};
	struct epoll_event socket = {.events = EPOLLIN | EPOLLRDHUP, .data.fd = l->socket};
	if (r->epoll < 0)
		r->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (r->epoll < 0 || epoll_ctl(r->epoll, EPOLL_CTL_ADD, l->bell, &bell) < 0 ||
	    epoll_ctl(r->epoll, EPOLL_CTL_ADD, l->socket, &socket) < 0)
		return fail(why, errno, "cannot wait for the sidecar: %s", ringside_strerror(errno));
	return 0;
}

static int make_room(struct ringside *r, size_t bytes, struct text *why)
{
	if (bytes <= r->buf_bytes)
		return 0;
	void *buf;
	if (posix_memalign(&buf, FRAME_ALIGN, bytes) != 0)
		return fail(why, ENOMEM, "no memory for a frame of %zu bytes", bytes);
	memset(buf, 0, bytes); /* the first touch happens here, not while reading */
	free(r->buf);
	r->buf = buf;
	r->buf_bytes = bytes;
	r->held = false;
	return 0;
}

int reader_adopt(struct ringside *r, struct lease *l, struct position pos)
{
	int err = r->file ? 0 : watch(r, l, &r->why);
	if (!err)
		err = make_room(r, l->ring.largest_frame, &r->why);
	if (err)
		return err;
	sources_free(&r->past);
	r->past = r->sources;
	sources_init(&r->sources);
	reader_lock(&r->lock);
	r->lease = *l;
	__atomic_store_n(&r->count.seq, pos.seq, __ATOMIC_RELAXED);
	__atomic_store_n(&r->count.rows_before, pos.rows, __ATOMIC_RELAXED);
	__atomic_store_n(&r->count.away, 0, __ATOMIC_RELAXED);
	reader_unlock(&r->lock);
	uint32_t start = r->settings.start;
	if (start == RINGSIDE_START_DEFAULT)
		start = r->file ? RINGSIDE_START_OLDEST : RINGSIDE_START_KEYFRAME;
	r->cursor = (struct cursor){.ring = &r->lease.ring, .sources = &r->sources, .pos = pos, .start = start,
		.source = l->source, .page = r->lease.page};
	r->told = (struct account){0};
	r->pulse = (struct pulse){0};
	r->hung_up = r->evicted_known = false;
	r->phase = READING;
	return 0;
}

/* Waits for the answer, and takes what is granted. */
static int await_grant(struct ringside *r, int socket, int64_t until)
{
	struct grant g;
	struct lease l;
	int n = 1;
	while (n == 1) {
		int64_t left = (until - clock_ns() + 999999) / 1000000;
		struct pollfd p = {.fd = socket, .events = POLLIN};
		int ready = poll(&p, 1, left > 0 ? (int)left : 0);
		if (ready < 0)
			return fail(&r->why, errno, "poll: %s", ringside_strerror(errno));
		if (ready == 0)
			return fail(&r->why, ETIMEDOUT, "socket %s: it accepts, no reply: the sidecar hangs or is stopped; look at its process and its log",
				r->settings.socket);
		n = wire_answer(&r->settings, socket, &g, &r->why);
	}
	if (n < 0)
		return n;
	int err = lease_take(&l, &r->settings, &g, socket, &r->why);
	if (err)
		return err;
	err = reader_adopt(r, &l, l.pos);
	if (err) {
		l.socket = -1; /* the caller's */
		lease_drop(&l);
	}
	return err;
}

static int attach(struct ringside *r)
{
	int64_t until = clock_ns() + (int64_t)r->settings.timeout_ms * 1000000;
	for (int pause_ms = FIRST_PAUSE_MS;; pause_ms = 2 * pause_ms < MAX_PAUSE_MS ? 2 * pause_ms : MAX_PAUSE_MS) {
		int socket;
		int err = wire_ask(&r->settings, r->settings.start, &socket, &r->why);
		if (!err) {
			err = await_grant(r, socket, until);
			if (err)
				close(socket);
		}
		/* A ring that is just being replaced will be there in a moment. */
		if (err != -EAGAIN || clock_ns() >= until)
			return err;
		if (poll(NULL, 0, pause_ms) < 0)
			return -errno;
	}
}

/* Delivers a reader, or the sentence about why there is none. */
static int finish(struct ringside *r, int err, const struct text *why, struct ringside **out)
{
	*out = NULL;
	if (err) {
		fail_in_thread(why);
		ringside_close(r);
		return err;
	}
	*out = r;
	return 0;
}

int ringside_attach(const struct ringside_options *options, struct ringside **out)
{
	struct ringside *r = NULL;
	struct text why;
	int err = reader_new(&r, options, &why);
	if (err)
		return finish(NULL, err, &why, out);
	if (r->settings.start == RINGSIDE_START_BEGINNING)
		err = fail(&r->why, EINVAL, "options: only files are read from the beginning");
	if (!err)
		err = attach(r);
	why = r->why;
	return finish(r, err, &why, out);
}

void ringside_close(struct ringside *r)
{
	if (!r)
		return;
	lease_drop(&r->lease);
	sources_free(&r->sources);
	sources_free(&r->past);
	if (r->away.socket >= 0)
		close(r->away.socket);
	if (r->timer >= 0)
		close(r->timer);
	if (r->epoll >= 0)
		close(r->epoll);
	free(r->buf);
	free(r);
}

/* Where the newest whole scan begins, of the oldest among several sources; without
 * one, the oldest frame. */
static uint64_t keyframe(const struct ring *ring, uint32_t source)
{
	uint64_t head = ring_head(ring), at = head;
	for (uint32_t n = 0; n < ring_sources(ring); n++) {
		const uint8_t *rec = ring_record(ring, n);
		uint64_t pos = word_acquire(rec + S_KEYFRAME_POS);
		if ((source == ANY_SOURCE || source == n) && pos < at && !ring_overtaken(ring, pos) &&
				word_acquire(rec + S_STATE) == SOURCE_ACTIVE)
			at = pos;
	}
	return at == head ? word_acquire(ring->control + C_TAIL) : at;
}

/* Where reading of a recorded ring begins. */
static struct position first_position(struct ringside *r, struct lease *l)
{
	struct position pos = {0};
	const struct ring *ring = &l->ring;
	uint32_t start = r->settings.start;
	if (start == RINGSIDE_START_BEGINNING)
		return pos;
	pos.offset = start == RINGSIDE_START_HEAD ? ring_head(ring) : start == RINGSIDE_START_KEYFRAME ? keyframe(ring, l->source)
		: word_acquire(ring->control + C_TAIL);
	if (ring_overtaken(ring, pos.offset)) /* while the file was copied */
		pos.offset = word_acquire(ring->control + C_LAST);
	pos.offset &= ~(uint64_t)(FRAME_ALIGN - 1);
	if (pos.offset == 0)
		return pos;
	if (pos.offset >= ring_head(ring) || ring_overtaken(ring, pos.offset)) { /* no frame there says how much was before it */
		struct position all = ring_totals(ring);
		all.offset = ring_head(ring);
		return all;
	}
	/* Frames and pads carry the counts of everything before them. */
	const uint8_t *frame = ring->data + (pos.offset & ring->mask);
	pos.seq = word_relaxed(frame + 32);
	pos.rows = word_relaxed(frame + 40);
	return pos;
}

static int open_image(struct ringside *r, struct lease *l)
{
	l->source = r->settings.source[0] ? sources_find(&r->sources, &l->ring, r->settings.source, &r->why) : ANY_SOURCE;
	struct position pos = first_position(r, l);
	int err = reader_adopt(r, l, pos);
	if (err)
		lease_drop(l);
	return err;
}

int ringside_open_file(const char *path, const struct ringside_options *options, struct ringside **out)
{
	struct ringside *r = NULL;
	struct lease l;
	struct text why;
	int err = reader_new(&r, options, &why);
	if (err)
		return finish(NULL, err, &why, out);
	r->file = true;
	lease_init(&l);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not block */
	err = fd < 0 ? fail(&why, errno, "%s", ringside_strerror(errno)) : ring_read(&l.ring, fd, &why);
	if (fd >= 0)
		close(fd);
	if (err)
		fail(&r->why, -err, "%s: %s", path, why.s);
	else
		err = open_image(r, &l);
	why = r->why;
	return finish(r, err, &why, out);
}

int reader_open_memory(const uint8_t *image, size_t bytes, const struct ringside_options *options, struct ringside **out)
{
	struct ringside *r = NULL;
	struct lease l;
	struct text why;
	int err = reader_new(&r, options, &why);
	if (err)
		return finish(NULL, err, &why, out);
	r->file = true;
	lease_init(&l);
	err = ring_copy(&l.ring, image, bytes, &r->why);
	if (!err)
		err = open_image(r, &l);
	why = r->why;
	return finish(r, err, &why, out);
}
