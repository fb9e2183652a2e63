/*
 * latency FILE: forks and waits for ever, and keeps the longest time in nanoseconds that this took once in the first
 * eight bytes of FILE. A reader writes 0 to these bytes to begin anew.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

int main(int count, char **words)
{
	volatile uint64_t *longest;
	int file = count > 1 ? open(words[1], O_RDWR) : -1;

	longest = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (file < 0 || longest == MAP_FAILED)
		return 1;
	alarm(600);
	for (;;) {
		uint64_t began = now(), took;
		pid_t child = vfork();

		if (child == 0)
			_exit(0);
		if (child < 0 || waitpid(child, NULL, 0) != child)
			return 1;
		took = now() - began;
		if (took > *longest)
			*longest = took;
	}
}
