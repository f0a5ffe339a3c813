/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The C client as Python objects. What is here keeps memory safe; what is
 * pleasant to use is Python, on top of it.
 *
 * A Reader is a struct ringside. A Frame is the memory of one batch, which every
 * view of it keeps alive: a copy of its own, or in a lease the ring. A Batch is
 * what was read, and knows where in its Frame the columns lie.
 */
#ifndef RINGSIDE_PYTHON_BINDING_H
#define RINGSIDE_PYTHON_BINDING_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "ringside.h"

enum { POOL_BUFFERS = 4 };

/* Memory of frames that nobody refers to any more, for those to come. */
struct pool {
	uint8_t *bytes[POOL_BUFFERS];
	size_t room[POOL_BUFFERS];
	int n;
};

struct frame;

struct reader {
	PyObject_HEAD
	struct ringside *r; /* NULL: closed */
	PyTypeObject *frame_type, *hold_type, *table_type;
	PyTypeObject *batch_type, *lease_type; /* subclasses of Batch, in Python */
	PyObject *make_source;
	PyObject *make_keys, *make_values; /* names of a Source's functions for arrays */
	PyObject *sources; /* Source objects of this ring, by number */
	struct pool pool;
	bool busy;    /* a thread is in ringside_wait, without the interpreter's lock */
	bool closing; /* as soon as that thread comes back, or the last view of the ring goes */
	bool corrupt; /* an event was outside its frame: final */
	uint32_t corrupt_rows; /* of that frame */
	struct frame *lent; /* borrowed: of the open lease, or of one that views outlive */
	size_t tables;      /* open ones */
	uint64_t serial;    /* of the batch that was handed out last */
	struct ringside_stats stats; /* when it was closed */
};

struct frame {
	PyObject_HEAD
	struct reader *reader;
	struct batch *batch; /* borrowed: whose memory it is; NULL when that is gone */
	uint8_t *bytes;
	size_t size;
	size_t room;        /* of a copy; 0: the bytes are the ring's */
	Py_ssize_t exports; /* views of it */
	bool lent, over;    /* a lease; which has ended */
};

/* One view of a frame, for numpy: an array refers to what it was made from, but
 * does not, in every version and in every way of making it, keep its buffer. */
struct hold {
	PyObject_HEAD
	struct frame *frame;
};

struct batch {
	PyObject_HEAD
	struct ringside_batch b;
	struct frame *frame;
	PyObject *source; /* None: a remark */
	uint64_t serial;
	/* NULL until they are asked for: the columns as arrays, and in a lease a list of
	 * the memoryviews that were given out. */
	PyObject *keys, *values, *views;
};

struct table {
	PyObject_HEAD
	struct reader *reader;
	struct ringside_table *t;
};

struct state {
	PyTypeObject *reader, *frame, *hold, *batch, *table;
};

extern PyType_Spec reader_spec, frame_spec, hold_spec, batch_spec, table_spec;

/* Raises what errors.py makes of a negative errno. Returns NULL. */
PyObject *raise(int err, const char *text);

/* Whether r may be used now; if not, an exception is set. reader_settled: and no
 * view is left of a lease that ended, so that the ring may be unmapped. */
bool reader_usable(struct reader *s);
bool reader_settled(struct reader *s);
void reader_shut(struct reader *s); /* closes, now */
PyObject *reader_open(struct state *st, PyObject *make_source, PyTypeObject *batch_type, PyTypeObject *lease_type,
	struct ringside *r);

/* Frames: a new one with room for size bytes, whose addresses are, modulo 64,
 * those of the ring; or one that is the ring. */
struct frame *frame_copy(struct reader *s, size_t size);
struct frame *frame_lend(struct reader *s, const uint8_t *bytes, size_t size);
PyObject *frame_hold(struct frame *f);
void pool_free(struct pool *p);

/* A batch for Python. Steals frame, which may be NULL. */
PyObject *batch_new(struct reader *s, PyTypeObject *type, const struct ringside_batch *b, struct frame *frame);

/* Ends what a batch itself has of views, so that those of others are left. */
void batch_forget(struct batch *b);

/* The Source of a number, made when it is first asked for. Borrowed. */
PyObject *source_object(struct reader *s, const struct ringside_source *src);

#endif
