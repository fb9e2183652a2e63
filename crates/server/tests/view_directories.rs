//! Directories of the file view: what mkdir, rmdir, rename and stat do, by the measured facts of Linux 6.18.

mod views;

use std::fs;

use views::{HostKind, Views, on_each_host, possible};

on_each_host! {
    shell_makes_lists_and_removes_cgroups,
    attributes_are_those_of_the_kernel,
    names_are_taken_and_refused_as_by_the_kernel,
    rename_refuses_in_the_kernels_order,
    nothing_but_directories_can_be_made,
    removed_directory_is_empty_and_refuses,
    mkdir_in_a_view_keeps_the_quota,
}

fn shell_makes_lists_and_removes_cgroups(host: HostKind) {
    if !possible() {
        return;
    }
    let mut views = Views::start(host);
    views.mount("pids,name=one", "m");
    for shell in ["dash", "bash"] {
        let script = "cd m && mkdir a a/b && ls a | grep -v pids | tr '\\n' ' ' && cat a/pids.max && echo 7 > a/pids.max \
            && cat a/pids.max && echo 8 >> a/pids.max && cat < a/pids.max && rmdir a/b && rmdir a && ls -d a 2>/dev/null; true";
        let expected = "b cgroup.clone_children cgroup.procs notify_on_release tasks max\n7\n8";
        assert_eq!(views.shell(shell, script), expected, "{shell}");
    }
}

fn attributes_are_those_of_the_kernel(host: HostKind) {
    if !possible() {
        return;
    }
    let mut views = Views::start(host);
    views.mount("none,name=attributes", "m");
    let seen = views.python(
        "os.chdir('m'); os.umask(0o22)\n\
        def show(p):\n\
        \ts = os.stat(p); print(p, oct(s.st_mode), s.st_nlink, s.st_uid, s.st_blksize, s.st_size)\n\
        show('.'); os.mkdir('g', 0o777); os.umask(0o77); os.mkdir('h', 0o1777); show('g'); show('h'); show('.')\n\
        print(os.stat('.').st_ino, os.stat('g').st_ino == dict((e.name, e.inode()) for e in os.scandir('.'))['g'])\n\
        [show('g/' + f) for f in sorted(os.listdir('g'))]\n\
        show('cgroup.sane_behavior')\n\
        v = os.statvfs('.'); print(v.f_bsize, v.f_blocks, v.f_namemax)\n\
        os.chmod('g', 0o700); os.chown('g', 1, 2); show('g'); os.mkdir('g/s'); show('g'); os.rmdir('g/s'); show('g')\n\
        os.chmod('g/tasks', 0o600); os.chown('g/tasks', 1, 2); show('g/tasks'); os.utime('g/tasks', (1, 1))\n\
        print(os.stat('g/tasks').st_mtime, name(os.truncate, 'g/tasks', 0), name(os.truncate, 'g/tasks', 10))",
    );
    let expected = ". 0o40555 2 0 4096 0\n\
        g 0o40755 2 0 4096 0\n\
        h 0o41700 2 0 4096 0\n\
        . 0o40555 4 0 4096 0\n\
        1 True\n\
        g/cgroup.clone_children 0o100644 1 0 4096 4096\n\
        g/cgroup.procs 0o100644 1 0 4096 4096\n\
        g/notify_on_release 0o100644 1 0 4096 4096\n\
        g/tasks 0o100644 1 0 4096 4096\n\
        cgroup.sane_behavior 0o100444 1 0 4096 4096\n\
        4096 0 255\n\
        g 0o40700 2 1 4096 0\n\
        g 0o40700 3 1 4096 0\n\
        g 0o40700 2 1 4096 0\n\
        g/tasks 0o100600 1 1 4096 4096\n\
        1.0 OK OK";
    assert_eq!(seen, expected);
}

fn names_are_taken_and_refused_as_by_the_kernel(host: HostKind) {
    if !possible() {
        return;
    }
    let mut views = Views::start(host);
    views.mount("none,name=names", "m");
    let seen = views.python(
        "os.chdir('m'); os.mkdir('g')\n\
        def both(n):\n\
        \tr = name(os.mkdir, n)\n\
        \tif r == 'OK': r += ' ' + name(os.rmdir, n)\n\
        \treturn r\n\
        for n in ['g', 'tasks', 'release_agent', 'a\\nb', 'cpuset.cpus', 'x' * 255, 'x' * 256, 'x' * 3000, 'a b', b'\\xff\\xfe',\n\
        \t'..', '.', '...', 'nonex/child', 'tasks/child', 'g/release_agent']: print(both(n))\n\
        print(sorted(os.listdir(b'.')))\n\
        os.mkdir(b'\\xff'); print(os.listdir(b'.')[-1])",
    );
    let expected = "EEXIST\nEEXIST\nEEXIST\nEINVAL\nOK OK\nOK OK\nOK OK\nOK OK\nOK OK\nOK OK\nEEXIST\nEEXIST\nOK OK\n\
        ENOENT\nENOTDIR\nOK OK\n\
        [b'cgroup.clone_children', b'cgroup.procs', b'cgroup.sane_behavior', b'g', b'notify_on_release', b'release_agent', b'tasks']\n\
        b'\\xff'";
    assert_eq!(seen, expected);
}

fn rename_refuses_in_the_kernels_order(host: HostKind) {
    if !possible() {
        return;
    }
    let mut views = Views::start(host);
    views.mount("none,name=rename", "m");
    let seen = views.python(
        "os.chdir('m'); [os.mkdir(d) for d in ['g', 'h', 'g/in']]\n\
        import ctypes; libc = ctypes.CDLL(None, use_errno=True)\n\
        def two(a, b, flags):\n\
        \treturn 'OK' if libc.renameat2(-100, a, -100, b, flags) == 0 else errno.errorcode[ctypes.get_errno()]\n\
        for a, b in [('g','g3'), ('g3','g'), ('g','g'), ('g','h'), ('g','h/g'), ('g/in','in'), ('g','g/in/x'), ('tasks','t2'),\n\
        \t('tasks','tasks'), ('tasks','cgroup.procs'), ('tasks','h/tasks'), ('g','tasks'), ('tasks','g'), ('g','a\\nb'),\n\
        \t('tasks','a\\nb'), ('g/in','h\\nh'), ('nonex','y'), ('g', '/tmp/x')]: print(name(os.rename, a, b), end=' ')\n\
        print(two(b'g', b'g4', 1), two(b'g4', b'g', 1), two(b'g', b'h', 2), two(b'g', b'h', 1))\n\
        for d in ['nonex', '.', 'h/..', 'g', 'tasks']: print(name(os.rmdir, d), end=' ')\n\
        print(name(os.rename, 'g', 'new'), os.path.exists('new/in'), os.path.exists('g'))",
    );
    let expected = "OK OK OK EEXIST EIO EIO EINVAL ENOTDIR OK ENOTDIR ENOTDIR ENOTDIR EISDIR EINVAL EINVAL EINVAL ENOENT \
        EXDEV EINVAL ENOENT EINVAL EEXIST\nENOENT EINVAL ENOTEMPTY EBUSY ENOTDIR OK True False";
    assert_eq!(seen, expected);
}

fn nothing_but_directories_can_be_made(host: HostKind) {
    if !possible() {
        return;
    }
    let mut views = Views::start(host);
    views.mount("none,name=make", "m");
    let seen = views.python(
        "import stat; os.chdir('m'); os.mkdir('g')\n\
        C, E, W = os.O_CREAT, os.O_EXCL, os.O_WRONLY\n\
        print(*[name(os.open, f, o) if isinstance(name(os.open, f, o), str) else 'OK' for f, o in [('n', C | W), ('tasks', C | W),\n\
        \t('tasks', C | E | W), ('n', C | E | W), ('n', W), ('g', os.O_TMPFILE | W), ('tasks', os.O_DIRECT), ('tasks', os.O_DIRECTORY),\n\
        \t('tasks', os.O_TRUNC | W), ('tasks', os.O_APPEND | W), ('tasks', os.O_NONBLOCK), ('g', W)]])\n\
        print(name(os.unlink, 'tasks'), name(os.unlink, 'n'), name(os.unlink, 'g'), name(os.symlink, 'a', 'n'),\n\
        \tname(os.symlink, 'a', 'tasks'), name(os.link, 'tasks', 'n'), name(os.mkfifo, 'n'), name(os.mknod, 'n'),\n\
        \tname(os.mknod, 'n', stat.S_IFCHR, os.makedev(1, 3)))",
    );
    let expected = "EACCES OK EEXIST EACCES ENOENT EOPNOTSUPP EINVAL ENOTDIR OK OK OK EISDIR\n\
        EPERM ENOENT EISDIR EPERM EEXIST EPERM EPERM EACCES EPERM";
    assert_eq!(seen.replace("ENOTSUP ", "EOPNOTSUPP "), expected);
}

fn removed_directory_is_empty_and_refuses(host: HostKind) {
    if !possible() {
        return;
    }
    let mut views = Views::start(host);
    views.mount("none,name=removed", "m");
    let seen = views.python(
        "os.chdir('m'); os.mkdir('g'); d = os.open('g', os.O_RDONLY)\n\
        t = os.open('g/tasks', os.O_RDWR); n = os.open('g/notify_on_release', os.O_RDWR)\n\
        print(name(os.read, n, 9), name(os.rmdir, 'g'))\n\
        print(name(os.read, t, 9), name(os.write, t, b'0'), name(os.read, n, 9), name(os.write, n, b'1'))\n\
        print(os.listdir(d), name(os.mkdir, 'x', dir_fd=d), name(os.open, 'tasks', os.O_RDONLY, dir_fd=d),\n\
        \tname(os.open, 'new', os.O_CREAT | os.O_WRONLY, dir_fd=d), name(os.rmdir, 'x', dir_fd=d), os.fstat(t).st_nlink)\n\
        os.mkdir('g'); print(name(os.read, n, 9), name(os.stat, 'g') != 'ENOENT')\n\
        os.chdir('g'); os.rmdir('../g'); print(name(os.mkdir, 'x'), name(os.getcwd), os.listdir('.'))",
    );
    let expected = "b'0\\n' OK\nENODEV ENODEV ENODEV ENODEV\n[] ENOENT ENOENT ENOENT ENOENT 1\nENODEV True\nENOENT ENOENT []";
    assert_eq!(seen, expected);
    assert!(fs::read_dir(views.place.join("m")).expect("a directory").count() > 4);
}

fn mkdir_in_a_view_keeps_the_quota(host: HostKind) {
    if !possible() {
        return;
    }
    let mut views = Views::start(host);
    views.mount("none,name=quota", "m");
    views.service.with_exact(|engine, _| engine.set_quota(Some(2))).expect("it runs");
    let seen = views.python(
        "os.chdir('m'); os.mkdir('g'); os.chmod('g', 0o777); os.mkdir('g/r1'); os.mkdir('g/r2'); os.mkdir('g/r3')\n\
        os.setgroups([]); os.setresgid(7, 7, 7); os.setresuid(7, 7, 7)\n\
        print(*[name(os.mkdir, 'g/' + n) for n in ('a', 'b', 'c', 'a')]); os.rmdir('g/a'); print(name(os.mkdir, 'g/c'))",
    );
    assert_eq!(seen, "OK OK EDQUOT EEXIST\nOK");
}
