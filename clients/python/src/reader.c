/* SPDX-License-Identifier: Apache-2.0 */
/* Reading, waiting, and who may do so. Every method runs under the interpreter's
 * lock; only ringside_wait runs without it, and busy keeps others out. */
#include "binding.h"

#include <errno.h>
#include <string.h>
#include <time.h>

/* A thread that waits looks up this often: for signals that another thread was
 * given, and for close(). */
static const int64_t slice_ms = 500;

enum { MAX_TRIES = 64 }; /* frames that were overwritten while they were copied */

PyObject *raise(int err, const char *text)
{
	PyObject *errors = PyImport_ImportModule("ringside.errors");
	PyObject *e = errors ? PyObject_CallMethod(errors, "make", "is", -err, text && *text ? text : ringside_strerror(err)) : NULL;
	if (e)
		PyErr_SetObject((PyObject *)Py_TYPE(e), e);
	Py_XDECREF(e);
	Py_XDECREF(errors);
	return NULL;
}

bool reader_usable(struct reader *s)
{
	if (s->busy)
		PyErr_SetString(PyExc_RuntimeError, "another thread is waiting with this subscription: attach once for each thread");
	else if (!s->r || s->closing)
		PyErr_SetString(PyExc_ValueError, "the subscription is closed");
	else
		return true;
	return false;
}

bool reader_settled(struct reader *s)
{
	struct frame *f = s->lent;
	if (!f)
		return true;
	if (!f->over) {
		PyErr_SetString(PyExc_RuntimeError, "a lease is open: end it first");
		return false;
	}
	if (f->exports > 0) {
		PyErr_Format(PyExc_BufferError, "%zd views of a lease that has ended are still referred to: del them", f->exports);
		return false;
	}
	s->lent = NULL;
	return true;
}

PyObject *reader_open(struct state *st, PyObject *make_source, PyTypeObject *batch_type, PyTypeObject *lease_type,
	struct ringside *r)
{
	PyObject *sources = PyDict_New();
	struct reader *s = sources ? (struct reader *)st->reader->tp_alloc(st->reader, 0) : NULL;
	if (!s) {
		Py_XDECREF(sources);
		ringside_close(r);
		return NULL;
	}
	s->r = r;
	s->sources = sources;
	s->make_keys = PyUnicode_InternFromString("_key_array");
	s->make_values = PyUnicode_InternFromString("_value_array");
	Py_INCREF(st->frame);
	Py_INCREF(st->hold);
	Py_INCREF(st->table);
	Py_INCREF(batch_type);
	Py_INCREF(lease_type);
	Py_INCREF(make_source);
	s->frame_type = st->frame;
	s->hold_type = st->hold;
	s->table_type = st->table;
	s->batch_type = batch_type;
	s->lease_type = lease_type;
	s->make_source = make_source;
	if (!s->make_keys || !s->make_values)
		Py_CLEAR(s);
	return (PyObject *)s;
}

static void take_stats(struct reader *s, struct ringside_stats *to)
{
	to->size = sizeof(*to);
	ringside_stats(s->r, to);
	if (s->corrupt) { /* its frame counts as delivered, which it was not */
		to->frames--;
		to->rows -= s->corrupt_rows;
	}
}

void reader_shut(struct reader *s)
{
	s->closing = false;
	if (!s->r)
		return;
	take_stats(s, &s->stats);
	s->stats.lag_frames = s->stats.lag_rows = 0;
	ringside_close(s->r);
	s->r = NULL;
}

static void reader_dealloc(struct reader *s)
{
	PyTypeObject *type = Py_TYPE(s);
	reader_shut(s); /* tables and frames refer to it, so there are none */
	pool_free(&s->pool);
	Py_XDECREF(s->frame_type);
	Py_XDECREF(s->hold_type);
	Py_XDECREF(s->table_type);
	Py_XDECREF(s->batch_type);
	Py_XDECREF(s->lease_type);
	Py_XDECREF(s->make_source);
	Py_XDECREF(s->make_keys);
	Py_XDECREF(s->make_values);
	Py_XDECREF(s->sources);
	type->tp_free(s);
	Py_DECREF(type);
}

/* Views of the ring keep it mapped: the last one to go closes. */
static PyObject *reader_close(struct reader *s, PyObject *none)
{
	(void)none;
	if (s->tables > 0) {
		PyErr_SetString(PyExc_RuntimeError, "close the tables of the subscription first");
		return NULL;
	}
	bool open = s->lent && !s->lent->over && s->r;
	s->closing = true;
	if (s->busy)
		Py_RETURN_NONE;
	if (open) { /* its batch may be kept: it says that the lease has ended */
		if (s->lent->batch)
			batch_forget(s->lent->batch);
		ringside_lease_end(s->r);
		s->lent->over = true;
	}
	if (!s->lent || s->lent->exports == 0) {
		s->lent = NULL;
		reader_shut(s);
	} else if (open) {
		return PyErr_Format(PyExc_BufferError, "%zd views of the open lease are still referred to", s->lent->exports);
	}
	Py_RETURN_NONE;
}

/* ---- Waiting ------------------------------------------------------------ */

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* 1: read; 0: not yet; -1: an exception. */
static int wait_slice(struct reader *s, int64_t ms)
{
	int n;
	if (!reader_settled(s))
		return -1;
	if (ms == 0) {
		n = ringside_wait(s->r, 0);
	} else {
		s->busy = true;
		Py_BEGIN_ALLOW_THREADS
		n = ringside_wait(s->r, (int)(ms < 0 || ms > slice_ms ? slice_ms : ms));
		Py_END_ALLOW_THREADS
		s->busy = false;
		if (PyErr_CheckSignals() < 0)
			return -1;
	}
	if (s->closing) { /* meanwhile, by another thread */
		reader_shut(s);
		PyErr_SetString(PyExc_ValueError, "the subscription was closed");
		return -1;
	}
	if (n < 0 && n != -EINTR) {
		raise(n, ringside_last_error(s->r));
		return -1;
	}
	return n == 1;
}

static PyObject *reader_wait(struct reader *s, PyObject *arg)
{
	long long ms = PyLong_AsLongLong(arg);
	if ((ms == -1 && PyErr_Occurred()) || !reader_usable(s))
		return NULL;
	for (int64_t until = now_ms() + ms;;) {
		int n = wait_slice(s, ms);
		if (n < 0)
			return NULL;
		if (n == 1)
			Py_RETURN_TRUE;
		if (ms >= 0 && (ms = until - now_ms()) <= 0)
			Py_RETURN_FALSE;
	}
}

/* ---- Reading ------------------------------------------------------------ */

static const uint8_t *floor64(const uint8_t *p) { return p - ((uintptr_t)p & 63); }

/* The part of the frame that a batch refers to: [*from, return). */
static const uint8_t *extent(const struct ringside_batch *b, const uint8_t **from)
{
	const uint8_t *to;
	*from = b->keys ? b->keys : b->frame;
	if (b->rows == 0 || !*from)
		return *from;
	if (b->kind == RINGSIDE_EVENTS)
		return b->frame + b->frame_bytes;
	to = b->keys + (size_t)(b->rows - 1) * b->key_stride + b->key_size;
	if (b->values) {
		const uint8_t *end = b->values + (size_t)(b->rows - 1) * b->value_stride + b->value_size;
		*from = b->values < *from ? b->values : *from;
		to = end > to ? end : to;
	}
	/* Frames, and copies of them, begin on 64 bytes: what is aligned stays so. */
	*from = floor64(*from);
	return to;
}

static bool events_fit(const struct ringside_batch *b)
{
	uint32_t length;
	for (uint32_t i = 0; b->kind == RINGSIDE_EVENTS && i < b->rows; i++)
		if (!ringside_event(b, i, &length))
			return false;
	return true;
}

static PyObject *lend(struct reader *s, const struct ringside_batch *b)
{
	const uint8_t *from, *to = extent(b, &from);
	struct frame *f = frame_lend(s, from, (size_t)(to - from));
	if (!f) {
		ringside_lease_end(s->r);
		return NULL;
	}
	return batch_new(s, s->lease_type, b, f);
}

/* Copies a leased batch and ends the lease. NULL without an exception: it was
 * overwritten meanwhile. */
static PyObject *copy(struct reader *s, const struct ringside_batch *lent)
{
	struct ringside_batch b = *lent;
	const uint8_t *from, *to = extent(&b, &from);
	struct frame *f = from ? frame_copy(s, (size_t)(to - from)) : NULL;
	if (from && !f) {
		ringside_lease_end(s->r);
		return NULL;
	}
	if (f) {
		memcpy(f->bytes, from, f->size);
		b.keys = b.keys ? f->bytes + (b.rows ? b.keys - from : 0) : NULL;
		b.values = b.values ? f->bytes + (b.rows ? b.values - from : 0) : NULL;
		b.frame = b.frame ? f->bytes : NULL;
	}
	if (ringside_lease_end(s->r) != 1) { /* orders the copy before its judgement */
		Py_XDECREF(f);
		return NULL;
	}
	if (!events_fit(&b)) {
		s->corrupt = true;
		s->corrupt_rows = b.rows;
		Py_DECREF(f);
		return raise(-EBADMSG, "the ring is corrupt: events outside their frame");
	}
	return batch_new(s, s->batch_type, &b, f);
}

/* A new reference; NULL with an exception; NULL without one: nothing to read. */
static PyObject *read_now(struct reader *s, bool lease)
{
	for (int tries = 0; tries < MAX_TRIES; tries++) {
		const struct ringside_batch *b;
		if (!reader_settled(s))
			return NULL;
		if (s->corrupt)
			return raise(-EBADMSG, NULL);
		int n = ringside_lease(s->r, &b);
		if (n < 0 && n == -ENODATA)
			PyErr_SetString(PyExc_EOFError, "the end of the recording");
		else if (n < 0)
			raise(n, ringside_last_error(s->r));
		if (n <= 0)
			return NULL;
		if (b->kind == RINGSIDE_RESTART)
			PyDict_Clear(s->sources); /* numbers are anew */
		PyObject *batch = lease ? lend(s, b) : copy(s, b);
		if (batch || PyErr_Occurred())
			return batch;
	}
	return NULL;
}

static PyObject *reader_read(struct reader *s, bool lease, int64_t ms)
{
	if (!reader_usable(s))
		return NULL;
	for (int64_t until = -1;;) {
		PyObject *batch = read_now(s, lease);
		if (batch || PyErr_Occurred())
			return batch;
		if (until < 0)
			until = ms > 0 ? now_ms() + ms : 0;
		int n = wait_slice(s, ms);
		if (n < 0)
			return NULL;
		if (n == 0 && ms >= 0 && (ms = ms > 0 ? until - now_ms() : 0) <= 0)
			return NULL;
	}
}

static PyObject *read_for(struct reader *s, PyObject *arg, bool lease)
{
	long long ms = PyLong_AsLongLong(arg);
	if (ms == -1 && PyErr_Occurred())
		return NULL;
	PyObject *batch = reader_read(s, lease, ms);
	if (!batch && !PyErr_Occurred())
		Py_RETURN_NONE;
	return batch;
}

static PyObject *reader_next(struct reader *s, PyObject *ms) { return read_for(s, ms, false); }
static PyObject *reader_lease(struct reader *s, PyObject *ms) { return read_for(s, ms, true); }

static PyObject *reader_iternext(struct reader *s)
{
	bool closed = !s->busy && (!s->r || s->closing);
	PyObject *batch = closed ? NULL : reader_read(s, false, -1);
	bool over = !batch && PyErr_Occurred() &&
		(PyErr_ExceptionMatches(PyExc_EOFError) || (PyErr_ExceptionMatches(PyExc_ValueError) && !s->r));
	if (over)
		PyErr_Clear(); /* that ends the loop */
	return batch;
}

/* ---- The rest ----------------------------------------------------------- */

static PyObject *reader_fd(struct reader *s, PyObject *none)
{
	(void)none;
	int fd = reader_usable(s) ? ringside_fd(s->r) : INT32_MIN;
	if (fd == INT32_MIN)
		return NULL;
	return fd < 0 ? raise(fd, ringside_last_error(s->r)) : PyLong_FromLong(fd);
}

static PyObject *reader_arm(struct reader *s, PyObject *none)
{
	(void)none;
	if (!reader_usable(s) || !reader_settled(s))
		return NULL;
	int n = ringside_arm(s->r);
	return n < 0 ? raise(n, ringside_last_error(s->r)) : PyBool_FromLong(n);
}

static PyObject *reader_stats(struct reader *s, PyObject *none)
{
	(void)none;
	struct ringside_stats now = s->stats;
	if (s->r)
		take_stats(s, &now);
	return Py_BuildValue("KKKKKKKKKi", (unsigned long long)now.frames, (unsigned long long)now.rows,
		(unsigned long long)now.lost_frames, (unsigned long long)now.lost_rows, (unsigned long long)now.laps,
		(unsigned long long)now.restarts, (unsigned long long)now.lag_frames, (unsigned long long)now.lag_rows,
		(unsigned long long)now.epoch, now.away);
}

static PyObject *reader_ask(struct reader *s, PyObject *arg)
{
	const struct ringside_source *src = NULL;
	if (!reader_usable(s))
		return NULL;
	if (arg != Py_None) {
		const char *name = PyUnicode_AsUTF8(arg);
		if (!name)
			return NULL;
		if (!(src = ringside_source_by_name(s->r, name))) {
			PyErr_Format(PyExc_KeyError, "%U", arg);
			return NULL;
		}
	}
	int err = ringside_ask(s->r, src);
	if (err < 0)
		return raise(err, ringside_last_error(s->r));
	Py_RETURN_NONE;
}

/* All of them, by number; a record that is wrong is left out. */
static PyObject *reader_sources(struct reader *s, PyObject *none)
{
	(void)none;
	if (!reader_usable(s))
		return NULL;
	PyObject *all = PyList_New(0);
	uint32_t n = ringside_sources(s->r);
	for (uint32_t i = 0; all && i < n; i++) {
		const struct ringside_source *src = ringside_source(s->r, i);
		PyObject *source = src ? source_object(s, src) : NULL;
		if (src && (!source || PyList_Append(all, source) < 0))
			Py_CLEAR(all);
	}
	return all;
}

static PyObject *reader_realtime(struct reader *s, PyObject *arg)
{
	unsigned long long ns = PyLong_AsUnsignedLongLong(arg);
	if (PyErr_Occurred() || !reader_usable(s))
		return NULL;
	return PyLong_FromUnsignedLongLong(ringside_realtime_ns(s->r, ns));
}

static PyObject *get_closed(struct reader *s, void *none)
{
	(void)none;
	return PyBool_FromLong(!s->r || s->closing);
}

static PyGetSetDef getters[] = {{"closed", (getter)(void *)get_closed, NULL, NULL, NULL}, {0}};

#define METHOD(name, does, args, doc) {name, (PyCFunction)(void *)(does), args, doc}
static PyMethodDef methods[] = {
	METHOD("next", reader_next, METH_O, "The next batch within ms (-1: for ever), or None."),
	METHOD("lease", reader_lease, METH_O, "The same, in place."),
	METHOD("wait", reader_wait, METH_O, "Whether there is something to read within ms."),
	METHOD("fd", reader_fd, METH_NOARGS, "A descriptor for event loops."),
	METHOD("arm", reader_arm, METH_NOARGS, "Before that is polled; True: do not."),
	METHOD("stats", reader_stats, METH_NOARGS, "The counters."),
	METHOD("ask", reader_ask, METH_O, "Asks for a keyframe of a source, or of all."),
	METHOD("sources", reader_sources, METH_NOARGS, "The sources by number."),
	METHOD("realtime_ns", reader_realtime, METH_O, "Time of day of a time_ns."),
	METHOD("close", reader_close, METH_NOARGS, "Gives everything back."),
	{0},
};

static PyType_Slot slots[] = {
	{Py_tp_doc, (void *)"A struct ringside."},
	{Py_tp_dealloc, (void *)reader_dealloc},
	{Py_tp_methods, methods},
	{Py_tp_getset, getters},
	{Py_tp_iter, (void *)PyObject_SelfIter},
	{Py_tp_iternext, (void *)reader_iternext},
	{0, NULL},
};

PyType_Spec reader_spec = {
	.name = "ringside._ringside.Reader",
	.basicsize = sizeof(struct reader),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
	.slots = slots,
};
