/* SPDX-License-Identifier: Apache-2.0 */
/* One step of the stream, as Python sees it. */
#include "binding.h"

#include <errno.h>

static const char *const kinds[] = {"", "rows", "deletes", "events", "lost", "gone", "hangs", "restart", "evicted"};

PyObject *batch_new(struct reader *s, PyTypeObject *type, const struct ringside_batch *b, struct frame *frame)
{
	PyObject *source = b->source ? source_object(s, b->source) : Py_None;
	struct batch *self = source ? (struct batch *)type->tp_alloc(type, 0) : NULL;
	if (!self) {
		Py_XDECREF(frame);
		return NULL;
	}
	self->b = *b;
	self->frame = frame;
	if (frame)
		frame->batch = self;
	Py_INCREF(source);
	self->source = source;
	self->serial = ++s->serial;
	return (PyObject *)self;
}

static void release(PyObject *views)
{
	for (Py_ssize_t i = 0; i < PyList_GET_SIZE(views); i++) {
		PyObject *none = PyObject_CallMethod(PyList_GET_ITEM(views, i), "release", NULL);
		if (!none) /* somebody has a view of it: the frame counts that one */
			PyErr_Clear();
		Py_XDECREF(none);
	}
}

void batch_forget(struct batch *self)
{
	Py_CLEAR(self->keys);
	Py_CLEAR(self->values);
	if (self->views)
		release(self->views);
	Py_CLEAR(self->views);
}

static void batch_dealloc(struct batch *self)
{
	PyTypeObject *type = Py_TYPE(self);
	Py_XDECREF(self->keys);
	Py_XDECREF(self->values);
	Py_XDECREF(self->views);
	if (self->frame)
		self->frame->batch = NULL;
	Py_XDECREF(self->frame);
	Py_XDECREF(self->source);
	type->tp_free(self);
	Py_DECREF(type);
}

static Py_ssize_t batch_length(struct batch *self) { return self->b.rows; }

static PyObject *get_kind(struct batch *self, void *none)
{
	(void)none;
	return PyUnicode_InternFromString(self->b.kind < sizeof(kinds) / sizeof(*kinds) ? kinds[self->b.kind] : "");
}

static PyObject *get_flag(struct batch *self, void *flag)
{
	return PyBool_FromLong((self->b.flags & (uint32_t)(uintptr_t)flag) != 0);
}

static PyObject *get_source(struct batch *self, void *none)
{
	(void)none;
	Py_INCREF(self->source);
	return self->source;
}

static PyObject *get_number(struct batch *self, void *which)
{
	const uint64_t numbers[] = {self->b.seq, self->b.scan, self->b.time_ns, self->b.source_seq};
	return PyLong_FromUnsignedLongLong(numbers[(uintptr_t)which]);
}

static PyObject *get_lost(struct batch *self, void *none)
{
	(void)none;
	const struct ringside_loss *l = &self->b.lost;
	if (self->b.kind != RINGSIDE_LOST && self->b.kind != RINGSIDE_RESTART)
		Py_RETURN_NONE;
	return Py_BuildValue("KKO", (unsigned long long)l->frames, (unsigned long long)l->rows, l->exact ? Py_True : Py_False);
}

static PyObject *get_frame(struct batch *self, void *none)
{
	(void)none;
	PyObject *frame = self->frame ? (PyObject *)self->frame : Py_None;
	Py_INCREF(frame);
	return frame;
}

/* Where a column begins in the frame, and its stride. None: there is none. */
static PyObject *get_column(struct batch *self, void *values)
{
	const uint8_t *base = values ? self->b.values : self->b.keys;
	uint32_t stride = values ? self->b.value_stride : self->b.key_stride;
	if (!base || !self->frame)
		Py_RETURN_NONE;
	Py_ssize_t at = self->b.rows > 0 ? base - self->frame->bytes : 0;
	return Py_BuildValue("nI", at, stride);
}

static PyObject *batch_event(struct batch *self, PyObject *arg)
{
	uint32_t length;
	Py_ssize_t i = PyNumber_AsSsize_t(arg, PyExc_IndexError);
	if (i == -1 && PyErr_Occurred())
		return NULL;
	if (self->b.kind != RINGSIDE_EVENTS || i < 0 || i >= (Py_ssize_t)self->b.rows) {
		PyErr_SetString(PyExc_IndexError, "no such event in this batch");
		return NULL;
	}
	if (self->frame->over) {
		PyErr_SetString(PyExc_BufferError, "the lease has ended: its memory is the sidecar's again");
		return NULL;
	}
	const uint8_t *event = ringside_event(&self->b, (uint32_t)i, &length);
	if (!event) { /* in a lease that was overwritten: nonsense is to be expected */
		event = self->frame->bytes;
		length = 0;
	}
	return Py_BuildValue("nI", (Py_ssize_t)(event - self->frame->bytes), length);
}

static PyObject *make_array(struct batch *self, const uint8_t *base, uint32_t stride, PyObject *maker)
{
	Py_ssize_t at = self->b.rows > 0 ? base - self->frame->bytes : 0;
	PyObject *args[] = {self->source, frame_hold(self->frame), PyLong_FromUnsignedLong(self->b.rows), PyLong_FromSsize_t(at),
		PyLong_FromUnsignedLong(stride)};
	enum { N = sizeof(args) / sizeof(*args) };
	PyObject *array = NULL;
	if (args[1] && args[2] && args[3] && args[4])
		array = PyObject_VectorcallMethod(maker, args, N, NULL);
	for (int i = 1; i < N; i++)
		Py_XDECREF(args[i]);
	return array;
}

/* A column as the source makes an array of it, once for each batch. */
static PyObject *get_array(struct batch *self, void *values)
{
	PyObject **kept = values ? &self->values : &self->keys;
	const uint8_t *base = values ? self->b.values : self->b.keys;
	if (!self->frame || !base)
		Py_RETURN_NONE;
	if (!*kept && values)
		*kept = make_array(self, base, self->b.value_stride, self->frame->reader->make_values);
	else if (!*kept)
		*kept = make_array(self, base, self->b.key_stride, self->frame->reader->make_keys);
	Py_XINCREF(*kept);
	return *kept;
}

/* Bytes of the frame. In a lease they are released when it ends. */
static PyObject *batch_view(struct batch *self, PyObject *args)
{
	Py_ssize_t at, size;
	if (!PyArg_ParseTuple(args, "nn", &at, &size))
		return NULL;
	PyObject *whole = PyMemoryView_FromObject(self->frame ? (PyObject *)self->frame : Py_None);
	PyObject *view = whole ? PySequence_GetSlice(whole, at, at + size) : NULL;
	Py_XDECREF(whole);
	if (!view || !self->frame->lent)
		return view;
	if ((!self->views && !(self->views = PyList_New(0))) || PyList_Append(self->views, view) < 0)
		Py_CLEAR(view);
	return view;
}

static PyObject *batch_enter(PyObject *self, PyObject *none)
{
	(void)none;
	Py_INCREF(self);
	return self;
}

/* Ends the lease that lent it. May what was seen be believed? Who leaves the block
 * by an exception learns that, unless it ends the program. */
static PyObject *batch_exit(struct batch *self, PyObject *const *args, Py_ssize_t n)
{
	struct frame *f = self->frame;
	PyObject *error = n == 3 ? args[1] : Py_None;
	batch_forget(self);
	if (!f || !f->lent || f->over || !f->reader->r) {
		PyErr_SetString(PyExc_ValueError, "no lease is open");
		return NULL;
	}
	int whole = ringside_lease_end(f->reader->r);
	f->over = true;
	if (f->exports == 0)
		f->reader->lent = NULL;
	if (whole != 1 && (error == Py_None || PyErr_GivenExceptionMatches(error, PyExc_Exception)))
		return raise(-ESTALE, "the sidecar has overwritten what was looked at: throw away what was computed from it");
	if (f->exports > 0 && error == Py_None)
		return PyErr_Format(PyExc_BufferError,
			"%zd views outlive their lease: give arrays no names that are left at the end of the block, or copy them", f->exports);
	Py_RETURN_NONE;
}

enum { SEQ, SCAN, TIME_NS, SOURCE_SEQ };

#define GETTER(name, get, closure) {name, (getter)(void *)(get), NULL, NULL, (void *)(uintptr_t)(closure)}
static PyGetSetDef getters[] = {
	GETTER("kind", get_kind, 0),
	GETTER("source", get_source, 0),
	GETTER("first", get_flag, RINGSIDE_FIRST),
	GETTER("last", get_flag, RINGSIDE_LAST),
	GETTER("keyframe", get_flag, RINGSIDE_KEYFRAME),
	GETTER("seq", get_number, SEQ),
	GETTER("scan", get_number, SCAN),
	GETTER("time_ns", get_number, TIME_NS),
	GETTER("source_seq", get_number, SOURCE_SEQ),
	GETTER("keys", get_array, 0),
	GETTER("values", get_array, 1),
	GETTER("_lost", get_lost, 0),
	GETTER("_frame", get_frame, 0),
	GETTER("_key_column", get_column, 0),
	GETTER("_value_column", get_column, 1),
	{0},
};

static PyMethodDef methods[] = {
	{"_event", (PyCFunction)(void *)batch_event, METH_O, "Offset and length of an event in the frame."},
	{"_view", (PyCFunction)(void *)batch_view, METH_VARARGS, "Bytes of the frame, from an offset on."},
	{"_enter", (PyCFunction)(void *)batch_enter, METH_NOARGS, "For with."},
	{"_exit", (PyCFunction)(void *)batch_exit, METH_FASTCALL, "Ends the lease."},
	{0},
};

static PyType_Slot slots[] = {
	{Py_tp_doc, (void *)"What was read, and where it lies."},
	{Py_tp_dealloc, (void *)batch_dealloc},
	{Py_tp_getset, getters},
	{Py_tp_methods, methods},
	{Py_sq_length, (void *)batch_length},
	{0, NULL},
};

PyType_Spec batch_spec = {
	.name = "ringside._ringside.Batch",
	.basicsize = sizeof(struct batch),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
	.slots = slots,
};
