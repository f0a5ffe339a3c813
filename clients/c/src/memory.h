/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that another process writes. Every word is loaded whole, once; the
 * caller bounds what it got and uses that, never the memory again.
 */
#ifndef RINGSIDE_MEMORY_H
#define RINGSIDE_MEMORY_H

#include <stdint.h>
#include <string.h>

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__ || !defined(__LP64__)
#error "a ring is little-endian memory of 64-bit machines"
#endif

/* Orders every load before it before every load after it. An acquire *load* of
 * hw would not do: it orders what follows, and what has to be complete is the
 * copy that went before. */
static inline void load_load(void) { __atomic_thread_fence(__ATOMIC_ACQUIRE); }

static inline uint64_t word_relaxed(const uint8_t *at)
{
	return __atomic_load_n((const uint64_t *)(const void *)at, __ATOMIC_RELAXED);
}

static inline uint64_t word_acquire(const uint8_t *at)
{
	uint64_t w = word_relaxed(at);
	load_load();
	return w;
}

static inline void word_store(uint8_t *at, uint64_t w)
{
	__atomic_store_n((uint64_t *)(void *)at, w, __ATOMIC_RELAXED);
}

static inline void word_release(uint8_t *at, uint64_t w)
{
	__atomic_store_n((uint64_t *)(void *)at, w, __ATOMIC_RELEASE);
}

/* Copies bytes that may change meanwhile. The barriers keep the compiler from
 * looking into the copy: it may neither repeat a load nor move one out. */
static inline void copy_racy(void *to, const uint8_t *from, size_t n)
{
	__asm__ volatile("" ::: "memory");
	memcpy(to, from, n);
	__asm__ volatile("" ::: "memory");
}

/* Fields of private copies. */
static inline uint16_t get16(const uint8_t *p) { uint16_t v; memcpy(&v, p, sizeof(v)); return v; }
static inline uint32_t get32(const uint8_t *p) { uint32_t v; memcpy(&v, p, sizeof(v)); return v; }
static inline uint64_t get64(const uint8_t *p) { uint64_t v; memcpy(&v, p, sizeof(v)); return v; }
static inline void put16(uint8_t *p, uint16_t v) { memcpy(p, &v, sizeof(v)); }
static inline void put32(uint8_t *p, uint32_t v) { memcpy(p, &v, sizeof(v)); }

#endif
