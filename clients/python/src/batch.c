/* SPDX-License-Identifier: Apache-2.0 */
/* One step of the stream, as Python sees it. */
#include "binding.h"

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
	Py_INCREF(source);
	self->source = source;
	self->serial = ++s->serial;
	return (PyObject *)self;
}

static void batch_dealloc(struct batch *self)
{
	PyTypeObject *type = Py_TYPE(self);
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

static PyObject *batch_hold(struct batch *self, PyObject *none)
{
	(void)none;
	if (self->frame)
		return frame_hold(self->frame);
	PyErr_SetString(PyExc_ValueError, "a remark has no memory");
	return NULL;
}

/* Ends the lease that lent it. (may what was seen be believed?, views alive) */
static PyObject *batch_end(struct batch *self, PyObject *none)
{
	(void)none;
	struct frame *f = self->frame;
	if (!f || !f->lent || f->over || !f->reader->r) {
		PyErr_SetString(PyExc_ValueError, "no lease is open");
		return NULL;
	}
	int whole = ringside_lease_end(f->reader->r);
	f->over = true;
	if (f->exports == 0)
		f->reader->lent = NULL;
	return Py_BuildValue("On", whole == 1 ? Py_True : Py_False, f->exports);
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
	GETTER("_lost", get_lost, 0),
	GETTER("_frame", get_frame, 0),
	GETTER("_key_column", get_column, 0),
	GETTER("_value_column", get_column, 1),
	{0},
};

static PyMethodDef methods[] = {
	{"_event", (PyCFunction)(void *)batch_event, METH_O, "Offset and length of an event in the frame."},
	{"_hold", (PyCFunction)(void *)batch_hold, METH_NOARGS, "A view of the frame for numpy."},
	{"_end", (PyCFunction)(void *)batch_end, METH_NOARGS, "Ends the lease."},
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
