//! A command of `penfold exec` is like a child of its caller: it has nothing of the daemon that the caller has not.
#![cfg(target_arch = "x86_64")] // the probe makes system calls by their numbers

mod common;

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use common::{AS_NOBODY, KernelGroup, PENFOLD, PYTHON, TestRun, for_everybody};
use penfold_testkit::{TempDir, is_root, needs, skip, wait_until};

/// Prints everything that fork(2) and execve(2) pass on, and a key in the session keyring.
const PROBE: &str = r#"
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
text = lambda name: open("/proc/self/" + name).read().strip()
status = dict(line.split(":", 1) for line in text("status").splitlines())
print("nice", os.getpriority(os.PRIO_PROCESS, 0), "policy", os.sched_getscheduler(0))
print("io", libc.syscall(252, 1, 0), "cpus", sorted(os.sched_getaffinity(0)))
print("oom", text("oom_score_adj"), "slack", text("timerslack_ns"), "personality", text("personality"))
print("core", text("coredump_filter"), "pages", status["THP_enabled"].strip())
print("signals", status["SigIgn"].strip(), status["SigBlk"].strip(), "bounding", status["CapBnd"].strip())
print("key", libc.syscall(250, 10, -3, b"user", b"penfold-test-key", 0) > 0)
print(text("cgroup"))
"#;

/// Puts this process into an odd state, with a key in a keyring of its own, and executes the other words.
const ODD: &str = r#"
import ctypes, os, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall(250, 1, None)
libc.syscall(248, b"user", b"penfold-test-key", b"secret", 6, -3)
for name, value in (("oom_score_adj", "300"), ("timerslack_ns", "77000"), ("coredump_filter", "0x7f")):
    open("/proc/self/" + name, "w").write(value)
libc.syscall(251, 1, 0, 3 << 13)
os.nice(7)
os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
libc.personality(0x0040000)
libc.prctl(41, 1, 0, 0, 0)
for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGQUIT):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2, signal.SIGALRM})
os.execvp(sys.argv[1], sys.argv[1:])
"#;

/// The output of the probe, directly or through `penfold exec`, as a user without rights. `place` are words that root
/// executes before, `state` words that the user does.
fn probe(place: &[&str], state: &[&str], through: bool, socket: &Path) -> String {
    let scratch = TempDir::open_to_all();
    let program = for_everybody(&scratch).display().to_string();
    let exec = [program.as_str(), "exec", "/a", "--"];
    let exec = if through { &exec[..] } else { &[] };
    let words = [place, &AS_NOBODY, state, exec, &[PYTHON, "-c", PROBE]].concat();
    TestRun::new(words).env("PENFOLD_SOCKET", socket).run().succeeded().stdout
}

/// The output without the dispositions of signals: those of a test's process are of no importance.
fn without_signals(text: &str) -> String {
    text.split_inclusive('\n').filter(|line| !line.starts_with("signals")).collect()
}

/// A daemon of root in an odd state, with a cgroup that everybody may use.
fn odd_daemon() -> (common::LiveRun, PathBuf) {
    let run = TestRun::new([PYTHON, "-c", ODD, PENFOLD, "serve", "--socket"]);
    let socket = run.scratch().join("control");
    let daemon = run.word(&socket).limit(120).start();
    wait_until("the daemon listens", || UnixStream::connect(&socket).is_ok());
    for words in [&["mount", "-o", "pids"][..], &["mkdir", "/a"], &["chown", "-a", "65534:65534", "/a"]] {
        let run = TestRun::new([PENFOLD].iter().chain(words).copied()).env("PENFOLD_SOCKET", &socket);
        run.run().succeeded();
    }
    (daemon, socket)
}

#[test]
fn command_is_like_a_child_of_its_caller() {
    needs!("setpriv");
    if !is_root() {
        return skip("takes root");
    }
    let (_daemon, socket) = odd_daemon();
    let own = probe(&[], &[], false, &socket);
    assert!(own.contains("key False"), "{own}");
    let through = probe(&[], &[], true, &socket);
    assert_eq!(without_signals(&through), without_signals(&own), "the daemon's state shows");
    // the probe's Python ignores SIGPIPE and SIGXFSZ
    assert!(through.contains("signals 0000000001001000 0000000000000000 "), "{through}");
    // a caller in an odd state of its own: all but the keyring and the signals are passed on
    let odd = [PYTHON, "-c", ODD];
    let own = probe(&[], &odd, false, &socket);
    let through = probe(&[], &odd, true, &socket);
    let kept = |text: &str| without_signals(text).replace("key True", "key False");
    assert_eq!(kept(&through), kept(&own));
    assert!(through.contains("signals 0000000001001000 0000000000000000 "), "{through}");
    assert!(own.contains("key True") && through.contains("key False"), "{through}");
}

#[test]
fn command_is_in_the_kernel_cgroups_of_its_caller() {
    needs!("setpriv");
    if !is_root() {
        return skip("takes root");
    }
    let Some(group) = KernelGroup::new("pids", "pids.max") else { return };
    let (_daemon, socket) = odd_daemon();
    let enter = group.enter();
    let enter: Vec<&str> = enter.iter().map(String::as_str).collect();
    let own = probe(&enter, &[], false, &socket);
    let through = probe(&enter, &[], true, &socket);
    assert_eq!(without_signals(&through), without_signals(&own));
    let elsewhere = probe(&[], &[], false, &socket);
    if elsewhere == own {
        skip("the kernel's cgroup is the same everywhere");
    }
}
