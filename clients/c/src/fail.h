/* SPDX-License-Identifier: Apache-2.0 */
/* What went wrong, as a number and as a sentence. */
#ifndef RINGSIDE_FAIL_H
#define RINGSIDE_FAIL_H

/* A sentence. Room for a refusal, a path, and what is said about them. */
struct text {
	char s[1536];
};

/* Writes the sentence and returns -error. */
__attribute__((format(printf, 3, 4))) int fail(struct text *why, int error, const char *format, ...);

/* What ringside_last_error(NULL) says in this thread. */
void fail_in_thread(const struct text *why);
const char *thread_failure(void);

#endif
