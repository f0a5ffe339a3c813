/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RINGSIDE_TESTS_CHECK_H
#define RINGSIDE_TESTS_CHECK_H

/* CHECK ends the program where something is not so. */
#include <stdio.h>
#include <stdlib.h>

#define CHECK(what) \
	do { \
		if (!(what)) { \
			printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
			exit(1); \
		} \
	} while (0)

#endif
