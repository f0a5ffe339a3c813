/* SPDX-License-Identifier: Apache-2.0 */
/* ringside_table_*: what Python gets of it are copies. */
#include "binding.h"

#include <string.h>

static PyObject *table_apply(struct table *self, PyObject *arg)
{
	struct reader *s = self->reader;
	struct batch *b = (struct batch *)arg;
	if (!reader_usable(s))
		return NULL;
	bool own = self->t && PyObject_TypeCheck(arg, s->batch_type) && b->serial == s->serial &&
		(!b->frame || (b->frame->reader == s && !b->frame->lent));
	if (!own) {
		PyErr_SetString(PyExc_ValueError, "apply each batch of the table's own subscription before the next one is read; not leases");
		return NULL;
	}
	int n = ringside_table_apply(self->t, &b->b);
	return n < 0 ? raise(n, ringside_last_error(s->r)) : PyBool_FromLong(n);
}

static bool usable(const struct table *self)
{
	if (!self->t)
		PyErr_SetString(PyExc_ValueError, "the table is closed");
	return self->t;
}

static PyObject *table_get(struct table *self, PyObject *arg)
{
	char *key;
	Py_ssize_t size;
	if (!usable(self) || PyBytes_AsStringAndSize(arg, &key, &size) < 0)
		return NULL;
	if (ringside_table_rows(self->t) == 0)
		Py_RETURN_NONE;
	if (size != (Py_ssize_t)ringside_table_key_size(self->t)) {
		PyErr_Format(PyExc_ValueError, "a key of %zd bytes; the table's have %u", size, ringside_table_key_size(self->t));
		return NULL;
	}
	const void *value = ringside_table_get(self->t, key);
	if (!value)
		Py_RETURN_NONE;
	return PyBytes_FromStringAndSize(value, ringside_table_value_size(self->t));
}

/* (keys, values): each without gaps, in the same order. */
static PyObject *table_copy(struct table *self, PyObject *none)
{
	(void)none;
	if (!usable(self))
		return NULL;
	size_t rows = ringside_table_rows(self->t), at = 0;
	size_t key_size = ringside_table_key_size(self->t), value_size = ringside_table_value_size(self->t);
	PyObject *keys = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(rows * key_size));
	PyObject *values = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(rows * value_size));
	if (!keys || !values) {
		Py_XDECREF(keys);
		Py_XDECREF(values);
		return NULL;
	}
	char *k = PyBytes_AS_STRING(keys), *v = PyBytes_AS_STRING(values);
	const void *key, *value;
	while (ringside_table_each(self->t, &at, &key, &value)) {
		memcpy(k, key, key_size);
		memcpy(v, value, value_size);
		k += key_size;
		v += value_size;
	}
	return Py_BuildValue("NN", keys, values);
}

static Py_ssize_t table_length(struct table *self)
{
	return usable(self) ? (Py_ssize_t)ringside_table_rows(self->t) : -1;
}

static PyObject *table_close(struct table *self, PyObject *none)
{
	(void)none;
	if (self->t) {
		ringside_table_close(self->t);
		self->t = NULL;
		self->reader->tables--;
	}
	Py_RETURN_NONE;
}

static void table_dealloc(struct table *self)
{
	PyTypeObject *type = Py_TYPE(self);
	if (self->t)
		self->reader->tables--;
	ringside_table_close(self->t);
	Py_DECREF(self->reader);
	type->tp_free(self);
	Py_DECREF(type);
}

static PyObject *get_fresh(struct table *self, void *none)
{
	(void)none;
	return usable(self) ? PyBool_FromLong(ringside_table_fresh(self->t)) : NULL;
}

static PyObject *get_scan(struct table *self, void *none)
{
	(void)none;
	return usable(self) ? PyLong_FromUnsignedLongLong(ringside_table_scan(self->t)) : NULL;
}

static PyObject *get_time_ns(struct table *self, void *none)
{
	(void)none;
	return usable(self) ? PyLong_FromUnsignedLongLong(ringside_table_time_ns(self->t)) : NULL;
}

static PyGetSetDef getters[] = {
	{"fresh", (getter)(void *)get_fresh, NULL, NULL, NULL},
	{"scan", (getter)(void *)get_scan, NULL, NULL, NULL},
	{"time_ns", (getter)(void *)get_time_ns, NULL, NULL, NULL},
	{0},
};

static PyMethodDef methods[] = {
	{"apply", (PyCFunction)(void *)table_apply, METH_O, "Takes a batch."},
	{"get", (PyCFunction)(void *)table_get, METH_O, "The value's bytes for the key's, or None."},
	{"copy", (PyCFunction)(void *)table_copy, METH_NOARGS, "All keys and all values."},
	{"close", (PyCFunction)(void *)table_close, METH_NOARGS, "Gives its memory back."},
	{0},
};

static PyType_Slot slots[] = {
	{Py_tp_doc, (void *)"A struct ringside_table."},
	{Py_tp_dealloc, (void *)table_dealloc},
	{Py_tp_getset, getters},
	{Py_tp_methods, methods},
	{Py_sq_length, (void *)table_length},
	{0, NULL},
};

PyType_Spec table_spec = {
	.name = "ringside._ringside.Table",
	.basicsize = sizeof(struct table),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
	.slots = slots,
};
