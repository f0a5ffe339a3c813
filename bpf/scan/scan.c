//go:build ignore
// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Scanners: programs that walk one map inside the kernel and leave its rows where user space can take
 * them. One object holds them all; the loader keeps the one it needs and sets the map's shape.
 *
 * The position is in memory, where the verifier does not follow it: for all it knows, each element is
 * the first. Nothing here writes to the map, nor looks anything up in a way that an LRU would notice.
 */
#include "elements.h"
#include "find.h"

char __license[] SEC("license") = "Dual BSD/GPL";

struct bpf_map;

/* A look at the clock costs as much as a row. */
#define ROWS_A_LOOK 64

QUIET void begin(void)
{
	control.position = 0;
	control.visited = 0;
	control.discarded = 0;
	control.stopped = 0;
	control.astray = 0;
	control.begin_ns = bpf_ktime_get_ns();
}

/* Counts an element. Not 0: enough. */
QUIET long visited(void)
{
	__u64 n = control.visited + 1;

	control.visited = n;
	if (n % ROWS_A_LOOK)
		return 0;
	if (bpf_ktime_get_ns() - control.begin_ns < control.budget_ns)
		return 0;
	control.stopped = STOPPED_LATE;
	return 1;
}

static long count_one(struct bpf_map *map, const void *key, void *value, void *ctx)
{
	return visited();
}

/* How many rows there are, and how long walking alone takes: what a pump is chosen by. */
SEC("syscall")
int count_rows(void *ctx)
{
	begin();
	bpf_for_each_map_elem(&target, count_one, 0, 0);
	control.end_ns = bpf_ktime_get_ns();
	return 0;
}

/* What the kernel calls for an element is given its key: the element is in front of that. */
struct sweep_walk {
	struct here *here;
	struct heads all;
};

/*
 * Whether an element was given to another key while its value was copied. Two kinds of values need more
 * than the key to tell. Those of all CPUs lie in memory of their own, which with BPF_F_NO_PREALLOC may be
 * another key's before the element is. And where stores may pass each other, the new value may be seen
 * before the new key. Ahead of either the element has left its list.
 */
static __always_inline int given_away(struct heads *all, __u64 node, const void *row, const void *key)
{
	if (cpus || weak_order) {
		if (!listed(all, node))
			return 1;
		fence();
	}
	return key_changed(row, key);
}

static long sweep_one(struct bpf_map *map, const void *key, void *value, struct sweep_walk *walk)
{
	__u64 at = control.position, node = number(key) - KEY_OFFSET;
	void *row = room(at);

	if (!row)
		return 1;
	copy_key(row, key);
	fence();
	if (!listed(&walk->all, node))
		goto discard;
	fence();
	if (!cpus)
		copy_value(row + round_up8(key_size), value);
	else if (!walk->here || take_cpus(row + round_up8(key_size), number(value), walk->here)) {
		control.stopped = STOPPED_ODD;
		return 1;
	}
	fence();
	if (!given_away(&walk->all, node, row, key)) {
		control.position = at + row_size;
		return visited();
	}
discard:
	control.discarded++;
	return visited();
}

SEC("syscall")
int sweep_hash(void *ctx)
{
	struct sweep_walk walk = {};

	begin();
	walk.all = heads_of_map();
	if (cpus)
		walk.here = measure();
	bpf_for_each_map_elem(&target, sweep_one, &walk, 0);
	control.end_ns = bpf_ktime_get_ns();
	return 0;
}

#define TAKEN 0
#define STOP 1
#define GONE 2

/* Takes the element at a place in a bucket. */
static __always_inline int pump_element(struct bucket_walk *walk, __u64 node)
{
	__u32 key_stride = round_up8(key_size);
	const void *key = cast(node) + KEY_OFFSET;
	__u64 at = control.position;
	void *row = room(at);

	if (!row)
		return STOP;
	copy_key(row, key);
	fence();
	if (!listed(&walk->all, node))
		return GONE;
	fence();
	if (!cpus)
		copy_value(row + key_stride, key + key_stride);
	else if (!walk->here || take_cpus(row + key_stride, WORD(key, key_stride / 8) + walk->here->mine, walk->here)) {
		control.stopped = STOPPED_ODD;
		return STOP;
	}
	fence();
	if (given_away(&walk->all, node, row, key))
		return GONE;
	control.position = at + row_size;
	control.visited++;
	return TAKEN;
}

static long pump_steps(__u32 i, struct bucket_walk *walk)
{
	__u64 node = walk->node;

#pragma clang loop unroll(disable)
	for (__u32 step = 0; step < STEPS; step++) {
		if (!(node & 1)) {
			int what = pump_element(walk, node);

			if (what == STOP)
				return 1;
			node = what == TAKEN ? WORD(cast(node), 0) : bucket_again(walk);
			continue;
		}
		if (end_of_list(walk, node))
			return 1;
		node = first_of(walk, control.bucket);
	}
	walk->node = node;
	if (i % CALLS_A_LOOK || bpf_ktime_get_ns() - control.begin_ns < control.budget_ns)
		return 0;
	control.stopped = STOPPED_LATE;
	return 1;
}

SEC("syscall")
int pump_buckets(void *ctx)
{
	struct bucket_walk walk = walk_of_map();

	begin();
	control.bucket = control.first;
	control.mark = 0;
	control.buckets = walk.n_buckets;
	if (cpus)
		walk.here = measure();
	walk.node = first_of(&walk, control.first);
	bpf_loop(MAX_STEPS / STEPS, pump_steps, &walk, 0);
	/* The bucket that was not taken to its end is left for the next run. */
	control.position = control.mark;
	control.end_ns = bpf_ktime_get_ns();
	return 0;
}

/* Elements from the one called first on. The map must be one that has them all at hand. */
SEC("syscall")
int pump_elements(void *ctx)
{
	struct element_walk walk = {};

	begin();
	control.stopped = STOPPED_ODD;
	control.buckets = entries;
	walk.index = control.bucket = control.first;
	walk.size = *(volatile __u32 *)(cast(&target) + ELEM_SIZE_OFFSET);
	walk.all.elems = WORD(cast(&target) + ELEMS_OFFSET, 0);
	divide_by(&walk.all, walk.size);
	if (!walk.all.elems || walk.size < KEY_OFFSET + round_up8(key_size) + (cpus ? 8 : round_up8(value_size)))
		return 0;
	if (cpus || spare_cpus) {
		walk.here = measure();
		if (!walk.here) /* or spares that cannot be seen would never seem to move */
			return 0;
	}
	walk.all.heads = heads_of_map();
	walk.node = walk.all.elems + walk.index * walk.size;
	control.stopped = 0;
	control.spares[0] = spares(walk.here);
	bpf_loop(MAX_STEPS / STEPS, element_steps, &walk, 0);
	control.spares[1] = spares(walk.here);
	control.bucket = walk.index;
	control.end_ns = bpf_ktime_get_ns();
	return 0;
}

/*
 * The values of an array lie side by side, each rounded up to 8 bytes, so a range of them is one copy.
 * The addresses behind the first are not checked by the verifier: the range must be.
 */
SEC("syscall")
int pump_array(void *ctx)
{
	__u64 first = control.first, count = control.count;
	__u32 index = first;
	__u64 bytes;
	void *value, *to = room(0);

	begin();
	control.stopped = STOPPED_ODD;
	if (!to || first >= entries || count > entries - first)
		return 0;
	bytes = count * row_size;
	if (bytes > (__u64)row_limit + row_size)
		return 0;
	value = bpf_map_lookup_elem(&target, &index);
	if (!value || bpf_probe_read_kernel(to, bytes, value))
		return 0;
	control.stopped = 0;
	control.visited = count;
	control.position = bytes;
	control.end_ns = bpf_ktime_get_ns();
	return 0;
}

struct percpu_walk {
	struct here *here;
};

static long pump_percpu_index(__u32 i, struct percpu_walk *walk)
{
	__u64 at = control.position;
	__u32 index = control.first + i;
	void *value, *row = room(at);

	if (!row)
		return 1;
	value = bpf_map_lookup_elem(&target, &index);
	if (!value || take_cpus(row, number(value), walk->here)) {
		control.stopped = STOPPED_ODD;
		return 1;
	}
	control.position = at + row_size;
	control.visited++;
	return 0;
}

SEC("syscall")
int pump_percpu_array(void *ctx)
{
	struct percpu_walk walk;

	begin();
	walk.here = measure();
	if (walk.here)
		bpf_loop(control.count, pump_percpu_index, &walk, 0);
	else
		control.stopped = STOPPED_ODD;
	control.end_ns = bpf_ktime_get_ns();
	return 0;
}

/* Says of the key in a row whether it is there. Not 0: enough for one stay. */
static __always_inline long answer(__u32 i, void *row, __u64 found)
{
	WORD(row, round_up8(key_size) / 8) = found;
	control.position = i + 1;
	return visited();
}

static long find_one(__u32 i, void *ctx)
{
	void *row = room(i * row_size);

	if (!row)
		return 1;
	return answer(i, row, bpf_map_lookup_elem(&target, row) != 0);
}

/* Keys of a hash whose elements do not care who looks at them. */
SEC("syscall")
int find_keys(void *ctx)
{
	begin();
	bpf_loop(control.count, find_one, 0, 0);
	control.end_ns = bpf_ktime_get_ns();
	return 0;
}

static long find_one_quietly(__u32 i, struct find_walk *w)
{
	void *row;

	w->at = i * row_size;
	row = room(w->at);
	if (!row)
		return 1;
	w->hash = hash_of(row, w->seed);
	w->bucket = w->hash & (w->list.n_buckets - 1);
	w->list.node = first_of(&w->list, w->bucket);
	w->found = 0;
	/* There until it is known to be gone: not after a list that was not passed to its end. */
	if (bpf_loop(ELEMENTS_MAX, find_step, w, 0) == ELEMENTS_MAX)
		w->found = 1;
	row = room(w->at);
	return row ? answer(i, row, w->found) : 1;
}

/* Keys of a hash whose elements are marked as used by lookups. */
SEC("syscall")
int find_quietly(void *ctx)
{
	struct find_walk walk = {.list = walk_of_map()};

	begin();
	walk.seed = *(volatile __u32 *)(cast(&target) + HASHRND_OFFSET);
	if (!control.witness) {
		control.bucket = 0;
		walk.list.node = first_of(&walk.list, 0);
		bpf_loop(MAX_STEPS, witness_step, &walk, 0);
		/* Without any element, no key is there, whatever its hash. */
		if (control.visited && !control.witness)
			control.stopped = STOPPED_ODD;
	}
	if (!control.stopped)
		bpf_loop(control.count, find_one_quietly, &walk, 0);
	control.end_ns = bpf_ktime_get_ns();
	return 0;
}

/* What an iterator hands to its program for each element, and once more at the end without one. */
struct seq_file;

struct iter_meta {
	struct seq_file *seq;
	__u64 session_id;
	__u64 seq_num;
};

#define POINTER(type, name) union { type name; __u64 name##_word; } __attribute__((aligned(8)))

struct bpf_iter__bpf_map_elem {
	POINTER(struct iter_meta *, meta);
	POINTER(struct bpf_map *, map);
	POINTER(void *, key);
	POINTER(void *, value);
};

/* The kernel takes a row whole or not at all; a row that finds no room comes first in the next read. */
static __always_inline int give(struct bpf_iter__bpf_map_elem *ctx, void *row)
{
	bpf_seq_write(ctx->meta->seq, row, row_size);
	return 0;
}

SEC("iter/bpf_map_elem")
int iter_rows(struct bpf_iter__bpf_map_elem *ctx)
{
	void *key = ctx->key, *value = ctx->value, *row = room(0);
	struct heads all;
	__u64 node;

	if (!key || !value || !row)
		return 0;
	if (!lists) { /* an element of an array is never another */
		copy_key(row, key);
		copy_value(row + round_up8(key_size), value);
		return give(ctx, row);
	}
	all = heads_of_map();
	node = number(key) - KEY_OFFSET;
	copy_key(row, key);
	fence();
	if (!listed(&all, node))
		goto discard;
	fence();
	copy_value(row + round_up8(key_size), value);
	fence();
	if (!given_away(&all, node, row, key))
		return give(ctx, row);
discard:
	control.discarded++;
	return 0;
}

/*
 * The kernel copies the values of all CPUs before it calls, so that comparing keys would prove nothing.
 * They are taken again, from the element that the key leads to before and after.
 */
SEC("iter/bpf_map_elem")
int iter_percpu_hash(struct bpf_iter__bpf_map_elem *ctx)
{
	void *key = ctx->key, *value, *row = room(0);
	struct here *h;

	if (!key || !row)
		return 0;
	copy_key(row, key);
	value = bpf_map_lookup_elem(&target, row);
	h = value ? measure() : 0;
	if (!h || take_cpus(row + round_up8(key_size), number(value), h))
		goto discard;
	fence();
	if (bpf_map_lookup_elem(&target, row) == value)
		return give(ctx, row);
discard:
	control.discarded++;
	return 0;
}

/* The elements of an array never become others: what the kernel copied is right. */
SEC("iter/bpf_map_elem")
int iter_percpu_array(struct bpf_iter__bpf_map_elem *ctx)
{
	__u32 stride = round_up8(value_size), n = cpus;
	void *key = ctx->key, *value = ctx->value, *row = room(0);

	if (!key || !value || !row)
		return 0;
	copy_key(row, key);
	row += round_up8(key_size);
	if (!sums) {
		bpf_probe_read_kernel(row, n * stride, value);
		return give(ctx, row - round_up8(key_size));
	}
	clear_fields(row);
#pragma clang loop unroll(disable)
	for (__u32 cpu = 0; cpu < n; cpu++)
		add_fields(row, value + cpu * stride);
	return give(ctx, row - round_up8(key_size));
}
