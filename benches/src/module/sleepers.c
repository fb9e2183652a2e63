/* sleepers COUNT FILE: starts COUNT threads that sleep, then writes a line into FILE. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void *sleeper(void *it)
{
	for (;;)
		pause();
	return it;
}

int main(int count, char **words)
{
	pthread_attr_t attributes;
	pthread_t thread;
	FILE *ready;

	if (count < 3)
		return 1;
	alarm(600);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 16384);
	for (long made = atol(words[1]); made > 0; made--)
		if (pthread_create(&thread, &attributes, sleeper, 0))
			return 1;
	ready = fopen(words[2], "w");
	fputs("ready\n", ready);
	fclose(ready);
	for (;;)
		pause();
}
