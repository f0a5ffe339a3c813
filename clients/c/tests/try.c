/* SPDX-License-Identifier: Apache-2.0 */
/* try SOCKET: attaches once, and prints how that ended and what stayed open. */
#include <stdio.h>
#include <unistd.h>

#include "ringside.h"

int main(int argc, char **argv)
{
	struct ringside_options o;
	struct ringside *r;
	if (argc != 2)
		return 64;
	for (int fd = 3; fd < 64; fd++)
		close(fd); /* inherited */
	ringside_options_init(&o);
	o.socket = argv[1];
	o.timeout_ms = 10000;
	int err = ringside_attach(&o, &r);
	printf("%d %s\n", -err, ringside_last_error(NULL));
	ringside_close(r);
	for (int fd = 3; fd < 64; fd++)
		if (close(fd) == 0)
			printf("descriptor %d stayed open\n", fd);
	return 0;
}
