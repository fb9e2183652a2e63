//! Open files of the file view: offsets, the content of a series of reads, sizes, and programs that copy files.

mod views;

use std::process::Stdio;

use views::{HostKind, Views, on_each_host, possible, wait};

on_each_host! {
    writes_are_commands_and_reads_continue_their_snapshot,
    no_control_file_can_be_executed,
    programs_that_copy_see_the_whole_content,
    truncation_clears_set_user_id_for_any_writer,
    file_of_a_cgroup_removed_in_any_view_is_dead,
}

fn writes_are_commands_and_reads_continue_their_snapshot(host: HostKind) {
    if !possible() {
        return;
    }
    let mut views = Views::start(host);
    views.mount("none,name=offsets", "m");
    let seen = views.python(
        "os.chdir('m'); f = os.open('notify_on_release', os.O_RDWR)\n\
        print(os.pwrite(f, b'1', 100), os.pread(f, 9, 0), os.write(f, b'0'), os.write(f, b'1'), os.lseek(f, 0, 1), end=' ')\n\
        print(os.write(f, b''), name(os.write, f, b'0' * 4096), name(os.write, f, b'0' * 4097), name(os.write, f, b'0' * 100000))\n\
        os.lseek(f, 0, 0); print([os.read(f, 1) for _ in range(3)], os.lseek(f, 1, 0), os.read(f, 9), os.pread(f, 9, 1))\n\
        os.lseek(f, 0, 0); print(os.writev(f, [b'1', b'\\n']), os.pread(f, 9, 0), os.read(f, 9))\n\
        print(name(os.write, os.open('tasks', os.O_RDONLY), b'0'), name(os.read, os.open('notify_on_release', os.O_WRONLY), 9),\n\
        \tname(os.write, os.open('cgroup.sane_behavior', os.O_WRONLY), b'1'), name(os.ftruncate, f, 0), name(os.fsync, f))\n\
        import select; p = select.poll(); g = os.open('release_agent', os.O_RDWR); p.register(g); print(p.poll(0)[0][1], end=' ')\n\
        os.read(g, 9); print(p.poll(0)[0][1], name(os.access, 'tasks', os.R_OK | os.W_OK), os.listxattr('.') if hasattr(os, 'x') else '')",
    );
    let expected = "1 b'1\\n' 1 1 2 0 4096 E2BIG E2BIG\n[b'0', b'\\n', b''] 1 b'\\n' b'\\n'\n2 b'1\\n' b''\n\
        EBADF EBADF EINVAL OK OK\n15 5 True";
    assert_eq!(seen, expected);
}

/// The kernel mounts cgroups, as every file system that it makes itself, without execution.
fn no_control_file_can_be_executed(host: HostKind) {
    if !possible() {
        return;
    }
    let mut views = Views::start(host);
    views.mount("none,name=execute", "m");
    let seen = views.python(
        "os.chmod('m/notify_on_release', 0o755)\n\
        print(os.access('m/notify_on_release', os.X_OK), os.access('m', os.X_OK), name(os.execv, 'm/notify_on_release', ['x']))",
    );
    assert_eq!(seen, "False True EACCES");
}

fn programs_that_copy_see_the_whole_content(host: HostKind) {
    if !possible() {
        return;
    }
    let mut views = Views::start(host);
    views.mount("pids", "m");
    views.shell("sh", "mkdir m/g && echo 77 > m/g/pids.max");
    for copy in [
        "cat $F",
        "busybox cat $F",
        "cp $F out && cat out",
        "busybox cp $F out; cat out",
        "dd if=$F status=none",
        "head -c 100 $F",
        "tail -n 5 $F",
        "read x < $F; echo $x",
        "cp --sparse=always $F out && cat out",
    ] {
        let script = format!("F=m/g/pids.max; {copy}");
        assert_eq!(views.shell("bash", &script), "77", "{copy}");
    }
    let seen = views.python(
        "import shutil; shutil.copyfile('m/g/pids.max', 'out'); print(open('out').read(), end='')\n\
        def send():\n\
        \tf = os.open('m/g/pids.max', os.O_RDONLY); o = os.open('out', os.O_RDWR | os.O_CREAT | os.O_TRUNC)\n\
        \tn = os.sendfile(o, f, 0, 1 << 20); print(n, os.pread(o, 100, 0))\n\
        send(); open('m/g/pids.max', 'w').write('123456'); send(); open('m/g/pids.max', 'w').write('5'); send(); send()",
    );
    assert_eq!(seen, "77\n3 b'77\\n'\n7 b'123456\\n'\n2 b'5\\n'\n2 b'5\\n'");
}

/// A process with many threads, for long lists.
const THREADS: &str = "
import threading, sys, time
threading.stack_size(65536)
for _ in range(int(sys.argv[1]) - 1): threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
print('ready', flush=True)
time.sleep(600)";

#[test]
fn ten_thousand_threads_are_read_in_odd_pieces() {
    if !possible() {
        return;
    }
    let mut views = Views::start(HostKind::Trace);
    views.mount("none,name=threads", "m");
    views.shell("sh", "mkdir m/g");
    // the process moves first, so that its threads are born inside
    let inside = format!("echo 0 > m/g/cgroup.procs; exec /usr/bin/python3 -c \"{THREADS}\" 10000");
    let mut many = views.command(&["sh", "-c", &inside]).stdout(Stdio::piped()).spawn().expect("a shell");
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(many.stdout.take().expect("a pipe")), &mut line)
        .expect("it prints");
    assert_eq!(line, "ready\n");
    let seen = views.python(
        "import random, shutil; pid = int(open('m/g/cgroup.procs').read()); truth = sorted(int(t) for t in os.listdir(f'/proc/{pid}/task'))\n\
        def pieces(f, sizes):\n\
        \tf = os.open(f, os.O_RDONLY); all = b''\n\
        \twhile p := os.read(f, sizes()): all += p\n\
        \treturn all\n\
        def same(all): return [int(l) for l in all.splitlines()] == truth and all.endswith(b'\\n')\n\
        print(len(truth), same(pieces('m/g/tasks', lambda: 61)), same(pieces('m/g/tasks', lambda: random.randint(1, 9999))),\n\
        \tsame(pieces('m/g/tasks', lambda: 16 << 20)), pieces('m/g/cgroup.procs', lambda: 2) == b'%d\\n' % pid)\n\
        shutil.copyfile('m/g/tasks', 'out'); print(same(open('out', 'rb').read()), os.stat('m/g/tasks').st_size >= os.stat('out').st_size)\n\
        f = os.open('m/g/tasks', os.O_RDONLY); w = os.pread(f, 1 << 20, 0); print(os.pread(f, 50, 1234) == w[1234:1284], os.pread(f, 50, 1 << 20))"
    );
    views.shell("sh", "for t in $(cat m/g/cgroup.procs); do kill -9 $t; done");
    let _ = wait(many);
    assert_eq!(seen, "10000 True True True True\nTrue True\nTrue b''");
}

#[test]
fn size_is_read_again_after_the_list_has_grown() {
    if !possible() {
        return;
    }
    let mut views = Views::start(HostKind::Trace);
    views.mount("none,name=grown", "m");
    // the kernel gets a small size first; then the list grows past it
    let seen = views.python(
        "import subprocess, shutil; os.mkdir('m/g'); shutil.copyfile('m/g/tasks', 'out'); print(os.stat('m/g/tasks').st_size)\n\
        c = subprocess.Popen(['/usr/bin/python3', '-c', '''import threading, time\n\
        [threading.Thread(target=time.sleep, args=(60,), daemon=True).start() for _ in range(1500)]\n\
        print('ready', flush=True); time.sleep(60)'''], stdout=subprocess.PIPE,\n\
        \tpreexec_fn=lambda: open('m/g/cgroup.procs', 'w').write('0')); c.stdout.readline()\n\
        shutil.copyfile('m/g/tasks', 'out')\n\
        print(len(open('out').readlines())); c.kill(); c.wait()",
    );
    assert_eq!(seen, "4096\n1501");
}

/// Measured in Linux: a process that has the file open may truncate it, whatever its owner. This clears set-user-ID.
fn truncation_clears_set_user_id_for_any_writer(host: HostKind) {
    if !possible() {
        return;
    }
    let mut views = Views::start(host);
    views.mount("none,name=truncate", "m");
    let seen = views.python(
        "p = 'm/notify_on_release'; f = os.open(p, os.O_RDWR)\n\
        for mode in (0o6755, 0o4644, 0o755):\n\
        \tos.chmod(p, mode)\n\
        \tif os.fork() == 0:\n\
        \t\tos.setgroups([]); os.setgid(65534); os.setuid(65534)\n\
        \t\tprint(name(os.ftruncate, f, 5), oct(os.fstat(f).st_mode & 0o7777), name(os.fchmod, f, 0o644), flush=True); os._exit(0)\n\
        \tos.wait()",
    );
    assert_eq!(seen, "OK 0o755 EPERM\nOK 0o644 EPERM\nOK 0o755 EPERM");
}

fn file_of_a_cgroup_removed_in_any_view_is_dead(host: HostKind) {
    if !possible() {
        return;
    }
    let mut views = Views::start(host);
    views.mount("none,name=dead", "one");
    views.mount("name=dead", "two");
    // the kernel learns some time later that the name in the other view is gone
    let seen = views.python(
        "os.mkdir('one/g'); f = os.open('two/g/tasks', os.O_RDWR); os.read(f, 9); os.rmdir('one/g')\n\
        print(name(os.read, f, 9), name(os.write, f, b'0'), name(os.pread, f, 9, 0), name(os.ftruncate, f, 0) in ('OK', 'ENODEV'))\n\
        os.mkdir('one/g'); import time\n\
        for patience in range(1000):\n\
        \ttry: f = os.open('two/g/tasks', os.O_RDONLY); break\n\
        \texcept FileNotFoundError: time.sleep(0.02)\n\
        os.lseek(f, 1, 0); os.read(f, 9); os.rmdir('one/g')\n\
        print(name(os.read, f, 9), name(os.pread, f, 9, 1))",
    );
    assert_eq!(seen, "ENODEV ENODEV ENODEV True\nENODEV ENODEV");
}
