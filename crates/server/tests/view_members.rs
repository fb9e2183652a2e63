//! Moves of processes and threads through the file view, and the right to them.

mod views;

use views::{HostKind, Views, on_each_host, possible};

on_each_host! {
    zero_is_the_thread_that_writes,
    modes_owners_and_groups_decide_as_for_every_file,
    opener_decides_and_writer_moves,
}

/// Through the file view and through the socket's way: the root lists the reader, so its css_set is that of the roots.
#[test]
fn outside_reader_has_the_css_set_of_all_roots() {
    if !possible() {
        return;
    }
    let mut views = Views::start(HostKind::Trace);
    views.mount("debug,name=debug", "m");
    let outside = "grep -cx $$ m/tasks; mkdir m/g; read a < m/g/debug.current_css_set; \
        read b < m/debug.current_css_set; test $a = $b && echo same; cat m/g/debug.current_css_set_cg_links; \
        test $(cat m/debug.current_css_set_refcount) -ge 1 && echo counted; \
        sh -c 'echo 0 > m/g/tasks; cat m/g/debug.current_css_set_cg_links; read c < m/g/debug.current_css_set; \
        test $c != $0 && echo moved' $a";
    let shown = "1\nsame\nRoot 0 group ?\nRoot 1 group /\ncounted\nRoot 0 group ?\nRoot 1 group g\nmoved";
    assert_eq!(views.shell("sh", outside), shown);
    let root = views.root_of("debug");
    let file = views.service.with_exact(move |engine, _| engine.find_file(root, "debug.current_css_set"));
    let file = file.expect("it runs").expect("it is there");
    let text =
        views.service.read(&penfold_server::client::Client::own(), root, file).expect("it can be read");
    assert_eq!(
        String::from_utf8(text).expect("a number").trim(),
        views.shell("sh", "cat m/debug.current_css_set")
    );
}

#[test]
fn shell_moves_itself_and_its_children_follow() {
    if !possible() {
        return;
    }
    let mut views = Views::start(HostKind::Trace);
    views.mount("pids,name=self", "m");
    for shell in ["dash", "bash"] {
        for file in ["tasks", "cgroup.procs"] {
            for who in ["$$", "0"] {
                let script = format!(
                    "mkdir m/g; echo {who} > m/g/{file}; grep -cx $$ m/g/tasks; cat m/g/pids.current; \
                     sh -c 'grep -cx $$ m/g/cgroup.procs'; echo $$ > m/tasks; cat m/g/tasks; rmdir m/g"
                );
                // 2 tasks: the shell, and the cat that reads
                assert_eq!(views.shell(shell, &script), "1\n2\n1", "{shell}: echo {who} > {file}");
            }
        }
    }
}

fn zero_is_the_thread_that_writes(host: HostKind) {
    if !possible() {
        return;
    }
    let mut views = Views::start(host);
    views.mount("none,name=thread", "m");
    let seen = views.python(
        "os.mkdir('m/g'); os.mkdir('m/h'); done = threading.Event(); moved = threading.Event(); tid = []\n\
        def run():\n\
        \ttid.append(threading.get_native_id()); open('m/g/tasks', 'w').write('0'); moved.set(); done.wait()\n\
        t = threading.Thread(target=run); t.start(); moved.wait(); me = os.getpid()\n\
        def text(f): return open(f).read().split()\n\
        print(text('m/g/tasks') == [str(tid[0])], text('m/g/cgroup.procs') == [str(me)], str(me) in text('m/tasks'))\n\
        open('m/h/cgroup.procs', 'w').write(str(tid[0])); print(text('m/h/tasks') == [str(me), str(tid[0])], text('m/g/tasks'))\n\
        done.set(); t.join(); print(text('m/h/tasks') == [str(me)])\n\
        f = os.open('m/h/tasks', os.O_WRONLY); print([name(os.write, f, b) for b in [b'abc', b'-1', b'2', b'99999999', b' +0 \\n', b'0x0', b'1 2', b'']])",
    );
    assert_eq!(
        seen,
        "True True True\nTrue []\nTrue\n['EINVAL', 'EINVAL', 'EINVAL', 'ESRCH', 5, 3, 'EINVAL', 0]"
    );
}

fn modes_owners_and_groups_decide_as_for_every_file(host: HostKind) {
    if !possible() {
        return;
    }
    let mut views = Views::start(host);
    views.mount("none,name=modes", "m");
    let seen = views.python(
        "os.mkdir('m/g'); os.chmod('m/g', 0o755); os.mkdir('m/w'); os.chmod('m/w', 0o777); os.mkdir('m/s'); os.chown('m/s', 0, 4321); os.chmod('m/s', 0o775)\n\
        os.mkdir('m/w/roots'); os.chown('m/s/tasks', 0, 4321); os.chmod('m/s/tasks', 0o664); os.mkdir('m/t'); os.chmod('m/t', 0o1777); os.mkdir('m/t/roots')\n\
        def as_user(uid, groups, f):\n\
        \tr, w = os.pipe(); pid = os.fork()\n\
        \tif pid == 0:\n\
        \t\tos.setgroups(groups); os.setresgid(uid, uid, uid); os.setresuid(uid, uid, uid)\n\
        \t\ttry: out = ' '.join(str(x) for x in f())\n\
        \t\texcept BaseException as e: out = repr(e)\n\
        \t\tos.write(w, out.encode()); os._exit(0)\n\
        \tos.close(w); out = os.read(r, 9999).decode(); os.waitpid(pid, 0); return out\n\
        O = lambda p, f=os.O_WRONLY: 'OK' if isinstance(name(os.open, p, f), int) or name(os.open, p, f) == 0 else name(os.open, p, f)\n\
        T = lambda p, b: name(lambda: os.write(os.open(p, os.O_WRONLY), b))\n\
        C = os.O_CREAT | os.O_WRONLY\n\
        print(as_user(65534, [], lambda: [name(os.mkdir, 'm/g/x'), name(os.mkdir, 'm/w/x'), oct(os.stat('m/w/x').st_mode), os.stat('m/w/x').st_uid, os.stat('m/w/x/tasks').st_gid,\n\
        \tO('m/w/n', C), O('m/g/n', C), name(os.unlink, 'm/w/tasks'), name(os.unlink, 'm/g/tasks'), name(os.symlink, 'a', 'm/g/n'), name(os.symlink, 'a', 'm/w/n'),\n\
        \tname(os.mkfifo, 'm/w/n'), name(os.mkdir, 'm/g'), name(os.rmdir, 'm/w/roots'), name(os.rename, 'm/g', 'm/h'), O('m/g/tasks'), T('m/w/x/tasks', b'0')]))\n\
        print(as_user(65534, [], lambda: [T('m/w/x/tasks', b'1'), T('m/w/x/tasks', b'99999999'), T('m/w/x/cgroup.procs', str(os.getpid()).encode()), T('m/w/x/tasks', b'2'),\n\
        \tname(os.chmod, 'm/w/x', 0o700), name(os.chown, 'm/w/x', 0, 0), name(os.chmod, 'm/g', 0o777), name(os.rmdir, 'm/t/roots'), name(os.rmdir, 'm/w/x')]))\n\
        print(as_user(65533, [], lambda: [name(os.mkdir, 'm/s/a'), O('m/s/tasks')]), as_user(65533, [4321, 17], lambda: [name(os.mkdir, 'm/s/a'), T('m/s/tasks', b'0'), name(os.rmdir, 'm/s/a'), T('m/s/cgroup.procs', b'0')]))",
    );
    let expected = "EACCES OK 0o40755 65534 65534 EACCES EACCES EPERM EACCES EACCES EPERM EPERM EEXIST OK EACCES EACCES EACCES\n\
        EACCES ESRCH EACCES EINVAL OK EPERM EPERM EPERM EBUSY\nEACCES EACCES OK 1 OK EACCES";
    // a process may move itself if it may write the file: 1 is the byte written
    let expected = expected.replacen("EACCES EACCES EACCES\n", "EACCES EACCES 1\n", 1);
    let expected = expected.replacen("ESRCH EACCES EINVAL", "ESRCH 5 EINVAL", 1);
    let digits = |text: &str| {
        let words =
            text.split(' ').map(|word| if word.parse::<u32>().is_ok_and(|n| n < 10) { "N" } else { word });
        words.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(digits(&seen), digits(&expected));
}

fn opener_decides_and_writer_moves(host: HostKind) {
    if !possible() {
        return;
    }
    let mut views = Views::start(host);
    views.mount("none,name=opener", "m");
    let seen = views.python(
        "os.mkdir('m/g'); os.mkdir('m/h'); os.chmod('m/h/tasks', 0o666)\n\
        def child(f):\n\
        \tr, w = os.pipe(); pid = os.fork()\n\
        \tif pid == 0: os.write(w, str(f()).encode()); os._exit(0)\n\
        \tos.close(w); out = os.read(r, 999).decode(); os.waitpid(pid, 0); return out\n\
        def user(uid): os.setresgid(uid, uid, uid); os.setresuid(uid, uid, uid)\n\
        opened = os.open('m/g/tasks', os.O_WRONLY)\n\
        def by_other(): user(1000); r = name(os.write, opened, b'0'); return r, str(os.getpid()) in open('m/g/tasks').read().split()\n\
        print('opened by root, written by a user:', child(by_other))\n\
        def opened_by_user():\n\
        \tos.seteuid(1000); f = os.open('m/h/tasks', os.O_WRONLY); os.seteuid(0); return name(os.write, f, b'0'), name(os.write, f, str(os.getppid()).encode())\n\
        print('opened by a user, written by root:', child(opened_by_user))\n\
        def saved(): os.setresuid(1000, 1001, 1000); f = os.open('m/h/tasks', os.O_WRONLY); return name(os.write, f, b'0')\n\
        print('euid of neither:', child(saved))",
    );
    let expected = "opened by root, written by a user: (1, True)\n\
        opened by a user, written by root: ('EACCES', 'EACCES')\neuid of neither: EACCES";
    assert_eq!(seen, expected);
}

#[test]
fn limits_hold_for_a_process_that_moves_in() {
    if !possible() {
        return;
    }
    let mut views = Views::start(HostKind::Trace);
    views.mount("pids", "m");
    let seen = views.python(
        "os.mkdir('m/g')\n\
        def put(path, text):\n\
        \twith open(path, 'w') as f: f.write(text)\n\
        def fork():\n\
        \tpid = os.fork()\n\
        \tif pid == 0: os._exit(0)\n\
        \tos.waitpid(pid, 0); return 'made'\n\
        put('m/g/pids.max', '2'); put('m/g/cgroup.procs', '0')\n\
        print('below the limit:', name(fork))\n\
        r, w = os.pipe(); child = os.fork()\n\
        if child == 0: os.read(r, 1); os._exit(0)\n\
        print('at the limit:', name(fork), open('m/g/pids.current').read().strip())\n\
        os.write(w, b'x'); os.waitpid(child, 0); put('m/g/pids.max', '0')\n\
        print('limit 0:', name(fork)); put('m/cgroup.procs', '0')\n\
        print('moved out:', name(fork), open('m/g/pids.current').read().strip())\n\
        print(open('m/g/pids.events').read().strip())",
    );
    let expected = "below the limit: made\nat the limit: EAGAIN 2\nlimit 0: EAGAIN\nmoved out: made 0\nmax 2";
    assert_eq!(seen, expected);
}
