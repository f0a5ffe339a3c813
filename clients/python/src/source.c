/* SPDX-License-Identifier: Apache-2.0 */
/* Sources and types as tuples, of which source.py and types.py make objects: they
 * stay when the ring goes. Depth and size were bounded when the schema was read. */
#include "binding.h"

static PyObject *type_tuple(const struct ringside_type *t);

static PyObject *text(const char *s) { return PyUnicode_DecodeUTF8(s, (Py_ssize_t)strlen(s), "backslashreplace"); }

static PyObject *member(const struct ringside_type *t, uint32_t i)
{
	const struct ringside_field *f = ringside_field(t, i);
	if (f)
		return Py_BuildValue("NIIIN", text(f->name), f->offset, f->bit_offset, f->bit_size, type_tuple(f->type));
	const struct ringside_constant *c = ringside_constant(t, i);
	if (c)
		return Py_BuildValue("NL", text(c->name), (long long)c->value);
	PyErr_SetString(PyExc_SystemError, "a type has fewer members than it says");
	return NULL;
}

static PyObject *members(const struct ringside_type *t)
{
	uint32_t n = t->kind == RINGSIDE_TYPE_ARRAY ? 0 : t->count;
	PyObject *all = PyTuple_New(n);
	for (uint32_t i = 0; all && i < n; i++) {
		PyObject *one = member(t, i);
		if (!one) {
			Py_CLEAR(all);
			break;
		}
		PyTuple_SET_ITEM(all, i, one);
	}
	return all;
}

static PyObject *type_tuple(const struct ringside_type *t)
{
	if (!t)
		Py_RETURN_NONE;
	return Py_BuildValue("IINOINN", t->kind, t->size, text(t->name), t->is_signed ? Py_True : Py_False, t->count,
		type_tuple(t->elem), members(t));
}

static PyObject *make(struct reader *s, const struct ringside_source *src)
{
	PyObject *schema = Py_None;
	if (src->schema)
		schema = PyUnicode_DecodeUTF8(src->schema, (Py_ssize_t)src->schema_bytes, "backslashreplace");
	else
		Py_INCREF(schema);
	PyObject *args = Py_BuildValue("NIIIIIIIIIIKNNN", text(src->name), src->number, src->map_id, src->map_type,
		src->max_entries, src->key_size, src->value_size, src->cpus, src->slot_size, src->map_value_size, src->flags,
		(unsigned long long)src->created_ns, schema, type_tuple(src->key), type_tuple(src->value));
	PyObject *source = args ? PyObject_CallObject(s->make_source, args) : NULL;
	Py_XDECREF(args);
	return source;
}

PyObject *source_object(struct reader *s, const struct ringside_source *src)
{
	PyObject *number, *known, *source;
	if (!(number = PyLong_FromUnsignedLong(src->number)))
		return NULL;
	known = PyDict_GetItemWithError(s->sources, number);
	if (!known && !PyErr_Occurred() && (source = make(s, src)) != NULL) {
		if (PyDict_SetItem(s->sources, number, source) == 0)
			known = source;
		Py_DECREF(source); /* the dict has it */
	}
	Py_DECREF(number);
	return known;
}
