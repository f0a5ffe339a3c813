/* SPDX-License-Identifier: Apache-2.0 */
/* The memory behind views: counted, pooled, never freed under anybody. */
#include "binding.h"

enum { ALIGN = 64, MIN_ROOM = 4096 };

void pool_free(struct pool *p)
{
	while (p->n > 0)
		free(p->bytes[--p->n]);
}

/* Powers of two, so that what served one frame serves the next. */
static size_t round_up(size_t size)
{
	size_t room = MIN_ROOM;
	while (room < size)
		room *= 2;
	return room;
}

static bool take(struct pool *p, struct frame *f, size_t size)
{
	for (int i = p->n - 1; i >= 0; i--) {
		if (p->room[i] < size)
			continue;
		f->bytes = p->bytes[i];
		f->room = p->room[i];
		p->n--;
		p->bytes[i] = p->bytes[p->n];
		p->room[i] = p->room[p->n];
		return true;
	}
	return false;
}

static void give_back(struct pool *p, struct frame *f)
{
	int at = p->n;
	if (at == POOL_BUFFERS) { /* keep the larger ones: they serve any frame */
		at = 0;
		for (int i = 1; i < POOL_BUFFERS; i++)
			if (p->room[i] < p->room[at])
				at = i;
		if (p->room[at] >= f->room) {
			free(f->bytes);
			return;
		}
		free(p->bytes[at]);
	} else {
		p->n++;
	}
	p->bytes[at] = f->bytes;
	p->room[at] = f->room;
}

static struct frame *frame_new(struct reader *s, size_t size)
{
	struct frame *f = (struct frame *)s->frame_type->tp_alloc(s->frame_type, 0);
	if (!f)
		return NULL;
	Py_INCREF(s);
	f->reader = s;
	f->size = size;
	return f;
}

struct frame *frame_copy(struct reader *s, size_t size)
{
	struct frame *f = frame_new(s, size);
	if (!f || take(&s->pool, f, size))
		return f;
	void *bytes;
	size_t room = round_up(size);
	if (posix_memalign(&bytes, ALIGN, room) != 0) {
		Py_DECREF(f);
		PyErr_NoMemory();
		return NULL;
	}
	f->bytes = bytes;
	f->room = room;
	return f;
}

struct frame *frame_lend(struct reader *s, const uint8_t *bytes, size_t size)
{
	struct frame *f = frame_new(s, size);
	if (f) {
		f->bytes = (uint8_t *)(uintptr_t)bytes; /* views of it are read-only */
		f->lent = true;
		s->lent = f;
	}
	return f;
}

static void frame_dealloc(struct frame *f)
{
	PyTypeObject *type = Py_TYPE(f);
	struct reader *s = f->reader;
	if (f->room > 0)
		give_back(&s->pool, f);
	if (s->lent == f) {
		s->lent = NULL;
		if (!f->over && s->r) /* nobody asked whether it may be believed */
			ringside_lease_end(s->r);
	}
	type->tp_free(f);
	Py_DECREF(type);
	Py_DECREF(s);
}

/* A buffer has an address, even if it has no bytes. */
static void *address(struct frame *f)
{
	static uint8_t nothing[1];
	return f->size > 0 ? f->bytes : nothing;
}

static int frame_getbuffer(struct frame *f, Py_buffer *view, int flags)
{
	if (f->over) {
		view->obj = NULL;
		PyErr_SetString(PyExc_BufferError, "the lease has ended: its memory is the sidecar's again");
		return -1;
	}
	if (PyBuffer_FillInfo(view, (PyObject *)f, address(f), (Py_ssize_t)f->size, 1, flags) < 0)
		return -1;
	f->exports++;
	return 0;
}

/* The last view of a lease that has ended lets a subscription close that waits
 * for it. */
static void let_go(struct frame *f)
{
	struct reader *s = f->reader;
	f->exports--;
	if (f->exports == 0 && f->over && s->lent == f && s->closing && !s->busy) {
		s->lent = NULL;
		reader_shut(s);
	}
}

static void frame_releasebuffer(struct frame *f, Py_buffer *view)
{
	(void)view;
	let_go(f);
}

PyObject *frame_hold(struct frame *f)
{
	if (f->over) {
		PyErr_SetString(PyExc_BufferError, "the lease has ended: its memory is the sidecar's again");
		return NULL;
	}
	struct hold *h = (struct hold *)f->reader->hold_type->tp_alloc(f->reader->hold_type, 0);
	if (h) {
		Py_INCREF(f);
		h->frame = f;
		f->exports++;
	}
	return (PyObject *)h;
}

static int hold_getbuffer(struct hold *h, Py_buffer *view, int flags)
{
	return PyBuffer_FillInfo(view, (PyObject *)h, address(h->frame), (Py_ssize_t)h->frame->size, 1, flags);
}

static void hold_dealloc(struct hold *h)
{
	PyTypeObject *type = Py_TYPE(h);
	let_go(h->frame);
	Py_DECREF(h->frame);
	type->tp_free(h);
	Py_DECREF(type);
}

static PyType_Slot hold_slots[] = {
	{Py_tp_doc, (void *)"A view of a Frame as long as it lives."},
	{Py_tp_dealloc, (void *)hold_dealloc},
	{Py_bf_getbuffer, (void *)hold_getbuffer},
	{0, NULL},
};

PyType_Spec hold_spec = {
	.name = "ringside._ringside.Hold",
	.basicsize = sizeof(struct hold),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
	.slots = hold_slots,
};

static PyType_Slot slots[] = {
	{Py_tp_doc, (void *)"The memory of one batch: a read-only buffer."},
	{Py_tp_dealloc, (void *)frame_dealloc},
	{Py_bf_getbuffer, (void *)frame_getbuffer},
	{Py_bf_releasebuffer, (void *)frame_releasebuffer},
	{0, NULL},
};

PyType_Spec frame_spec = {
	.name = "ringside._ringside.Frame",
	.basicsize = sizeof(struct frame),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
	.slots = slots,
};
