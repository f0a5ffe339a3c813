/* SPDX-License-Identifier: Apache-2.0 */
/* ringside_next and ringside_lease. No system call is made in this file. */
#include <errno.h>
#include <inttypes.h>

#include "reader.h"

enum { MAX_STEPS = 64 }; /* frames skipped in one call */

bool reader_has_news(const struct ringside *r)
{
	return r->err || r->gone || r->hangs || r->restart || r->evicted ||
		(r->phase == READING && r->cursor.lost.frames > r->told.frames);
}

static struct ringside_batch *remark(struct ringside *r, enum ringside_kind kind)
{
	r->note = (struct ringside_batch){.kind = kind};
	return &r->note;
}

/* The remark about the part of a loss that was not told yet. What was told may be
 * ahead of the cursor, which counts the loss before a frame only when it leaves
 * that frame. */
static struct ringside_batch *tell_loss(struct ringside *r, const struct account *now)
{
	if (now->frames <= r->told.frames)
		return NULL;
	struct ringside_batch *b = remark(r, RINGSIDE_LOST);
	b->lost = (struct ringside_loss){now->frames - r->told.frames, now->rows - r->told.rows, true};
	counter_add(&r->count.lost_frames, b->lost.frames);
	counter_add(&r->count.lost_rows, b->lost.rows);
	r->told = *now;
	return b;
}

/* What there is to say before the next frame. */
static struct ringside_batch *news(struct ringside *r)
{
	if (r->gone) {
		r->gone = false;
		return remark(r, RINGSIDE_GONE);
	}
	if (r->hangs) {
		r->hangs = false;
		return remark(r, RINGSIDE_HANGS);
	}
	if (r->restart) {
		r->restart = false;
		remark(r, RINGSIDE_RESTART)->lost = r->missed;
		return &r->note;
	}
	if (r->evicted) {
		r->evicted = false;
		return remark(r, RINGSIDE_EVICTED);
	}
	return r->phase == READING ? tell_loss(r, &r->cursor.lost) : NULL;
}

static uint32_t kind_of(uint8_t frame_kind)
{
	switch (frame_kind) {
	case FRAME_ROWS:
		return RINGSIDE_ROWS;
	case FRAME_DELETES:
		return RINGSIDE_DELETES;
	case FRAME_EVENTS:
		return RINGSIDE_EVENTS;
	}
	return 0; /* no batch */
}

/* Whether the frame that the cursor found is one to deliver. */
static bool admitted(const struct ringside *r)
{
	const struct cursor *c = &r->cursor;
	return kind_of(c->h.kind) != 0 && (!r->settings.source[0] || strcmp(c->src->name, r->settings.source) == 0);
}

/* Makes r->frame the batch of the cursor's frame, whose bytes are at base. */
static void describe(struct ringside *r, const uint8_t *base)
{
	const struct header *h = &r->cursor.h;
	const struct ringside_source *src = r->cursor.src;
	struct ringside_batch *b = &r->frame;
	*b = (struct ringside_batch){
		.kind = kind_of(h->kind), .flags = h->flags & (RINGSIDE_FIRST | RINGSIDE_LAST | RINGSIDE_KEYFRAME),
		.rows = h->rows, .source_seq = h->source_seq, .source = src, .seq = h->seq, .scan = h->scan, .time_ns = h->time_ns,
	};
	if (h->kind == FRAME_EVENTS) {
		b->frame = base;
		b->frame_bytes = h->length;
		b->events_off = h->keys_off;
		return;
	}
	/* Of no rows the offsets mean nothing, and were not checked. */
	b->keys = base + (h->rows > 0 ? h->keys_off : FRAME_HEADER_BYTES);
	b->key_size = src->key_size;
	b->key_stride = h->key_stride;
	if (h->kind != FRAME_ROWS)
		return;
	b->values = base + (h->rows > 0 ? h->values_off : FRAME_HEADER_BYTES);
	b->value_size = src->value_size;
	b->value_stride = h->value_stride;
}

/* Leaves the cursor's frame. */
static void leave_frame(struct ringside *r)
{
	struct cursor *c = &r->cursor;
	counter_add(&r->count.laps, c->pending.laps);
	cursor_advance(c);
	__atomic_store_n(&r->count.seq, c->pos.seq, __ATOMIC_RELAXED);
	__atomic_store_n(&r->count.rows_before, c->pos.rows, __ATOMIC_RELAXED);
}

static void delivered(struct ringside *r)
{
	counter_add(&r->count.frames, 1);
	counter_add(&r->count.rows, r->frame.rows);
}

enum { MORE = 0, GOT = 1, DRY = 2 };

/* No next frame: MORE or DRY, or what is wrong. */
static int nothing(struct ringside *r, enum status s)
{
	switch (s) {
	case CORRUPT:
		return r->err = -EBADMSG;
	case FAILED:
		return -ENOMEM;
	case LAPPED:
		/* Nobody writes to a file: who has got no further since the last time never
		 * will. Who has, passed a row of pads. */
		if (r->file && r->stuck != UINT64_MAX && r->cursor.pos.offset <= r->stuck)
			return r->err = fail(&r->why, ELOOP, "the file was recorded in the middle of a lap: no frame of it can be reached");
		r->stuck = r->cursor.pos.offset;
		return MORE;
	default:
		return r->file ? -ENODATA : DRY;
	}
}

/* Every event must lie in the frame. Only a copy can be checked as a whole. */
static bool events_fit(const struct ringside_batch *b)
{
	uint32_t length;
	for (uint32_t i = 0; b->kind == RINGSIDE_EVENTS && i < b->rows; i++)
		if (!ringside_event(b, i, &length))
			return false;
	return true;
}

/* Copies the cursor's frame and leaves it. MORE, also if it was overwritten. */
static int hold(struct ringside *r)
{
	struct cursor *c = &r->cursor;
	copy_racy(r->buf, cursor_frame(c), c->h.length);
	if (!cursor_valid(c))
		return MORE;
	describe(r, r->buf);
	if (!events_fit(&r->frame))
		return r->err = fail(&r->why, EBADMSG, "the ring is corrupt: frame at %" PRIu64 " has events outside itself", c->pos.offset);
	leave_frame(r);
	r->held = true;
	return MORE;
}

/* Lends the cursor's frame where it lies, or tells the loss before it. */
static const struct ringside_batch *lend(struct ringside *r)
{
	const struct cursor *c = &r->cursor;
	struct account now = {c->lost.frames + c->pending.frames, c->lost.rows + c->pending.rows, 0};
	const struct ringside_batch *loss = tell_loss(r, &now);
	if (loss)
		return loss;
	describe(r, cursor_frame(c));
	r->lent = LENT_FRAME;
	return &r->frame;
}

static void notice_eviction(struct ringside *r)
{
	const uint8_t *page = r->lease.page;
	if (page && !r->evicted_known && word_relaxed(page + P_EVICTED) != 0)
		r->evicted_known = r->evicted = true;
}

/* One thing that is bounded: GOT *out, or there may be MORE, or not, or an error. */
static int step(struct ringside *r, bool copy, const struct ringside_batch **out)
{
	if ((*out = news(r)) != NULL)
		return GOT;
	if (r->held) {
		r->held = false;
		delivered(r);
		*out = &r->frame;
		return GOT;
	}
	if (r->err || r->phase != READING)
		return r->err ? r->err : DRY;
	enum status s = cursor_peek(&r->cursor, &r->why);
	if (s != READY)
		return nothing(r, s);
	if (!admitted(r)) {
		leave_frame(r); /* nothing of its payload was read */
		return MORE;
	}
	if (copy)
		return hold(r);
	*out = lend(r);
	return GOT;
}

static int read_batch(struct ringside *r, bool copy, const struct ringside_batch **out)
{
	*out = NULL;
	if (r->lent != NOT_LENT)
		return fail(&r->why, EBUSY, "a lease is open: call ringside_lease_end first");
	notice_eviction(r);
	for (int steps = 0; steps < MAX_STEPS || r->file; steps++) {
		int n = step(r, copy, out);
		if (n != MORE)
			return n == DRY ? 0 : n;
	}
	return 0;
}

int ringside_next(struct ringside *r, const struct ringside_batch **out) { return read_batch(r, true, out); }

int ringside_lease(struct ringside *r, const struct ringside_batch **out)
{
	int n = read_batch(r, false, out);
	if (n == 1 && r->lent == NOT_LENT)
		r->lent = LENT_NOTE; /* a remark, or a copy that was still held */
	return n;
}

int ringside_lease_end(struct ringside *r)
{
	enum lent lent = r->lent;
	r->lent = NOT_LENT;
	if (lent == NOT_LENT)
		return fail(&r->why, EINVAL, "no lease is open");
	if (lent == LENT_NOTE)
		return 1;
	if (!cursor_valid(&r->cursor))
		return 0;
	leave_frame(r);
	delivered(r);
	return 1;
}
