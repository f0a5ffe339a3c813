/* SPDX-License-Identifier: Apache-2.0 */
/* Sleeping, waking, and whatever else needs a system call. */
#include <errno.h>
#include <limits.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "reader.h"

/* The sidecar beats ten times a second. After silence the socket is asked; while
 * that says that all is well, it hangs after hang_time. A sleep is bounded by
 * tick: the bell loses nothing, but a sidecar that hangs rings none. */
static const int64_t silence_ns = 500000000, hang_ns = 2000000000, tick_ns = 1000000000;
static const int64_t answer_ns = 5000000000;

enum { MAX_EVENTS = 4 };

int64_t clock_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void set_hanging(struct ringside *r, bool hanging)
{
	if (r->hanging == hanging)
		return;
	r->hanging = r->hangs = hanging; /* told once for every time that it stops */
	__atomic_store_n(&r->count.away, hanging ? ETIMEDOUT : 0, __ATOMIC_RELAXED);
}

/* The sidecar is gone, unless it says that the ring has a successor. What it had
 * committed is in the ring and is read first. */
static void hang_up(struct ringside *r)
{
	if (r->hung_up || ring_state(&r->lease.ring) == STATE_SUPERSEDED)
		return;
	r->hung_up = r->gone = true;
	set_hanging(r, false);
	epoll_ctl(r->epoll, EPOLL_CTL_DEL, r->lease.socket, NULL);
}

static void look_at_socket(struct ringside *r)
{
	uint8_t none[8];
	ssize_t n;
	int tries = 0;
	while ((n = recv(r->lease.socket, none, sizeof(none), MSG_DONTWAIT)) > 0 && ++tries < 16)
		; /* nothing is ever sent on a lease; whatever it is, it is no sign of life */
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		hang_up(r);
}

/* Feels the pulse; makes a system call only if it is late. */
static void feel(struct ringside *r, int64_t now)
{
	struct pulse *p = &r->pulse;
	uint64_t beat = word_relaxed(r->lease.ring.control + C_HEARTBEAT);
	if (r->hung_up)
		return;
	if (beat != p->beat || p->changed == 0) {
		*p = (struct pulse){beat, now, now};
		set_hanging(r, false);
		return;
	}
	if (now - p->asked >= silence_ns) {
		p->asked = now;
		look_at_socket(r);
	}
	if (!r->hung_up && now - p->changed >= hang_ns)
		set_hanging(r, true);
}

static bool moved(const struct ringside *r) { return ring_head(&r->lease.ring) != r->cursor.pos.offset; }

/* Does what there is to do without sleeping. 1: ringside_next has something to
 * say. */
static int attend(struct ringside *r, int64_t now)
{
	if (r->phase == READING && !r->file)
		feel(r, now);
	if (r->file || r->held || reader_has_news(r))
		return 1;
	if (r->phase == READING) {
		bool over = ring_state(&r->lease.ring) != STATE_LIVE;
		if (moved(r))
			return 1;
		if (!over && !r->hung_up)
			return 0;
		reader_leave(r, over, now);
	}
	reader_come_back(r, now); /* its error is news */
	return reader_has_news(r) || (r->phase == READING && moved(r));
}

/* Looks at what happened, for at most timeout_ms. */
static int collect(struct ringside *r, int timeout_ms)
{
	struct epoll_event events[MAX_EVENTS];
	int n = epoll_wait(r->epoll, events, MAX_EVENTS, timeout_ms);
	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++)
		if (r->phase == READING && events[i].data.fd == r->lease.socket)
			look_at_socket(r);
	return n;
}

/* Raises the flag that asks to be rung, and looks once more: whoever commits after
 * that look sees the flag, and what was committed before it is seen by the look.
 * The bell's old edges are not taken before: that would be a system call more for
 * every sleep, and one that is left ends one sleep too early. False: do not sleep. */
static bool fall_asleep(struct ringside *r)
{
	word_store(r->lease.page + P_SLEEP, 1);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return !moved(r) && ring_state(&r->lease.ring) == STATE_LIVE;
}

static void wake_up(struct ringside *r)
{
	if (r->phase == READING && r->lease.page)
		word_store(r->lease.page + P_SLEEP, 0);
}

/* When there is something to do even if nothing comes. */
static int64_t due(const struct ringside *r, int64_t now)
{
	switch (r->phase) {
	case AWAY:
		return r->away.next_try;
	case ASKING:
		return r->away.asked + answer_ns;
	default:
		return now + tick_ns;
	}
}

static int doze(struct ringside *r, int64_t now, int64_t until)
{
	int64_t at = due(r, now);
	if (at > until)
		at = until;
	int64_t ms = at > now ? (at - now + 999999) / 1000000 : 0;
	bool asleep = r->phase != READING || fall_asleep(r);
	int n = asleep ? collect(r, (int)ms) : 0;
	wake_up(r);
	return n < 0 ? n : 0;
}

int ringside_wait(struct ringside *r, int timeout_ms)
{
	if (r->lent != NOT_LENT)
		return fail(&r->why, EBUSY, "a lease is open: call ringside_lease_end first");
	int64_t now = clock_ns();
	int64_t until = timeout_ms < 0 ? INT64_MAX : now + (int64_t)timeout_ms * 1000000;
	wake_up(r);
	for (;; now = clock_ns()) {
		if (attend(r, now) == 1)
			return 1;
		if (now >= until)
			return 0;
		int err = doze(r, now, until);
		if (err < 0)
			return fail(&r->why, -err, "epoll: %s", ringside_strerror(-err));
	}
}

int ringside_fd(struct ringside *r)
{
	if (r->file)
		return fail(&r->why, ENOTSUP, "a file has no descriptor to wait for");
	if (r->timer >= 0)
		return r->epoll;
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.fd = timer};
	if (timer < 0 || epoll_ctl(r->epoll, EPOLL_CTL_ADD, timer, &e) < 0) {
		int err = errno;
		if (timer >= 0)
			close(timer);
		return fail(&r->why, err, "timer: %s", ringside_strerror(err));
	}
	r->timer = timer;
	return r->epoll;
}

int ringside_arm(struct ringside *r)
{
	int fd = ringside_fd(r);
	if (fd < 0)
		return fd;
	int64_t now = clock_ns();
	if (r->lent != NOT_LENT || attend(r, now) == 1)
		return 1;
	/* Edges are taken before the timer is set anew: what comes from here on counts. */
	collect(r, 0);
	if (r->phase == READING && (r->hung_up || !fall_asleep(r))) {
		wake_up(r);
		return 1;
	}
	int64_t in = due(r, now) - now;
	if (in < 1)
		in = 1; /* 0 would stop it */
	struct itimerspec t = {.it_value = {.tv_sec = in / 1000000000, .tv_nsec = in % 1000000000}};
	if (timerfd_settime(r->timer, 0, &t, NULL) < 0)
		return fail(&r->why, errno, "timer: %s", ringside_strerror(errno));
	return 0;
}
