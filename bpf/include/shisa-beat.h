/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Beats for any process: a loop proves that it goes on, and shisa notices within
 * 20 ms when it does not, also when nothing in user space runs any more.
 *
 *	static struct shisa_beat beat;
 *
 *	shisa_beat_open(&beat, "my loop", 2000);	// at least one beat in 2 s
 *	for (;;) {
 *		work();
 *		shisa_beat(&beat);
 *	}
 *	shisa_beat_close(&beat);			// it ends on purpose
 *
 * A beat of root's process is a store into memory that is shared with the kernel
 * and takes some nanoseconds; anybody else's is a datagram. Nothing here waits,
 * and nothing needs to be checked: without shisa a beat does nothing. Not for use
 * by several threads at a time on one struct shisa_beat. Linux, C99, no library.
 */
#ifndef SHISA_BEAT_H
#define SHISA_BEAT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define SHISA_BEAT_SOCKET	"/run/shisa/beat.sock"	/* SHISA_BEAT_SOCKET in the environment names another */
#define SHISA_BEAT_SLOTS	64

/* One cell of the shared array, as bpf/src/records.h of shisa has it. */
struct shisa_beat_slot {
	int64_t last, count, limit, flags, max_delay;
	char name[24];
};

struct shisa_beat {
	int fd;					/* socket; -1: shisa does not run */
	void *memory;				/* of the array; NULL: beats are datagrams */
	struct shisa_beat_slot *slot;
};

static inline void shisa_beat_say(struct shisa_beat *b, const char *text)
{
	if (b->fd >= 0)
		(void)!send(b->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Takes the array that comes with the answer. */
static inline void shisa_beat_map(struct shisa_beat *b)
{
	char text[128], control[CMSG_SPACE(sizeof(int))];
	struct iovec v = { text, sizeof(text) - 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	unsigned int slot;
	ssize_t n = recvmsg(b->fd, &m, MSG_CMSG_CLOEXEC);
	int fd;

	if (n <= 0)
		return;
	text[n] = '\0';
	c = CMSG_FIRSTHDR(&m);
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(int)))
		return;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	if (sscanf(text, "BEAT_SLOT=%u", &slot) == 1 && slot < SHISA_BEAT_SLOTS) {
		void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		if (p != MAP_FAILED) {
			b->memory = p;
			b->slot = (struct shisa_beat_slot *)p + slot;
		}
	}
	close(fd);
}

/*
 * Promises a beat every limit_ms. The name has up to 24 bytes. Returns 0, or -1
 * when shisa does not run: the other calls then do nothing.
 */
static inline int shisa_beat_open(struct shisa_beat *b, const char *name, unsigned int limit_ms)
{
	const char *path = getenv("SHISA_BEAT_SOCKET");
	struct timeval patience = { .tv_sec = 1 };
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	char text[160];

	b->memory = NULL;
	b->slot = NULL;
	if (!path)
		path = SHISA_BEAT_SOCKET;
	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	b->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (b->fd < 0)
		return -1;
	/* Bound to a name that the kernel makes up, so that there can be an answer. */
	if (bind(b->fd, (struct sockaddr *)&to, sizeof(to.sun_family)) ||
	    connect(b->fd, (struct sockaddr *)&to, sizeof(to)) ||
	    setsockopt(b->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience))) {
		close(b->fd);
		b->fd = -1;
		return -1;
	}
	snprintf(text, sizeof(text), "WATCHDOG=1\nWATCHDOG_USEC=%llu\nBEAT_NAME=%.24s\nBEAT_MAP=1",
		 1000ULL * limit_ms, name);
	shisa_beat_say(b, text);
	shisa_beat_map(b);
	return 0;
}

/* Proves progress now. */
static inline void shisa_beat(struct shisa_beat *b)
{
	struct timespec now;

	if (!b->slot) {
		shisa_beat_say(b, "WATCHDOG=1");
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	__atomic_store_n(&b->slot->last, now.tv_sec * 1000000000LL + now.tv_nsec, __ATOMIC_RELAXED);
}

/* The loop ends on purpose. */
static inline void shisa_beat_close(struct shisa_beat *b)
{
	shisa_beat_say(b, "STOPPING=1");
	if (b->memory)
		munmap(b->memory, 4096);
	if (b->fd >= 0)
		close(b->fd);
	b->fd = -1;
	b->memory = NULL;
	b->slot = NULL;
}

#endif
