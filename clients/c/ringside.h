/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ringside: read BPF maps without any privilege. A sidecar that may read the
 * maps publishes their rows in shared memory; this library attaches to that
 * memory and hands the rows out, at the price of a memory read.
 *
 *	struct ringside *r;
 *	const struct ringside_batch *b;
 *	int n = ringside_attach(NULL, &r);
 *	if (n < 0)
 *		errx(1, "%s", ringside_last_error(NULL));
 *	while ((n = ringside_next(r, &b)) >= 0)
 *		if (n == 0)
 *			ringside_wait(r, -1);
 *		else if (b->kind == RINGSIDE_ROWS)
 *			for (uint32_t i = 0; i < b->rows; i++)
 *				use(ringside_key(b, i), ringside_value(b, i));
 *
 * Results: functions that return int return a negative errno if they fail; which
 * ones and what they mean is listed with each function and in ringside(3).
 * ringside_last_error() has the whole sentence: the thing, the cause, the remedy.
 *
 * System calls: ringside_next(), ringside_lease(), ringside_lease_end() and
 * everything that looks at a batch make none. ringside_wait() makes those that
 * are needed. Memory is allocated at attach and when a source is first seen.
 *
 * Threads: a struct ringside belongs to one thread at a time, and so does a
 * table. From any thread, at any time before ringside_close(): ringside_stats().
 * At any time at all: ringside_strerror(), ringside_version(). Batches, sources
 * and types may be read by any number of threads as long as they live. Threads
 * that read side by side each attach for themselves: that costs one page.
 *
 * A struct ringside does not survive fork(): the child only closes its own.
 *
 * Versions: the library allocates what it hands out, and later versions add
 * members at the end. What a program allocates is led by its size (options,
 * stats) or stays as it is (struct ringside_field, ringside_member).
 */
#ifndef RINGSIDE_H
#define RINGSIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RINGSIDE_API __attribute__((visibility("default")))

/* Of this library; the ring's ABI and the messages have numbers of their own. */
#define RINGSIDE_VERSION "1.0.0"
RINGSIDE_API const char *ringside_version(void);

#define RINGSIDE_DEFAULT_SOCKET "/run/ringside/ringside.sock"
#define RINGSIDE_DEFAULT_RING "main"
#define RINGSIDE_SOCKET_ENV "RINGSIDE_SOCKET"

struct ringside;        /* reads one ring, and the one that takes its place, and so on */
struct ringside_table;  /* the current content of one map */
struct ringside_source; /* one map in the ring */
struct ringside_type;   /* what bytes of a key, a value or an event mean */

/* ---- Attaching ---------------------------------------------------------- */

enum ringside_start {
	RINGSIDE_START_DEFAULT = 0,   /* attach: KEYFRAME; files: OLDEST */
	RINGSIDE_START_KEYFRAME = 1,  /* the newest complete scan that is still there; files without one: OLDEST */
	RINGSIDE_START_OLDEST = 2,    /* as far back as is safe */
	RINGSIDE_START_HEAD = 3,      /* what is published next */
	RINGSIDE_START_BEGINNING = 4, /* files only: position 0, overwritten or not */
};

/* ringside_options_init() first, then what differs from the defaults. */
struct ringside_options {
	size_t size;        /* sizeof(struct ringside_options) */
	const char *socket; /* NULL: $RINGSIDE_SOCKET, and without it the default */
	const char *ring;   /* NULL: "main" */
	const char *name;   /* this consumer's own, for `ringside status`; NULL: the program's */
	const char *source; /* only batches of the source of this name; NULL: of all */
	uint32_t start;     /* enum ringside_start; also where to go on after a loss */
	uint32_t flags;     /* reserved: 0 */
	int32_t timeout_ms; /* how long ringside_attach may take; 0: 5000 */
	uint32_t reserved;  /* 0 */
};

static inline void ringside_options_init(struct ringside_options *o)
{
	unsigned char *p = (unsigned char *)o;
	for (size_t i = 0; i < sizeof(*o); i++)
		p[i] = 0;
	o->size = sizeof(*o);
}

/*
 * Asks the sidecar for a ring. options may be NULL. On success 0 and *out; on
 * failure *out is NULL and ringside_last_error(NULL) says more.
 *
 *	-ECONNREFUSED     nobody listens on the socket
 *	-EACCES           the file system does not let this user connect
 *	-EPERM            the sidecar's rules do not let this user attach
 *	-ENOENT           the sidecar has no ring, or the ring no source, of that name
 *	-EBUSY            this user was evicted from the ring and is barred for a while
 *	-EUSERS           too many connections
 *	-EAGAIN           the ring is just being replaced, for longer than timeout_ms
 *	-ETIMEDOUT        the sidecar accepts connections and says nothing
 *	-ECONNRESET       it hung up without a word
 *	-EPROTO           its answer is none: that is no sidecar
 *	-EPROTONOSUPPORT  ring or messages of another version
 *	-EBADFD           the ring's memory is not sealed: it could change under us
 *	-EMEDIUMTYPE      that is no ring, or its header contradicts itself or the file
 *	-EINVAL, -E2BIG, -ENAMETOOLONG   an option is wrong; unknown to this version; too long
 *	-EINTR            a signal was handled
 *	-ENOMEM, -EMFILE, -ENFILE        resources
 *	-EREMOTEIO        another refusal: the sidecar's own text says which
 */
RINGSIDE_API int ringside_attach(const struct ringside_options *options, struct ringside **out);

/*
 * Reads a recorded ring from a file, into private memory. Of the options only
 * source and start count. ringside_next() says -ENODATA at its end. Errors:
 * those of open(2) and read(2), -EPROTONOSUPPORT, -EMEDIUMTYPE, -EINVAL, -E2BIG,
 * -EFBIG (no ring is that large), -ENOMEM.
 */
RINGSIDE_API int ringside_open_file(const char *path, const struct ringside_options *options, struct ringside **out);

/* Gives everything back. Batches, sources and types of r are gone; close its
 * tables before. NULL is allowed. */
RINGSIDE_API void ringside_close(struct ringside *r);

/* What an error number of this library means, in a few words. */
RINGSIDE_API const char *ringside_strerror(int error);

/* The sentence that belongs to r's last error, or to why there is no sidecar
 * just now; "" if there was none. It is valid until the next call with r. With
 * NULL: to the last failed attach, open_file or check of this thread. */
RINGSIDE_API const char *ringside_last_error(const struct ringside *r);

/* ---- Reading ------------------------------------------------------------ */

enum ringside_kind {
	RINGSIDE_ROWS = 1,    /* keys with their values, as one read of the map gave them */
	RINGSIDE_DELETES = 2, /* keys that are no longer in the map; no values */
	RINGSIDE_EVENTS = 3,  /* records of a ring buffer: ringside_event() */
	RINGSIDE_LOST = 4,    /* the ring overtook this reader: lost, before what follows */
	RINGSIDE_GONE = 5,    /* the sidecar is gone; rows that it left may follow, RESTART will */
	RINGSIDE_HANGS = 6,   /* the sidecar is there and shows no life; told once */
	RINGSIDE_RESTART = 7, /* attached to a new ring: look sources up anew; lost says what is missing */
	RINGSIDE_EVICTED = 8, /* held a lossless ring up for too long: loss is possible from here on; told once */
};

enum ringside_flags {
	RINGSIDE_FIRST = 1,    /* first batch of a scan */
	RINGSIDE_LAST = 2,     /* last batch of a scan; it may hold no rows */
	RINGSIDE_KEYFRAME = 4, /* the scan is complete in itself, not a set of changes */
};

/* What a reader did not get: of the ring, whose frames belong to all sources. */
struct ringside_loss {
	uint64_t frames;
	uint64_t rows;
	bool exact; /* false: more may be missing than can be counted */
};

/*
 * One step of the stream: one frame, or a remark about the stream itself.
 *
 * Row i, 0 <= i < rows, has its key at keys + i * key_stride and its value at
 * values + i * value_stride. Neither need be aligned to anything: copy with
 * memcpy, or look at base and stride first. All of it is read-only.
 */
struct ringside_batch {
	uint32_t kind;  /* enum ringside_kind */
	uint32_t flags; /* enum ringside_flags */
	uint32_t rows;  /* rows, deleted keys, or events */
	uint32_t source_seq; /* number of the frame among its source's, modulo 2^32 */
	const struct ringside_source *source; /* NULL unless ROWS, DELETES or EVENTS */
	uint64_t seq;     /* number of the frame in its ring */
	uint64_t scan;    /* number of the scan of its source */
	uint64_t time_ns; /* CLOCK_MONOTONIC when the rows had been read, or the events were published */

	const uint8_t *keys; /* ROWS and DELETES, else NULL */
	uint32_t key_size;
	uint32_t key_stride;
	const uint8_t *values; /* ROWS, else NULL; all CPUs if the source is per CPU */
	uint32_t value_size;
	uint32_t value_stride;

	struct ringside_loss lost; /* LOST and RESTART */

	const uint8_t *frame; /* EVENTS: what their offsets count from, else NULL */
	uint32_t frame_bytes;
	uint32_t events_off; /* table of {u32 offset, u32 length} in frame */
};

/*
 * The next batch as a private copy: whatever the sidecar does meanwhile, its
 * bytes are whole and stay until the next call of ringside_next,
 * ringside_lease, ringside_wait or ringside_close with r.
 *
 * 1: *out is a batch. 0: nothing to read just now, *out is NULL; ringside_wait().
 *
 *	-EBADMSG   the ring contradicts itself; final
 *	-ENODATA   the end of a file; final
 *	-ELOOP     a file that was recorded in mid-lap: no frame can be reached; final
 *	-EBUSY     a lease is open
 *	-ENOMEM    no memory for what a new source is; call again
 *
 * and, once the sidecar that came back refuses for good, what ringside_attach
 * would have said; final.
 */
RINGSIDE_API int ringside_next(struct ringside *r, const struct ringside_batch **out);

/*
 * The same without copying: the bytes are the ring's own, which the sidecar goes
 * on writing. Compute from them, expect nonsense (a row may be half of one and
 * half of another), do nothing that cannot be taken back, and be quick; then
 * call ringside_lease_end(). The memory is read-only: a write crashes.
 */
RINGSIDE_API int ringside_lease(struct ringside *r, const struct ringside_batch **out);

/* 1: what was read since ringside_lease may be believed. 0: it was overwritten
 * meanwhile, throw it away; the next batch tells what was lost. -EINVAL: no lease
 * is open. */
RINGSIDE_API int ringside_lease_end(struct ringside *r);

/* Row i's key and value. 0 <= i < b->rows, which is not checked. */
static inline const void *ringside_key(const struct ringside_batch *b, uint32_t i)
{
	return b->keys + (size_t)i * b->key_stride;
}

static inline const void *ringside_value(const struct ringside_batch *b, uint32_t i)
{
	return b->values + (size_t)i * b->value_stride;
}

/* Event i and its length. Publishers align events to 8 bytes; a reader does not
 * rely on it. NULL and length 0: it lies outside the frame, which happens only
 * in a lease that was overwritten, or of a corrupt ring. */
static inline const void *ringside_event(const struct ringside_batch *b, uint32_t i, uint32_t *length)
{
	/* Each word of the entry is loaded once, then bounded, then used: in a
	 * lease it may change at any time. */
	struct __attribute__((packed, may_alias)) entry {
		uint32_t offset, length;
	};
	const volatile struct entry *e =
		(const volatile struct entry *)(const volatile void *)(b->frame + b->events_off + (size_t)i * 8);
	uint32_t offset = e->offset, bytes = e->length;
	*length = 0;
	if (offset < 64 || offset > b->frame_bytes || bytes > b->frame_bytes - offset)
		return NULL;
	*length = bytes;
	return b->frame + offset;
}

/* ---- Waiting ------------------------------------------------------------ */

/*
 * Sleeps until there may be something to read, for at most timeout_ms (-1: for
 * ever, 0: not at all), and does whatever needs a system call: notices that the
 * sidecar died, hangs or left a new ring, and attaches again, pausing between
 * attempts for 1 to 50 ms. Call it whenever ringside_next returned 0, or, where
 * latency is all, with 0 as timeout: then it makes a system call only if the
 * sidecar has not beaten for half a second or is away.
 *
 * 1: call ringside_next. 0: the time has passed.
 *
 *	-EINTR     a signal was handled
 *	-EBUSY     a lease is open
 *
 * What ends reading for good is said by ringside_next.
 */
RINGSIDE_API int ringside_wait(struct ringside *r, int timeout_ms);

/*
 * A descriptor for poll(2), epoll(7) and event loops, the same as long as r
 * lives. It becomes readable when there may be something to read, or to do for
 * ringside_wait, which is at least once a second; it is never to be read from,
 * written or closed. The loop:
 *
 *	for (;;) {
 *		while ((n = ringside_next(r, &b)) == 1)
 *			...
 *		if (ringside_arm(r) == 0)
 *			poll(ringside_fd(r)) and others
 *		ringside_wait(r, 0);
 *	}
 *
 * -ENOTSUP: files have none. -EMFILE, -ENFILE, -ENOMEM.
 */
RINGSIDE_API int ringside_fd(struct ringside *r);

/* Before the descriptor is polled: 0: sleep, it will become readable. 1: do not,
 * there is something to read already. Errors as of ringside_fd. */
RINGSIDE_API int ringside_arm(struct ringside *r);

/* ---- Sources ------------------------------------------------------------ */

enum ringside_source_flags {
	RINGSIDE_SOURCE_PER_CPU = 1,      /* a value is one slot for each possible CPU */
	RINGSIDE_SOURCE_LOCKED_SCAN = 2,  /* no row that never existed, no key missed that stayed */
	RINGSIDE_SOURCE_LOCKED_VALUE = 4, /* values are never torn; else only aligned 8-byte words */
	RINGSIDE_SOURCE_MAP_IDS = 8,      /* values are ids of inner maps */
	RINGSIDE_SOURCE_EVENTS = 16,      /* a ring buffer: batches of events */
	RINGSIDE_SOURCE_CHANGES = 32,     /* scans without KEYFRAME hold only what changed */
};

/* Never changes: a map that is replaced under its pin is another source of the
 * same name. Valid until the ringside_next after RINGSIDE_RESTART. */
struct ringside_source {
	const char *name;
	uint32_t number;      /* in the ring's catalog */
	uint32_t map_id;      /* the kernel's id of the map */
	uint32_t map_type;    /* enum bpf_map_type */
	uint32_t max_entries;
	uint32_t key_size;
	uint32_t value_size;  /* in the ring: of all CPUs together if per CPU */
	uint32_t cpus;        /* slots of a value if per CPU, else 0 */
	uint32_t slot_size;   /* bytes from one CPU's slot to the next; value_size if not per CPU */
	uint32_t map_value_size; /* bytes of a slot, or value, that hold it; the rest aligns */
	uint32_t flags;       /* enum ringside_source_flags; others are to be ignored */
	uint64_t created_ns;  /* CLOCK_REALTIME */
	const char *schema;   /* JSON text, NUL-terminated; NULL: rows are bytes */
	size_t schema_bytes;  /* without the NUL */
	const struct ringside_type *key;   /* NULL: unknown, bytes */
	const struct ringside_type *value; /* of one slot if per CPU; of an event if EVENTS */
};

/* How many sources the ring has by now, superseded ones included. */
RINGSIDE_API uint32_t ringside_sources(struct ringside *r);

/* Source n, or NULL: there is none (yet), or its record is wrong (last_error). */
RINGSIDE_API const struct ringside_source *ringside_source(struct ringside *r, uint32_t n);

/* The newest source of a name, or NULL. */
RINGSIDE_API const struct ringside_source *ringside_source_by_name(struct ringside *r, const char *name);

/* ---- Types -------------------------------------------------------------- */

enum ringside_type_kind {
	RINGSIDE_TYPE_INT = 1, /* 1, 2, 4, 8 or 16 bytes, as UINT */
	RINGSIDE_TYPE_UINT = 2,
	RINGSIDE_TYPE_BOOL = 3,
	RINGSIDE_TYPE_CHAR = 4,
	RINGSIDE_TYPE_FLOAT = 5,
	RINGSIDE_TYPE_ENUM = 6,
	RINGSIDE_TYPE_POINTER = 7, /* an address in the kernel */
	RINGSIDE_TYPE_ARRAY = 8,
	RINGSIDE_TYPE_STRUCT = 9,
	RINGSIDE_TYPE_UNION = 10,
	RINGSIDE_TYPE_BYTES = 11, /* anything else */
};

struct ringside_type {
	uint32_t kind; /* enum ringside_type_kind */
	uint32_t size; /* bytes */
	const char *name; /* its C name, for people; "" if it has none */
	bool is_signed;   /* ENUM and CHAR; INT always */
	uint32_t count;   /* ARRAY: elements; STRUCT, UNION: fields; ENUM: constants */
	const struct ringside_type *elem; /* ARRAY, else NULL */
};

struct ringside_field {
	const char *name; /* "": anonymous; its fields are the enclosing type's */
	uint32_t offset;  /* bytes from the start of the enclosing type */
	uint32_t bit_offset; /* bitfields: lowest bit, 0..7, counted from byte offset */
	uint32_t bit_size;   /* 0: no bitfield */
	const struct ringside_type *type;
};

struct ringside_constant {
	const char *name;
	int64_t value; /* compare the low size bytes */
};

/* Field or constant i of a type; NULL if i >= count or the kind is another. */
RINGSIDE_API const struct ringside_field *ringside_field(const struct ringside_type *type, uint32_t i);
RINGSIDE_API const struct ringside_constant *ringside_constant(const struct ringside_type *type, uint32_t i);

/* Where a field lies in the whole. path is as in C: "packets", "addr.ip[1]"; ""
 * is type itself. Fields of anonymous members are found as in C. 0 and *out with
 * the offset from type's start; -ENOENT: no such field; -EINVAL: no such path. */
RINGSIDE_API int ringside_find(const struct ringside_type *type, const char *path, struct ringside_field *out);

/*
 * Holds a struct of the program against a source's keys or values (of one slot if
 * per CPU), member by member:
 *
 *	static const struct ringside_member members[] = {
 *		RINGSIDE_MEMBER(struct flow, packets), RINGSIDE_MEMBER(struct flow, bytes)};
 *	ringside_check_value(src, sizeof(struct flow), members, 2)
 *
 * Do so once for each source that a batch names for the first time: a map can be
 * replaced by one of another layout. Where the map carries no types only the size
 * is compared. 0, or -EINVAL, and ringside_last_error(NULL) names what differs.
 */
struct ringside_member {
	const char *path; /* as for ringside_find */
	size_t offset, size;
};
#define RINGSIDE_MEMBER(type, member) {#member, offsetof(type, member), sizeof(((type *)0)->member)}

RINGSIDE_API int ringside_check_key(const struct ringside_source *src, size_t size,
	const struct ringside_member *members, size_t n);
RINGSIDE_API int ringside_check_value(const struct ringside_source *src, size_t size,
	const struct ringside_member *members, size_t n);

/* ---- State -------------------------------------------------------------- */

/* Counted since attach, over all restarts. */
struct ringside_stats {
	size_t size; /* sizeof(struct ringside_stats) */
	uint64_t frames, rows;           /* delivered */
	uint64_t lost_frames, lost_rows; /* missed, as far as it can be counted */
	uint64_t laps;                   /* how often the ring overtook this reader */
	uint64_t restarts;               /* how often it attached anew */
	uint64_t lag_frames, lag_rows;   /* published and not yet read */
	uint64_t epoch;                  /* of the ring; 0 while there is none */
	int32_t away; /* 0: all is well; else the errno, positive, of why there is no
	               * sidecar just now; ETIMEDOUT: it is there and hangs */
	uint32_t reserved;
};

/* Fills as much of *stats as size says there is. Any thread. -EINVAL: size. */
RINGSIDE_API int ringside_stats(const struct ringside *r, struct ringside_stats *stats);

/* Time of day in ns for a time_ns, by the ring's latest clock offset. */
RINGSIDE_API uint64_t ringside_realtime_ns(const struct ringside *r, uint64_t time_ns);

/* Asks for a keyframe of a source (NULL: of all). It comes with a later scan; the
 * sidecar grants one per source and second. No system call. -ENOTCONN: nobody is
 * there to ask; after RINGSIDE_RESTART a keyframe comes anyway. */
RINGSIDE_API int ringside_ask(struct ringside *r, const struct ringside_source *source);

/* ---- Tables ------------------------------------------------------------- */

/*
 * The current content of one map, built from the stream. It holds what was last
 * known for sure: a scan is applied when its last batch has come, all at once.
 * A loss, a restart or a scan that broke off makes it stale, visibly, until the
 * next complete keyframe, for which it asks by itself.
 */
struct ringside_table_options {
	size_t size;      /* sizeof(struct ringside_table_options) */
	size_t max_bytes; /* of memory, scans in the making included; 0: 256 MiB */
};

/* A table of the source of that name, which may appear later. options may be
 * NULL. -EINVAL, -E2BIG, -ENAMETOOLONG, -ENOMEM. */
RINGSIDE_API int ringside_table_open(struct ringside *r, const char *source,
	const struct ringside_table_options *options, struct ringside_table **out);
RINGSIDE_API void ringside_table_close(struct ringside_table *t);

/*
 * Give it every batch that ringside_next returns (it takes what concerns it; not
 * batches of a lease: -EINVAL). 1: its content or freshness has changed; 0: not.
 * -ENOSPC: the map does not fit max_bytes; -ENOMEM; both leave it stale.
 */
RINGSIDE_API int ringside_table_apply(struct ringside_table *t, const struct ringside_batch *b);

/* Whether its content is that of the newest scan. */
RINGSIDE_API bool ringside_table_fresh(const struct ringside_table *t);

/* How many keys it has, and the sizes of its rows; 0 before the first scan. */
RINGSIDE_API size_t ringside_table_rows(const struct ringside_table *t);
RINGSIDE_API uint32_t ringside_table_key_size(const struct ringside_table *t);
RINGSIDE_API uint32_t ringside_table_value_size(const struct ringside_table *t);

/* Number and CLOCK_MONOTONIC time of the scan that was applied last. */
RINGSIDE_API uint64_t ringside_table_scan(const struct ringside_table *t);
RINGSIDE_API uint64_t ringside_table_time_ns(const struct ringside_table *t);

/* The value of a key (key_size bytes), or NULL. Valid until the next apply. */
RINGSIDE_API const void *ringside_table_get(const struct ringside_table *t, const void *key);

/* All rows, in no order: *at = 0 first; false: that was the last. */
RINGSIDE_API bool ringside_table_each(const struct ringside_table *t, size_t *at,
	const void **key, const void **value);

#ifdef __cplusplus
}
#endif

#endif
