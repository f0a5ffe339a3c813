/* SPDX-License-Identifier: Apache-2.0 */
/* What is behind struct ringside. */
#ifndef RINGSIDE_READER_H
#define RINGSIDE_READER_H

#include "cursor.h"
#include "fail.h"
#include "lease.h"
#include "ringside.h"

enum phase {
	READING, /* there is a ring */
	ASKING,  /* there is a socket, and no answer yet */
	AWAY,    /* there is nobody */
};

/* The sidecar's heartbeat, by this process's own watch: its value is a time, too,
 * but perhaps of another time namespace. */
struct pulse {
	uint64_t beat;
	int64_t changed; /* when it was first seen; 0: never */
	int64_t asked;   /* when the socket was asked, or changed */
};

/* What is remembered of the last ring while there is none. */
struct away {
	uint64_t epoch;
	struct position pos; /* how far it was read */
	bool clean;          /* and that was all of it */
	bool told;           /* that nobody is there */
	int64_t pause_ns, next_try, asked;
	int64_t refused, replaced; /* since when ATTACH is answered so; 0: it is not */
	int socket;      /* while ASKING, else -1 */
};

/* Written by the reading thread, read by any: relaxed atomic accesses. */
struct counters {
	uint64_t frames, rows, lost_frames, lost_rows, laps, restarts;
	uint64_t seq, rows_before; /* behind the last frame that was left */
	int32_t away;
};

enum lent { NOT_LENT, LENT_NOTE, LENT_FRAME };

struct ringside {
	struct settings settings;
	enum phase phase;
	bool file;
	struct lease lease;
	struct cursor cursor;
	struct sources sources;
	struct sources past; /* of the ring before, whose pointers are still out there */
	uint8_t *buf;        /* what ringside_next copies into */
	size_t buf_bytes;

	struct ringside_batch frame; /* of buf, or in a lease of the ring */
	struct ringside_batch note;  /* a batch without rows */
	bool held;                   /* frame was copied and not delivered yet */
	enum lent lent;
	uint64_t stuck; /* files: where no frame could be caught; UINT64_MAX: nowhere */

	/* What has to be told before the next frame. */
	int err; /* final */
	bool gone, hangs, evicted, restart;
	struct ringside_loss missed; /* with restart */
	struct account told;         /* of this cursor's loss */

	bool hung_up;       /* the sidecar is gone; what it left is being read */
	bool hanging;       /* it is there, and as good as gone */
	bool evicted_known;
	struct pulse pulse;
	struct away away;
	int epoll, timer; /* timer: -1 until somebody wants the descriptor */

	bool lock; /* held while the ring's mapping comes, goes, or is looked at by ringside_stats */
	struct counters count;
	struct text why;
};

static inline void counter_add(uint64_t *to, uint64_t n)
{
	__atomic_store_n(to, *to + n, __ATOMIC_RELAXED); /* one writer */
}

/* Held for a few loads and never across a system call. */
static inline void reader_lock(bool *lock)
{
	while (__atomic_test_and_set(lock, __ATOMIC_ACQUIRE))
		;
}

static inline void reader_unlock(bool *lock) { __atomic_clear(lock, __ATOMIC_RELEASE); }

/* stream.c: whether something is to be told before the next frame. */
bool reader_has_news(const struct ringside *r);

/* options.c: the options with their defaults. */
int settings_read(struct settings *o, const struct ringside_options *from, struct text *why);

/* attach.c */
int reader_new(struct ringside **out, const struct ringside_options *options, struct text *why);
/* Makes a lease the one that is read, from pos on. -ENOMEM leaves it the caller's. */
int reader_adopt(struct ringside *r, struct lease *l, struct position pos);
/* Reads an image out of memory, as ringside_open_file does from a file. */
int reader_open_memory(const uint8_t *image, size_t bytes, const struct ringside_options *options, struct ringside **out);

/* away.c: leave a ring, look for the next one. */
void reader_leave(struct ringside *r, bool clean, int64_t now);
int reader_come_back(struct ringside *r, int64_t now);

/* wait.c */
int64_t clock_ns(void);

#endif
