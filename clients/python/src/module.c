/* SPDX-License-Identifier: Apache-2.0 */
#include "binding.h"

#include <errno.h>

/* Attaches, or opens path; without the interpreter's lock: it may take seconds. */
static PyObject *open_reader(PyObject *module, const char *path, const struct ringside_options *o, PyObject *make_source,
	PyObject *batch_type, PyObject *lease_type)
{
	struct state *st = PyModule_GetState(module);
	struct ringside *r;
	int err;
	if (!PyType_Check(batch_type) || !PyType_Check(lease_type) ||
	    !PyType_IsSubtype((PyTypeObject *)batch_type, st->batch) || !PyType_IsSubtype((PyTypeObject *)lease_type, st->batch)) {
		PyErr_SetString(PyExc_TypeError, "batches are subclasses of Batch");
		return NULL;
	}
	do {
		Py_BEGIN_ALLOW_THREADS
		err = path ? ringside_open_file(path, o, &r) : ringside_attach(o, &r);
		Py_END_ALLOW_THREADS
		if (PyErr_CheckSignals() < 0) {
			if (!err)
				ringside_close(r);
			return NULL;
		}
	} while (err == -EINTR);
	if (err)
		return raise(err, ringside_last_error(NULL));
	return reader_open(st, make_source, (PyTypeObject *)batch_type, (PyTypeObject *)lease_type, r);
}

static PyObject *attach(PyObject *module, PyObject *args)
{
	struct ringside_options o;
	PyObject *make_source, *batch_type, *lease_type;
	ringside_options_init(&o);
	if (!PyArg_ParseTuple(args, "OOOzzzzIi", &make_source, &batch_type, &lease_type, &o.socket, &o.ring, &o.name, &o.source,
			&o.start, &o.timeout_ms))
		return NULL;
	return open_reader(module, NULL, &o, make_source, batch_type, lease_type);
}

static PyObject *open_file(PyObject *module, PyObject *args)
{
	struct ringside_options o;
	PyObject *make_source, *batch_type, *lease_type, *path;
	ringside_options_init(&o);
	if (!PyArg_ParseTuple(args, "OOOO&zI", &make_source, &batch_type, &lease_type, PyUnicode_FSConverter, &path, &o.source, &o.start))
		return NULL;
	PyObject *reader = open_reader(module, PyBytes_AS_STRING(path), &o, make_source, batch_type, lease_type);
	Py_DECREF(path);
	return reader;
}

static PyObject *open_table(PyObject *module, PyObject *args)
{
	struct state *st = PyModule_GetState(module);
	struct reader *s;
	const char *name;
	struct ringside_table_options o = {.size = sizeof(o)};
	struct ringside_table *t;
	Py_ssize_t max_bytes;
	if (!PyArg_ParseTuple(args, "O!sn", st->reader, &s, &name, &max_bytes) || !reader_usable(s))
		return NULL;
	o.max_bytes = max_bytes > 0 ? (size_t)max_bytes : 0;
	int err = ringside_table_open(s->r, name, &o, &t);
	if (err < 0)
		return raise(err, ringside_last_error(s->r));
	struct table *self = (struct table *)s->table_type->tp_alloc(s->table_type, 0);
	if (!self) {
		ringside_table_close(t);
		return NULL;
	}
	Py_INCREF(s);
	self->reader = s;
	self->t = t;
	s->tables++;
	return (PyObject *)self;
}

static PyMethodDef functions[] = {
	{"attach", attach, METH_VARARGS, "A Reader of a sidecar's ring."},
	{"open_file", open_file, METH_VARARGS, "A Reader of a recorded ring."},
	{"open_table", open_table, METH_VARARGS, "A Table of a Reader's source."},
	{0},
};

static PyTypeObject *add_type(PyObject *module, PyType_Spec *spec)
{
	PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
	if (type && PyModule_AddType(module, type) < 0)
		Py_CLEAR(type);
	return type; /* the state's own reference */
}

static int fill(PyObject *module)
{
	struct state *st = PyModule_GetState(module);
	st->reader = add_type(module, &reader_spec);
	st->frame = st->reader ? add_type(module, &frame_spec) : NULL;
	st->hold = st->frame ? add_type(module, &hold_spec) : NULL;
	st->batch = st->hold ? add_type(module, &batch_spec) : NULL;
	st->table = st->batch ? add_type(module, &table_spec) : NULL;
	if (!st->table)
		return -1;
	return PyModule_AddStringConstant(module, "VERSION", ringside_version());
}

static void release(void *module)
{
	struct state *st = PyModule_GetState(module);
	if (!st)
		return;
	Py_XDECREF(st->reader);
	Py_XDECREF(st->frame);
	Py_XDECREF(st->hold);
	Py_XDECREF(st->batch);
	Py_XDECREF(st->table);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, (void *)fill}, {0, NULL}};

static struct PyModuleDef definition = {
	PyModuleDef_HEAD_INIT, .m_name = "ringside._ringside", .m_doc = "The C client.", .m_size = sizeof(struct state),
	.m_methods = functions, .m_slots = slots, .m_free = release,
};

PyMODINIT_FUNC PyInit__ringside(void);
PyMODINIT_FUNC PyInit__ringside(void) { return PyModuleDef_Init(&definition); }
