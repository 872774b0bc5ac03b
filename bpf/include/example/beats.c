// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Beats for some time, then hangs, or ends on purpose:
 *
 *	beats NAME LIMIT_MS BEATS [hang]
 */
#include "../shisa-beat.h"

int main(int argc, char **argv)
{
	struct shisa_beat beat;
	int i;

	if (argc < 4)
		return 2;
	if (shisa_beat_open(&beat, argv[1], atoi(argv[2])))
		fprintf(stderr, "shisa does not run\n");
	printf("%s\n", beat.slot ? "shared" : "datagrams");
	fflush(stdout);
	for (i = 0; i < atoi(argv[3]); i++) {
		shisa_beat(&beat);
		usleep(10000);
	}
	if (argc > 4)
		pause();
	shisa_beat_close(&beat);
	return 0;
}
