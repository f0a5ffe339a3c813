/* SPDX-License-Identifier: Apache-2.0 */
#include "ring.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fail.h"
#include "ringside.h"

enum { MAX_POPULATED = 1 << 30, HUGE_PAGE = 2 << 20 };

static uint64_t fnv1a(const uint8_t *p, size_t n)
{
	uint64_t h = 0xcbf29ce484222325ull;
	while (n--)
		h = (h ^ *p++) * 0x100000001b3ull;
	return h;
}

/* Is it a ring, of our version, whole? */
static int check_identity(const uint8_t *h, uint64_t bytes, struct text *why)
{
	if (bytes < 2 * PAGE_BYTES || get64(h + H_MAGIC) != MAGIC)
		return fail(why, EMEDIUMTYPE, "not a ringside ring: %" PRIu64 " bytes that do not begin as one", bytes);
	if (get16(h + H_MAJOR) != ABI_MAJOR)
		return fail(why, EPROTONOSUPPORT, "the ring has version %u.%u, this library reads %d.x; use one of the sidecar's version",
			get16(h + H_MAJOR), get16(h + H_MINOR), ABI_MAJOR);
	if (fnv1a(h, H_CHECKSUM) != get64(h + H_CHECKSUM))
		return fail(why, EMEDIUMTYPE, "the checksum of the ring's header is wrong");
	if (get64(h + H_TOTAL_BYTES) != bytes)
		return fail(why, EMEDIUMTYPE, "the ring's header says %" PRIu64 " bytes, the file has %" PRIu64,
			get64(h + H_TOTAL_BYTES), bytes);
	return 0;
}

/* Does one part end where the next begins, and all of it in the file? */
static const char *check_parts(const uint8_t *h, uint64_t bytes)
{
	uint64_t catalog = get64(h + H_CATALOG_OFF), heap = get64(h + H_HEAP_OFF), data = get64(h + H_DATA_OFF);
	uint64_t data_bytes = get64(h + H_DATA_BYTES), largest = get32(h + H_LARGEST_FRAME);
	if (get32(h + H_HEADER_BYTES) != PAGE_BYTES || get64(h + H_CONTROL_OFF) != PAGE_BYTES ||
	    get64(h + H_CONTROL_BYTES) != PAGE_BYTES || get32(h + H_RECORD_BYTES) != RECORD_BYTES)
		return "sizes of its parts";
	if (data_bytes < MIN_DATA_BYTES || data_bytes > MAX_DATA_BYTES || (data_bytes & (data_bytes - 1)) != 0)
		return "data_bytes";
	if (largest < FRAME_HEADER_BYTES || largest % FRAME_ALIGN != 0 || largest > data_bytes / 8)
		return "largest_frame";
	if (catalog % PAGE_BYTES != 0 || heap % PAGE_BYTES != 0 || data % PAGE_BYTES != 0)
		return "alignment of its parts";
	if (catalog < 2 * PAGE_BYTES || catalog > heap || heap > data || data > bytes)
		return "order of its parts";
	if ((uint64_t)get32(h + H_CATALOG_RECORDS) * RECORD_BYTES > heap - catalog)
		return "catalog_records";
	if (get64(h + H_HEAP_BYTES) > data - heap)
		return "heap_bytes";
	if (data_bytes != bytes - data)
		return "end of its data";
	return NULL;
}

int ring_check(struct ring *ring, const uint8_t *h, uint64_t bytes, struct text *why)
{
	int err = check_identity(h, bytes, why);
	if (err)
		return err;
	const char *wrong = check_parts(h, bytes);
	if (wrong)
		return fail(why, EMEDIUMTYPE, "the ring's geometry is inconsistent: %s", wrong);
	*ring = (struct ring){
		.bytes = bytes, .epoch = get64(h + H_EPOCH), .records = get32(h + H_CATALOG_RECORDS),
		.heap_bytes = get64(h + H_HEAP_BYTES), .largest_frame = get32(h + H_LARGEST_FRAME),
		.data_bytes = get64(h + H_DATA_BYTES), .mask = get64(h + H_DATA_BYTES) - 1,
		.catalog_off = get64(h + H_CATALOG_OFF), .heap_off = get64(h + H_HEAP_OFF), .data_off = get64(h + H_DATA_OFF),
	};
	return 0;
}

void ring_place(struct ring *ring, const uint8_t *base)
{
	ring->base = base;
	ring->control = base + PAGE_BYTES;
	ring->catalog = base + ring->catalog_off;
	ring->heap = base + ring->heap_off;
	ring->data = base + ring->data_off;
}

/* Reads exactly n bytes at an offset; false also if there are fewer. */
static bool read_at(int fd, uint8_t *to, uint64_t n, uint64_t at)
{
	while (n > 0) {
		ssize_t got = pread(fd, to, n, (off_t)at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		to += got, at += (uint64_t)got, n -= (uint64_t)got;
	}
	return true;
}

/* The header is read before anything is mapped: a hostile size is worth no page. */
static int check_file(struct ring *ring, int fd, struct text *why)
{
	uint8_t pages[2 * PAGE_BYTES] = {0};
	struct stat st;
	if (fstat(fd, &st) < 0)
		return fail(why, errno, "fstat: %s", ringside_strerror(errno));
	if (!S_ISREG(st.st_mode))
		return fail(why, EMEDIUMTYPE, "not a ringside ring: not a regular file");
	uint64_t bytes = (uint64_t)st.st_size;
	if (bytes >= sizeof(pages) && !read_at(fd, pages, sizeof(pages), 0))
		return fail(why, EIO, "cannot read the ring's header");
	return ring_check(ring, pages, bytes, why);
}

/* A free address that is a multiple of a huge page, at which the publisher's can
 * be mapped as such. It is a hint: if another thread has taken it meanwhile, the
 * kernel chooses another. */
static void *round_address(uint64_t bytes)
{
	if (bytes < HUGE_PAGE)
		return NULL;
	uint8_t *room = mmap(NULL, bytes + HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (room == MAP_FAILED)
		return NULL;
	munmap(room, bytes + HUGE_PAGE);
	return room + (-(uintptr_t)room & (HUGE_PAGE - 1));
}

int ring_map(struct ring *ring, int fd, struct text *why)
{
	*ring = (struct ring){0};
	int seals = fcntl(fd, F_GET_SEALS);
	/* SHRINK and GROW: nobody can cut the file under the mapping. FUTURE_WRITE:
	 * nobody, root included, can write it any more. SEAL: that stays so. */
	if (seals < 0 || (seals & RING_SEALS) != RING_SEALS)
		return fail(why, EBADFD, "the ring's memory is not sealed (seals %#x, expected %#x): whoever lent it could change it",
			seals < 0 ? 0 : (unsigned)seals, (unsigned)RING_SEALS);
	int err = check_file(ring, fd, why);
	if (err)
		return err;
	/* Pages that the publisher has already spare faults later. A hostile file with
	 * nothing in it would take memory for what is only claimed. */
	int populate = ring->bytes <= MAX_POPULATED ? MAP_POPULATE : 0;
	void *base = mmap(round_address(ring->bytes), ring->bytes, PROT_READ, MAP_SHARED | populate, fd, 0);
	if (base == MAP_FAILED)
		return fail(why, errno, "cannot map %" PRIu64 " bytes of the ring: %s", ring->bytes, ringside_strerror(errno));
	(void)madvise(base, ring->bytes, MADV_DONTDUMP); /* what the kernel holds is not for core files */
	ring_place(ring, base);
	return 0;
}

/* A file is read, not mapped: whoever owns it could cut it off under a mapping. */
static int private_memory(struct ring *ring, uint8_t **to, struct text *why)
{
	*to = mmap(NULL, ring->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (*to == MAP_FAILED)
		return fail(why, ENOMEM, "no memory for a ring of %" PRIu64 " bytes", ring->bytes);
	return 0;
}

int ring_read(struct ring *ring, int fd, struct text *why)
{
	uint8_t *to;
	*ring = (struct ring){0};
	int err = check_file(ring, fd, why);
	if (!err && ring->bytes > 2 * MAX_DATA_BYTES)
		err = fail(why, EFBIG, "no recorded ring has %" PRIu64 " bytes", ring->bytes);
	if (!err)
		err = private_memory(ring, &to, why);
	if (err)
		return err;
	struct ring again;
	bool whole = read_at(fd, to, ring->bytes, 0);
	/* The file may have changed between the two readings: what counts is the copy. */
	err = whole ? ring_check(&again, to, ring->bytes, why) : fail(why, EIO, "cannot read all of the file");
	if (err) {
		munmap(to, ring->bytes);
		return err;
	}
	*ring = again;
	ring_place(ring, to);
	return 0;
}

int ring_copy(struct ring *ring, const uint8_t *image, size_t bytes, struct text *why)
{
	uint8_t pages[2 * PAGE_BYTES] = {0}, *to;
	*ring = (struct ring){0};
	memcpy(pages, image, bytes < sizeof(pages) ? bytes : sizeof(pages));
	int err = ring_check(ring, pages, bytes, why);
	if (!err)
		err = private_memory(ring, &to, why);
	if (err)
		return err;
	memcpy(to, image, bytes);
	ring_place(ring, to);
	return 0;
}

void ring_unmap(struct ring *ring)
{
	if (ring->base)
		munmap((void *)(uintptr_t)ring->base, ring->bytes);
	ring->base = NULL;
}

struct position ring_totals(const struct ring *ring)
{
	for (int tries = 0; tries < 64; tries++) {
		uint64_t w[FRAME_HEADER_BYTES / 8];
		uint64_t last = word_acquire(ring->control + C_LAST) & ~(uint64_t)(FRAME_ALIGN - 1);
		if (ring_head(ring) == 0)
			break;
		for (size_t i = 0; i < 8; i++)
			w[i] = word_relaxed(ring->data + (last & ring->mask) + 8 * i);
		load_load();
		if (ring_overtaken(ring, last))
			continue;
		if ((uint8_t)(w[0] >> 32) == FRAME_PAD)
			break; /* nothing but pads so far */
		return (struct position){.seq = w[4] + 1, .rows = w[5] + (uint32_t)w[1]};
	}
	return (struct position){0};
}
