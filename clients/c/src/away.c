/* SPDX-License-Identifier: Apache-2.0 */
/* From one ring to the next. Nothing here blocks: ringside_wait sleeps between
 * the attempts. */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "reader.h"

static const int64_t first_pause_ns = 1000000, max_pause_ns = 50000000;

/* How long a question may go unanswered, and how long a sidecar that came back may
 * refuse before that is its last word: while it starts, directories and modes
 * change. And how long one is believed that says it is just being replaced. */
static const int64_t answer_ns = 5000000000, refusal_grace_ns = 1000000000, replace_grace_ns = 5000000000;

static void tell_gone(struct ringside *r)
{
	r->gone = r->gone || !r->away.told;
	r->away.told = true;
}

/* Gives back a ring that was read to its end. clean: the sidecar had said that
 * nothing would follow; after a hang-up there may have been something that it had
 * read and not yet published. */
void reader_leave(struct ringside *r, bool clean, int64_t now)
{
	struct lease old = r->lease;
	r->away = (struct away){.epoch = old.ring.epoch, .pos = r->cursor.pos, .clean = clean, .told = r->hung_up,
		.pause_ns = first_pause_ns, .next_try = now, .socket = -1};
	if (ring_state(&old.ring) == STATE_ENDED)
		tell_gone(r); /* a superseded ring has a successor, an ended one has not */
	r->hanging = false;
	r->phase = AWAY;
	reader_lock(&r->lock);
	lease_init(&r->lease);
	__atomic_store_n(&r->count.away, ENOTCONN, __ATOMIC_RELAXED);
	reader_unlock(&r->lock);
	lease_drop(&old);
}

/* Whether trying again is no use: this program is not wanted, and not just for a
 * moment. */
static bool hopeless(struct ringside *r, int err, int64_t now)
{
	if (err == -EPROTONOSUPPORT || err == -EPROTO)
		return true;
	if (err != -EPERM && err != -EACCES) {
		r->away.refused = 0;
		return false;
	}
	if (r->away.refused == 0)
		r->away.refused = now;
	return now - r->away.refused >= refusal_grace_ns;
}

/* Who refuses is not gone; nor is who is just being replaced, or hands over to
 * another. */
static bool is_there(struct away *a, int err, int64_t now)
{
	if (err == -EAGAIN && a->replaced == 0)
		a->replaced = now;
	return a->refused != 0 || (err == -EAGAIN && now - a->replaced < replace_grace_ns);
}

/* An attempt failed: the next one comes after a pause, unless it is no use. */
static int failed(struct ringside *r, int err, int64_t now)
{
	struct away *a = &r->away;
	if (a->socket >= 0)
		close(a->socket);
	a->socket = -1;
	r->phase = AWAY;
	__atomic_store_n(&r->count.away, -err, __ATOMIC_RELAXED);
	if (hopeless(r, err, now))
		return r->err = err;
	if (!is_there(a, err, now))
		tell_gone(r);
	a->next_try = now + a->pause_ns;
	a->pause_ns = 2 * a->pause_ns < max_pause_ns ? 2 * a->pause_ns : max_pause_ns;
	return 0;
}

/* The next ring is young, so its beginning is the least that can be lost; only who
 * wants the newest gets that. */
static int ask(struct ringside *r, int64_t now)
{
	uint32_t start = r->settings.start == RINGSIDE_START_HEAD ? RINGSIDE_START_HEAD : RINGSIDE_START_OLDEST;
	struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP};
	int err = wire_ask(&r->settings, start, &r->away.socket, &r->why);
	if (!err) {
		e.data.fd = r->away.socket;
		if (epoll_ctl(r->epoll, EPOLL_CTL_ADD, r->away.socket, &e) < 0)
			err = fail(&r->why, errno, "epoll: %s", ringside_strerror(errno));
	}
	if (err)
		return failed(r, err, now);
	r->away.asked = now;
	r->phase = ASKING;
	return 0;
}

/* Goes on with a new lease. */
static int go_on(struct ringside *r, struct lease *l)
{
	struct position pos = l->pos;
	struct ringside_loss missed = {pos.seq, pos.rows, r->away.clean}; /* a ring counts from its own beginning */
	if (l->ring.epoch == r->away.epoch) {
		/* The lease was lost, not the ring: nothing is. */
		if (ring_state(&l->ring) != STATE_LIVE)
			return fail(&r->why, EAGAIN, "the sidecar still lends the ring that has ended");
		pos = r->away.pos;
		missed = (struct ringside_loss){0, 0, true};
	}
	int err = reader_adopt(r, l, pos);
	if (err)
		return err;
	r->missed = missed;
	r->restart = true;
	counter_add(&r->count.restarts, 1);
	counter_add(&r->count.lost_frames, missed.frames);
	counter_add(&r->count.lost_rows, missed.rows);
	return 0;
}

static int answer(struct ringside *r, int64_t now)
{
	struct grant g;
	struct lease l;
	int socket = r->away.socket;
	int err = wire_answer(&r->settings, socket, &g, &r->why);
	if (err == 1 && now - r->away.asked < answer_ns)
		return 0;
	if (err == 1)
		err = fail(&r->why, ETIMEDOUT, "socket %s: it accepts, no reply: the sidecar hangs or is stopped", r->settings.socket);
	else if (!err) {
		epoll_ctl(r->epoll, EPOLL_CTL_DEL, socket, NULL); /* adopting adds it again */
		err = lease_take(&l, &r->settings, &g, socket, &r->why);
		if (!err && (err = go_on(r, &l)) != 0) {
			l.socket = -1; /* failed closes it */
			lease_drop(&l);
		}
	}
	if (err)
		return failed(r, err, now);
	r->away.socket = -1; /* the lease's now */
	return 0;
}

/* Does what can be done now. 0, or the error that makes further attempts
 * pointless. */
int reader_come_back(struct ringside *r, int64_t now)
{
	if (r->phase == AWAY && now >= r->away.next_try) {
		int err = ask(r, now);
		if (err)
			return err;
	}
	return r->phase == ASKING ? answer(r, now) : 0;
}
