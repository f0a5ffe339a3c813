/* SPDX-License-Identifier: Apache-2.0 */
#include "fail.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ringside.h"

int fail(struct text *why, int error, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(why->s, sizeof(why->s), format, args);
	va_end(args);
	return -error;
}

static _Thread_local struct text last;

void fail_in_thread(const struct text *why) { last = *why; }
const char *thread_failure(void) { return last.s; }

const char *ringside_version(void) { return RINGSIDE_VERSION; }

static const struct {
	int error;
	const char *text;
} meanings[] = {
	{0, "no error"},
	{ECONNREFUSED, "no sidecar: nobody listens on the socket"},
	{EACCES, "permission denied: the file system does not let this user in"},
	{EPERM, "not allowed: no rule of the sidecar lets this user in"},
	{ENOENT, "not found"},
	{EBUSY, "busy: a lease is open, or this user is barred from the ring for a while"},
	{EUSERS, "too many connections"},
	{EAGAIN, "try again: the ring is being replaced"},
	{ETIMEDOUT, "the sidecar is there and does not answer, or does not beat"},
	{ECONNRESET, "the sidecar hung up"},
	{ENOTCONN, "no sidecar just now"},
	{EPROTO, "not the ringside protocol"},
	{EPROTONOSUPPORT, "ring or messages of another version"},
	{EBADFD, "the ring's memory is not sealed"},
	{EMEDIUMTYPE, "not a ring, or its header contradicts itself or the file"},
	{EBADMSG, "the ring is corrupt"},
	{ENODATA, "the end of the file"},
	{ELOOP, "no frame of the file can be reached"},
	{EREMOTEIO, "the sidecar refused"},
	{E2BIG, "an option is unknown to this version of the library"},
	{ENAMETOOLONG, "a name is too long"},
	{EINVAL, "an argument is wrong"},
	{ENOSPC, "the map does not fit into the table's memory"},
	{EINTR, "interrupted by a signal"},
	{ENOTSUP, "not possible with a file"},
	{EFBIG, "larger than any ring"},
	{ENOMEM, "out of memory"},
};

const char *ringside_strerror(int error)
{
	int e = error < 0 ? -error : error;
	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
		if (meanings[i].error == e)
			return meanings[i].text;
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 32)
	const char *s = strerrordesc_np(e); /* strerror is not safe in threads */
	if (s)
		return s;
#endif
	return "unknown error";
}
