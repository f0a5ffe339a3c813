/* SPDX-License-Identifier: Apache-2.0 */
/* plusplus IMAGE: the library as C++ uses it. */
#include <cerrno>
#include <cstdio>
#include <memory>

#include <ringside.h>

struct closer {
	void operator()(ringside *r) const { ringside_close(r); }
};

int main(int argc, char **argv)
{
	if (argc != 2)
		return 64;
	ringside *raw = nullptr;
	ringside_options o;
	ringside_options_init(&o);
	o.start = RINGSIDE_START_BEGINNING;
	if (ringside_open_file(argv[1], &o, &raw) < 0) {
		std::puts(ringside_last_error(nullptr));
		return 1;
	}
	std::unique_ptr<ringside, closer> r(raw);
	const ringside_batch *b = nullptr;
	unsigned long rows = 0, bytes = 0;
	int n = 0;
	while ((n = ringside_next(r.get(), &b)) >= 0)
		for (uint32_t i = 0; n == 1 && i < b->rows; i++, rows++) {
			uint32_t length = 0;
			if (b->kind == RINGSIDE_EVENTS && ringside_event(b, i, &length) != nullptr)
				bytes += length;
			if (b->kind == RINGSIDE_ROWS && ringside_key(b, i) != ringside_value(b, i))
				bytes += b->key_size + b->value_size;
		}
	std::printf("%lu rows, %lu bytes\n", rows, bytes);
	return n == -ENODATA ? 0 : 1;
}
