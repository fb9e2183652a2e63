/* Makes a private mount namespace with mounts that look like penfold's to the kernel, and runs a command in it.
 *
 * Nobody answers behind them, so nothing below the mount points may be touched.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static int mount_fuse(const char *source, const char *type, const char *point)
{
	char options[128];
	int fd = open("/dev/fuse", O_RDWR); /* stays open over exec: the mount lives as long as it does */

	snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fd);
	mkdir(point, 0755);
	return fd < 0 || mount(source, point, type, MS_NOSUID, options);
}

int main(int argc, char **argv)
{
	(void)argc;
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return perror("unshare"), 77;
	if (mount("tmpfs", "/mnt", "tmpfs", 0, NULL))
		return perror("tmpfs"), 77;
	if (mount_fuse("penfold", "fuse.cgroup.cpuset+pids", "/mnt/one") ||
	    mount_fuse("jobs", "fuse.cgroup.name=jobs", "/mnt/two words") ||
	    mount_fuse("penfold", "fuse.cgroups", "/mnt/other"))
		return perror("fuse"), 77;
	execvp(argv[1], argv + 1);
	return 76;
}
