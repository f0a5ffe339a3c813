/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ringside.h"

/* Why connect failed, and what to do about it. */
static int explain(const char *path, int error, struct text *why)
{
	struct stat st;
	switch (error) {
	case ENOENT:
	case ENOTDIR:
		return fail(why, ECONNREFUSED, "socket %s: no sidecar: there is no such file; is `ringside serve` running, and with this --socket?", path);
	case ECONNREFUSED:
		return fail(why, ECONNREFUSED, "socket %s: no sidecar: nobody listens on it; is `ringside serve` running?", path);
	case EPROTOTYPE:
		return fail(why, EPROTO, "socket %s: not the ringside protocol: it belongs to another program", path);
	case EACCES:
	case EPERM:
		break;
	default:
		return fail(why, error, "socket %s: %s", path, ringside_strerror(error));
	}
	unsigned uid = (unsigned)geteuid();
	if (stat(path, &st) < 0)
		return fail(why, EACCES, "socket %s: permission denied: a directory above it cannot be searched by uid %u", path, uid);
	if ((st.st_mode & 0777) == 0)
		return fail(why, ECONNREFUSED, "socket %s: no sidecar: it is just starting; try again", path);
	return fail(why, EACCES, "socket %s: permission denied: it has mode %04o, owner uid %u gid %u, own uid %u; start `ringside serve` with --allow-uid %u",
		path, (unsigned)st.st_mode & 07777, (unsigned)st.st_uid, (unsigned)st.st_gid, uid, uid);
}

static void encode_attach(uint8_t *m, const struct settings *o, uint32_t start)
{
	memset(m, 0, ATTACH_BYTES);
	put32(m, MESSAGE_MAGIC);
	put16(m + 4, TYPE_ATTACH);
	put16(m + 6, MESSAGE_VERSION);
	put32(m + ATTACH_START, start == RINGSIDE_START_HEAD ? WIRE_HEAD : start == RINGSIDE_START_OLDEST ? WIRE_OLDEST : WIRE_KEYFRAME);
	memcpy(m + ATTACH_RING, o->ring, NAME_BYTES);
	memcpy(m + ATTACH_CONSUMER, o->name, NAME_BYTES);
	memcpy(m + ATTACH_SOURCE, o->source, S_NAME_BYTES);
}

int wire_ask(const struct settings *o, uint32_t start, int *to, struct text *why)
{
	uint8_t request[ATTACH_BYTES];
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	memcpy(addr.sun_path, o->socket, sizeof(addr.sun_path));
	int s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s < 0)
		return fail(why, errno, "socket %s: %s", o->socket, ringside_strerror(errno));
	encode_attach(request, o, start);
	int err = connect(s, (const struct sockaddr *)&addr, sizeof(addr)) < 0 ? errno : 0;
	if (err == EAGAIN)
		err = fail(why, EAGAIN, "socket %s: more connections wait than it has room for", o->socket);
	else if (err)
		err = explain(o->socket, err, why);
	else if (send(s, request, sizeof(request), MSG_NOSIGNAL) < 0 && errno != EPIPE && errno != ECONNRESET)
		err = fail(why, errno, "socket %s: %s", o->socket, ringside_strerror(errno));
	/* If it hung up already, it may have said why first. */
	if (err) {
		close(s);
		return err;
	}
	*to = s;
	return 0;
}

/* A packet, and at most as many descriptors as a grant has: the kernel has no
 * room to install more. */
struct packet {
	uint8_t bytes[ANSWER_BYTES + CHUNK_BYTES];
	ssize_t length;
	int fds[GRANT_DESCRIPTORS];
	int descriptors;
	int flags;
};

static void close_all(struct packet *p)
{
	while (p->descriptors > 0)
		close(p->fds[--p->descriptors]);
}

static void take_descriptors(struct packet *p, struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (p->descriptors < GRANT_DESCRIPTORS)
				p->fds[p->descriptors++] = fd;
			else
				close(fd);
		}
	}
}

static void receive(int s, struct packet *p)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(p->fds))];
	} control;
	struct iovec to = {.iov_base = p->bytes, .iov_len = sizeof(p->bytes)};
	struct msghdr m = {.msg_iov = &to, .msg_iovlen = 1, .msg_control = control.bytes,
		.msg_controllen = CMSG_LEN(sizeof(p->fds))};
	p->descriptors = 0;
	p->length = recvmsg(s, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	p->flags = p->length < 0 ? 0 : m.msg_flags;
	if (p->length >= 0)
		take_descriptors(p, &m);
}

/* What a refusal means to whoever asked. */
static int meaning(uint32_t status)
{
	switch (status) {
	case EPERM:
	case EACCES:
		return EPERM; /* EACCES is left to the file system */
	case ENOENT:
	case EAGAIN:
	case EBUSY:
	case EINVAL:
	case ENAMETOOLONG:
	case EUSERS:
	case EPROTONOSUPPORT:
		return (int)status;
	case EPROTO:
	case EMSGSIZE:
	case EOPNOTSUPP:
	case EISCONN:
		return EPROTO;
	}
	return EREMOTEIO;
}

static int refused(const struct settings *o, const struct packet *p, struct text *why)
{
	char text[MAX_REFUSAL + 1];
	uint32_t status = get32(p->bytes + 8);
	size_t n = (size_t)p->length - ANSWER_BYTES;
	if (n > MAX_REFUSAL)
		n = MAX_REFUSAL;
	memcpy(text, p->bytes + ANSWER_BYTES, n);
	text[n] = '\0';
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 127)
			text[i] = '?'; /* it may go to a terminal */
	return fail(why, meaning(status), "sidecar at %s: %s", o->socket, n > 0 ? text : ringside_strerror((int)(status & 0xfff)));
}

static int broken(const struct settings *o, const char *how, struct text *why)
{
	return fail(why, EPROTO, "socket %s: not the ringside protocol: %s", o->socket, how);
}

/* Takes the descriptors out of the packet if all is as it must be. */
static int decode_grant(const struct settings *o, struct packet *p, struct grant *g, struct text *why)
{
	const uint8_t *b = p->bytes, *payload = b + ANSWER_BYTES;
	if (p->length < ANSWER_BYTES || get32(b) != MESSAGE_MAGIC || get16(b + 6) != MESSAGE_VERSION)
		return broken(o, "its answer is none", why);
	if (p->flags & MSG_TRUNC || get32(b + 12) != (uint64_t)p->length - ANSWER_BYTES)
		return broken(o, "an answer of another length than it says", why);
	if (get32(b + 8) != 0)
		return refused(o, p, why);
	if (get16(b + 4) != (TYPE_ANSWER | TYPE_ATTACH))
		return broken(o, "the answer to another question", why);
	if (get64(b + 24) != 0 || get64(b + 16) != get32(b + 12) || get32(b + 12) < GRANT_BYTES)
		return broken(o, "a grant in pieces", why);
	if (p->flags & MSG_CTRUNC || p->descriptors != GRANT_DESCRIPTORS)
		return broken(o, "a grant with another number of descriptors than ring, page and bell", why);
	*g = (struct grant){
		.source = get16(payload), .epoch = get64(payload + 8), .ring_bytes = get64(payload + 40),
		.pos = {get64(payload + 16), get64(payload + 24), get64(payload + 32)},
		.ring = p->fds[0], .page = p->fds[1], .bell = p->fds[2],
	};
	p->descriptors = 0;
	return 0;
}

int wire_answer(const struct settings *o, int socket, struct grant *g, struct text *why)
{
	struct packet p;
	receive(socket, &p);
	/* A sidecar that closed without reading all that we sent is reported once,
	 * before what it said. */
	if (p.length < 0 && errno == ECONNRESET)
		receive(socket, &p);
	if (p.length < 0 && (errno == EAGAIN || errno == EINTR))
		return 1;
	if (p.length <= 0)
		return fail(why, ECONNRESET, "socket %s: the sidecar hung up without a word; try again later", o->socket);
	int err = decode_grant(o, &p, g, why);
	close_all(&p);
	return err;
}
