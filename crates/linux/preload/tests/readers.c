/* Reads a mount table by the function named in the first argument from the path in the second, and prints it. */
#define _GNU_SOURCE
#undef _FORTIFY_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int __open_2(const char *, int);
int __open64_2(const char *, int);
int __openat_2(int, const char *, int);
int __openat64_2(int, const char *, int);

static int print_descriptor(int fd)
{
	char buffer[777];
	ssize_t length;

	if (fd < 0)
		return 1;
	while ((length = read(fd, buffer, sizeof buffer)) > 0)
		if (write(1, buffer, length) != length)
			return 1;
	return length < 0;
}

static int print_stream(FILE *stream)
{
	int c;

	if (!stream)
		return 1;
	while ((c = getc(stream)) != EOF)
		putchar(c);
	return ferror(stream) || fclose(stream);
}

static int print_entries(FILE *stream)
{
	struct mntent *entry;

	if (!stream)
		return 1;
	while ((entry = getmntent(stream)))
		printf("%s %s %s %s %d %d\n", entry->mnt_fsname, entry->mnt_dir, entry->mnt_type, entry->mnt_opts,
		       entry->mnt_freq, entry->mnt_passno);
	return endmntent(stream) != 1;
}

/* The child has the memory of its parent: what it does to the allocator or to a lock, the parent feels. */
static int print_from_vfork(const char *path)
{
	int status;
	pid_t child = vfork();

	if (child == 0)
		_exit(print_descriptor(open(path, O_RDONLY)));
	return waitpid(child, &status, 0) != child || status != 0;
}

int main(int argc, char **argv)
{
	const char *how = argv[1], *path = argv[2];
	int result = 2, closed = open("/dev/null", O_RDONLY);

	(void)argc;
	errno = ENOTTY;
	if (!strcmp(how, "open"))
		result = print_descriptor(open(path, O_RDONLY));
	else if (!strcmp(how, "open64"))
		result = print_descriptor(open64(path, O_RDONLY | O_CLOEXEC));
	else if (!strcmp(how, "openat"))
		result = print_descriptor(openat(AT_FDCWD, path, O_RDONLY));
	else if (!strcmp(how, "openat64"))
		result = print_descriptor(openat64(closed, path, O_RDONLY));
	else if (!strcmp(how, "__open_2"))
		result = print_descriptor(__open_2(path, O_RDONLY));
	else if (!strcmp(how, "__open64_2"))
		result = print_descriptor(__open64_2(path, O_RDONLY));
	else if (!strcmp(how, "__openat_2"))
		result = print_descriptor(__openat_2(AT_FDCWD, path, O_RDONLY));
	else if (!strcmp(how, "__openat64_2"))
		result = print_descriptor(__openat64_2(AT_FDCWD, path, O_RDONLY));
	else if (!strcmp(how, "fopen"))
		result = print_stream(fopen(path, "re"));
	else if (!strcmp(how, "fopen64"))
		result = print_stream(fopen64(path, "r"));
	else if (!strcmp(how, "freopen"))
		result = print_stream(freopen(path, "r", stdin));
	else if (!strcmp(how, "freopen64"))
		result = print_stream(freopen64(path, "r", stdin));
	else if (!strcmp(how, "setmntent"))
		result = print_entries(setmntent(path, "r"));
	else if (!strcmp(how, "vfork"))
		result = print_from_vfork(path);
	else if (!strcmp(how, "chdir"))
		result = chdir("/proc/self") || print_descriptor(open(strrchr(path, '/') + 1, O_RDONLY));
	else if (!strcmp(how, "rewind")) {
		int fd = open(path, O_RDONLY);
		char byte;

		result = read(fd, &byte, 1) != 1 || lseek(fd, 0, SEEK_SET) != 0 || print_descriptor(fd);
	}
	if (errno != ENOTTY) {
		fprintf(stderr, "%s: errno is %s\n", how, strerror(errno));
		result = 3;
	}
	return fflush(stdout) || result;
}
