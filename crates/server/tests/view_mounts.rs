//! Several views at once: mounting, unmounting, and the coherence between them.

mod views;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use penfold_core::control_file::FileId;
use penfold_linux::fuse_mount::{Unmounting, unmount};
use penfold_server::mounts::Filesystem;
use penfold_server::view::{self, ViewContent};
use penfold_testkit::wait_until;
use views::{HostKind, Views, mount_device, nlink, on_each_host, possible, root};

on_each_host! {
    change_in_one_view_is_seen_in_the_other,
    lookup_during_a_change_leaves_nothing_stale_cached,
    unmount_ends_a_view_and_the_last_one_the_hierarchy,
    mount_point_may_vanish,
    remount_changes_the_files_of_every_view,
    proc_view_shows_the_cgroups_of_processes,
    only_the_kernels_device_is_served,
    stopped_or_killed_client_disturbs_no_other,
}

fn change_in_one_view_is_seen_in_the_other(host: HostKind) {
    if !possible() {
        return;
    }
    let mut views = Views::start(host);
    views.mount("none,name=coherent", "one");
    views.mount("name=coherent", "two");
    let seen = |path: &str| Path::new(&views.place.join(path)).exists();
    assert!(!seen("two/g"), "and the kernel may remember that");
    fs::create_dir(views.place.join("one/g")).expect("root may");
    assert!(seen("two/g"), "made in one, there at once in two");
    wait_until("its parent has one more link", || nlink(&views.place.join("two")) == 3);
    fs::create_dir(views.place.join("two/g/in")).expect("root may");
    wait_until("links count in one, too", || nlink(&views.place.join("one/g")) == 3);
    fs::rename(views.place.join("one/g"), views.place.join("one/h")).expect("a new name");
    wait_until("renamed in one, renamed in two", || seen("two/h/in") && !seen("two/g"));
    std::os::unix::fs::chown(views.place.join("two/h/tasks"), Some(7), Some(8)).expect("root may");
    let owner = || {
        std::os::unix::fs::MetadataExt::uid(&fs::metadata(views.place.join("one/h/tasks")).expect("there"))
    };
    wait_until("owners, too", || owner() == 7);
    fs::remove_dir(views.place.join("two/h/in")).expect("it is empty");
    wait_until("removed in two, gone in one", || !seen("one/h/in"));
    // changes by the other front end
    let hierarchy = views.root_of("coherent");
    let made = views.service.mkdir(&root(), None, hierarchy, b"socket", 0o755).expect("root may");
    assert!(seen("one/socket/tasks") && seen("two/socket"));
    views
        .service
        .set_owner(&root(), None, made, Some(FileId::Tasks), |old| penfold_core::Owner { mode: 0o600, ..old })
        .expect("root may");
    let mode = || {
        std::os::unix::fs::MetadataExt::mode(
            &fs::metadata(views.place.join("one/socket/tasks")).expect("there"),
        )
    };
    wait_until("mode", || mode() & 0o777 == 0o600);
    views.service.rmdir(&root(), None, made).expect("it is empty");
    wait_until("removed by the socket, gone in both", || !seen("one/socket") && !seen("two/socket"));
}

/// The view reports to the kernel only changes of nodes that the kernel may have cached. A lookup may be in progress at
/// the moment of a change.
fn lookup_during_a_change_leaves_nothing_stale_cached(host: HostKind) {
    const ROUNDS: usize = 5_000;
    if !possible() {
        return;
    }
    let mut views = Views::start(host);
    views.mount("none,name=looked-up", "one");
    let (hierarchy, place) = (views.root_of("looked-up"), views.place.join("one"));
    let top = views.service.mkdir(&root(), None, hierarchy, b"top", 0o755).expect("root may");
    let (top_seen, child_seen) = (place.join("top"), place.join("top/child"));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        // one thread looks the name up, the other reads the number of links
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let _ = fs::metadata(&child_seen);
            }
        });
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let _ = fs::metadata(&top_seen);
            }
        });
        let over = Finally(&over);
        for round in 0..ROUNDS {
            let child = views.service.mkdir(&root(), None, top, b"child", 0o755).expect("root may");
            if round % 16 == 0 {
                wait_until("made, and counted", || child_seen.exists() && nlink(&top_seen) == 3);
            }
            // a lookup takes some ten microseconds: in each round the change falls into another part of it
            let until = Instant::now() + Duration::from_micros((round % 61) as u64);
            while Instant::now() < until {}
            views.service.rmdir(&root(), None, child).expect("it is empty");
            wait_until("removed, and not counted", || !child_seen.exists() && nlink(&top_seen) == 2);
        }
        drop(over);
    });
}

/// Ends the threads that look, also when an assertion fails.
struct Finally<'a>(&'a AtomicBool);

impl Drop for Finally<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn unmount_ends_a_view_and_the_last_one_the_hierarchy(host: HostKind) {
    if !possible() {
        return;
    }
    let mut views = Views::start(host);
    let (one, handle_one) = views.mount("none,name=umount", "one");
    let (_, handle_two) = views.mount("name=umount", "two");
    let (_, other) = views.mount("pids", "three");
    assert_eq!(views.mounts("umount"), 2);
    let busy = views.run(&["sh", "-c", "exec 3< one/tasks; umount one"]);
    assert!(!busy.status.success() && String::from_utf8_lossy(&busy.stderr).contains("busy"), "{busy:?}");
    assert!(!handle_one.has_ended());
    assert_eq!(views.shell("sh", "umount one"), "");
    handle_one.join();
    assert_eq!(views.mounts("umount"), 1);
    assert_eq!(fs::read_dir(&one).expect("the directory below").count(), 0);
    assert_eq!(views.shell("sh", "mkdir two/a && rmdir two/a && umount two"), "");
    handle_two.join();
    assert_eq!(views.mounts("umount"), 0);
    assert!(!other.has_ended());
    // as in Linux, children keep a hierarchy without mounts
    assert_eq!(views.shell("sh", "mkdir three/a && umount three"), "");
    other.join();
    let lives =
        views.service.with_exact(|engine, _| engine.find_hierarchy("pids").is_some()).expect("the host runs");
    assert!(lives);
    views.mount("pids", "three");
    assert_eq!(views.shell("sh", "ls -d three/a && rmdir three/a && umount three"), "three/a");
    wait_until("it is gone", || {
        !views.service.with_exact(|engine, _| engine.find_hierarchy("pids").is_some()).expect("runs")
    });
}

fn mount_point_may_vanish(host: HostKind) {
    if !possible() {
        return;
    }
    let mut views = Views::start(host);
    let (path, handle) = views.mount("none,name=vanish", "m");
    let seen = views.python(
        "import subprocess; os.mkdir('m/g'); f = os.open('m/g/notify_on_release', os.O_RDWR)\n\
        subprocess.check_call(['umount', '-l', 'm']); os.rmdir('m')\n\
        print(os.path.exists('m'), os.read(f, 9), os.write(f, b'1'), os.pread(f, 9, 0))",
    );
    assert_eq!(seen, "False b'0\\n' 1 b'1\\n'");
    handle.join();
    assert!(!path.exists());
    let (_, again) = views.mount("name=vanish", "again");
    assert_eq!(views.shell("sh", "cat again/g/notify_on_release; rmdir again/g; umount again"), "1");
    again.join();
}

#[test]
fn legacy_cpuset_file_system_has_bare_names() {
    if !possible() {
        return;
    }
    let mut views = Views::start(HostKind::Trace);
    views.mount_as("", Filesystem::Cpuset, "dev");
    let seen = views.shell(
        "bash",
        "cd dev && ls | tr '\\n' ' '; cat release_agent; mkdir one && echo 0 > one/cpus && echo 0 > one/mems && cat one/cpus && \
         echo $$ > one/tasks && taskset -pc $$ | sed 's/.*: //' && echo $$ > tasks && rmdir one",
    );
    let expected = "cgroup.clone_children cgroup.procs cgroup.sane_behavior cpu_exclusive cpus effective_cpus effective_mems \
        mem_exclusive mem_hardwall memory_migrate memory_pressure memory_pressure_enabled memory_spread_page memory_spread_slab mems \
        notify_on_release release_agent sched_load_balance sched_relax_domain_level tasks /sbin/cpuset_release_agent\n0\n0";
    assert_eq!(seen, expected);
}

fn remount_changes_the_files_of_every_view(host: HostKind) {
    if !possible() {
        return;
    }
    let mut views = Views::start(host);
    views.mount("cpuacct,name=remount", "m");
    assert_eq!(views.shell("sh", "ls m | grep -c cpuacct; cat m/cpuacct.usage > /dev/null"), "8");
    let hierarchy = views.root_of("remount");
    views.service.remount(&root(), hierarchy, "net_cls,name=remount").expect("it has no children");
    wait_until("the files of cpuacct have gone", || !views.place.join("m/cpuacct.usage").exists());
    let script = "ls m | grep -c cpuacct; cat m/net_cls.classid; ls m | grep -c net_cls";
    assert_eq!(views.shell("sh", script), "0\n0\n1");
}

fn proc_view_shows_the_cgroups_of_processes(host: HostKind) {
    if !possible() {
        return;
    }
    let mut views = Views::start(host);
    views.mount("pids,name=proc", "m");
    views.mount("cpuset", "c");
    let (_, handle) = views.serve(ViewContent::Proc, "proc");
    let seen = views.shell(
        "bash",
        "mkdir m/g c/one; echo 0-1 > c/one/cpuset.cpus 2>/dev/null || echo 0 > c/one/cpuset.cpus; echo 0 > c/one/cpuset.mems; \
         cat proc/self/cgroup proc/self/cpuset; echo $$ > m/g/tasks; echo $$ > c/one/tasks; cat proc/$$/cgroup proc/$$/cpuset; \
         ls proc | grep -cx $$; ls proc/$$ | tr '\\n' ' '; grep -w pids proc/cgroups | cut -f 1,3,4; cat proc/99999999/cgroup 2>&1 | grep -o No.*; \
         stat -c '%A' proc/self/cgroup proc proc/$$; test $(readlink proc/self) != $$ && echo cat; echo $$ > m/tasks; echo $$ > c/tasks",
    );
    let expected = "2:cpuset:/\n1:pids,name=proc:/\n/\n2:cpuset:/one\n1:pids,name=proc:/g\n/one\n1\ncgroup cpuset pids\t2\t1\n\
        No such file or directory\n-r--r--r--\ndr-xr-xr-x\ndr-xr-xr-x\ncat";
    assert_eq!(seen, expected);
    assert_eq!(views.shell("sh", "umount proc"), "");
    handle.join();
}

fn only_the_kernels_device_is_served(host: HostKind) {
    if !possible() {
        return;
    }
    let mut views = Views::start(host);
    let hierarchy =
        views.service.mount(&root(), "none,name=device", Filesystem::Cgroup).expect("it mounts").root;
    let shown = ViewContent::Hierarchy { root: hierarchy };
    let (forged, _peer) = std::os::unix::net::UnixStream::pair().expect("a pair");
    let refused = view::serve(&views.service, forged.into(), shown, &root())
        .expect_err("anybody could be at the other end");
    assert_eq!(refused.errno, nix::errno::Errno::EINVAL);
    let null = fs::File::options().read(true).write(true).open("/dev/null").expect("it is there");
    assert!(view::serve(&views.service, null.into(), shown, &root()).is_err());
    let unmounted = fs::File::options().read(true).write(true).open("/dev/fuse").expect("it is there");
    let refused = view::serve(&views.service, unmounted.into(), shown, &root()).expect_err("not mounted");
    assert_eq!(refused.errno, nix::errno::Errno::EPERM);
    assert_eq!(views.mounts("device"), 1, "still the caller's");
    let path = views.place.join("late");
    fs::create_dir(&path).expect("ours");
    let device = mount_device(&path);
    unmount(&path, Unmounting::default()).expect("nobody is there");
    assert!(view::serve(&views.service, device, shown, &root()).is_err(), "unmounted before it was served");
    views.mount("name=device", "m");
    assert_eq!(views.mounts("device"), 2);
}

fn stopped_or_killed_client_disturbs_no_other(host: HostKind) {
    if !possible() {
        return;
    }
    let mut views = Views::start(host);
    views.mount("none,name=clients", "m");
    let seen = views.python(
        "import subprocess, signal, random\n\
        os.mkdir('m/g')\n\
        script = '''import os\n\
        f = os.open(\"m/g/tasks\", os.O_RDWR)\n\
        n = 0\n\
        while True:\n\
        \tn += 1; d = \"m/d%d-%d\" % (os.getpid(), n); os.mkdir(d); os.pread(f, 100, 0); open(d + \"/notify_on_release\", \"w\").write(\"1\"); os.listdir(d); os.rmdir(d)'''\n\
        kids = [subprocess.Popen(['/usr/bin/python3', '-c', script]) for _ in range(8)]\n\
        time.sleep(0.5)\n\
        for k in kids[:4]: k.send_signal(signal.SIGSTOP)\n\
        slowest = 0\n\
        for i in range(300):\n\
        \tb = time.time(); os.mkdir('m/x'); open('m/x/tasks').read(); os.rmdir('m/x'); slowest = max(slowest, time.time() - b)\n\
        \tif i % 30 == 29 and len(kids) > 4:\n\
        \t\tkids.pop().kill(); kids.insert(0, subprocess.Popen(['/usr/bin/python3', '-c', script]))\n\
        for k in kids: k.kill(); k.wait()\n\
        print(slowest < 5, all(name(os.rmdir, 'm/' + d) == 'OK' for d in os.listdir('m') if d.startswith('d')), os.stat('m').st_nlink)",
    );
    assert_eq!(seen, "True True 3");
}
