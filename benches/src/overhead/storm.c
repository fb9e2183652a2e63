/*
 * One program, several storms: storm MODE COUNT [MORE].
 *
 * vfork COUNT        COUNT children that exit at once, one after the other.
 * exec COUNT         COUNT children that execute this program again, which exits.
 * thread COUNT       COUNT threads that return at once, one after the other.
 * busy COUNT         COUNT times a system call and some arithmetic; neither forks nor makes threads.
 * nothing            Exits.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void reap(pid_t child)
{
	int status;

	if (child < 0)
		fail("fork");
	if (waitpid(child, &status, 0) != child || status != 0)
		fail("wait");
}

static void vfork_storm(long count)
{
	while (count--) {
		pid_t child = vfork();

		if (child == 0)
			_exit(0);
		reap(child);
	}
}

static void exec_storm(long count, char *self)
{
	char *arguments[] = { self, "nothing", NULL };

	while (count--) {
		pid_t child = fork();

		if (child == 0) {
			execv(self, arguments);
			_exit(127);
		}
		reap(child);
	}
}

static void *idle(void *argument)
{
	return argument;
}

static void thread_storm(long count)
{
	while (count--) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, idle, NULL) || pthread_join(thread, NULL))
			fail("thread");
	}
}

static void busy(long count)
{
	volatile unsigned long sum = 0;

	while (count--) {
		sum += syscall(SYS_getpid);
		for (int step = 0; step < 1000; step++)
			sum = sum * 6364136223846793005ul + 1442695040888963407ul;
	}
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	long count = argc > 2 ? atol(argv[2]) : 0;

	if (!strcmp(mode, "vfork"))
		vfork_storm(count);
	else if (!strcmp(mode, "exec"))
		exec_storm(count, argv[0]);
	else if (!strcmp(mode, "thread"))
		thread_storm(count);
	else if (!strcmp(mode, "busy"))
		busy(count);
	else if (strcmp(mode, "nothing"))
		return 2;
	return 0;
}
