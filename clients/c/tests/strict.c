/* SPDX-License-Identifier: Apache-2.0 */
/* strict SOCKET next|lease ROWS: attaches, then enters seccomp's strict mode, in
 * which the kernel kills whoever makes any system call but read, write and exit,
 * and reads that many rows while the sidecar publishes. */
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "flow.h"

/* The C library's exit makes a call that would kill us. */
static void leave(const char *text, size_t n, int code)
{
	ssize_t wrote = write(1, text, n);
	(void)wrote;
	syscall(SYS_exit, code);
}

static void say(const char *text) { leave(text, strlen(text), 1); }

/* A number in decimal without the C library, which might allocate. */
static void report(uint64_t rows)
{
	char text[32], *p = text + sizeof(text);
	*--p = '\n';
	do
		*--p = (char)('0' + rows % 10);
	while ((rows /= 10) > 0);
	leave(p, (size_t)(text + sizeof(text) - p), 0);
}

int main(int argc, char **argv)
{
	struct ringside_options o;
	struct ringside *r;
	const struct ringside_batch *b;
	if (argc != 4)
		return 64;
	bool lease = strcmp(argv[2], "lease") == 0;
	uint64_t want = strtoull(argv[3], NULL, 10), rows = 0;
	ringside_options_init(&o);
	o.socket = argv[1];
	if (ringside_attach(&o, &r) < 0 || !ringside_source_by_name(r, "flows")) {
		puts(ringside_last_error(NULL));
		return 1;
	}
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0) {
		puts("no seccomp");
		return 77;
	}
	while (rows < want) {
		int n = lease ? ringside_lease(r, &b) : ringside_next(r, &b);
		if (n < 0)
			say("an error\n");
		if (n == 0)
			continue;
		bool whole = b->kind == RINGSIDE_LOST || (b->kind == RINGSIDE_ROWS && flows_are_whole(b));
		uint64_t more = b->kind == RINGSIDE_ROWS ? b->rows : 0;
		if (lease && ringside_lease_end(r) == 0)
			continue;
		if (!whole)
			say("torn\n");
		rows += more;
	}
	report(rows);
}
