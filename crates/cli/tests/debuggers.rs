//! Programs that trace, inside and around penfold: a clear message and an exit status, never a hang.

mod common;

use common::{FinishedRun, PENFOLD, TestRun, penfold, plain, users};
use penfold_testkit::{CProgram, is_root, needs, skip, wait_until};

/// The limit of every run here, which must end well before.
const SECONDS: u64 = 30;

const INSIDE: &str = "asked to trace a process and was refused (EPERM): debuggers, strace and LeakSanitizer don't work inside a traced job";

#[track_caller]
fn says(ended: &FinishedRun, words: &str) {
    assert!(ended.stderr.contains(words), "{words:?} in {}", ended.stderr);
}

#[test]
fn strace_inside_is_refused_clearly() {
    needs!("strace", "setpriv");
    for user in users() {
        let ended = penfold(&[], &["strace", "true"]).user(user).limit(SECONDS).run().clean();
        assert_eq!(ended.code(), 1, "strace's own");
        says(&ended, "penfold: strace (pid ");
        says(&ended, INSIDE);
        let notices = ended.json()["notices"].as_array().unwrap().clone();
        assert!(notices.iter().any(|notice| notice.as_str().unwrap().contains(INSIDE)), "{notices:?}");
    }
}

#[test]
fn gdb_inside_is_refused_clearly() {
    needs!("gdb", "setpriv");
    for user in users() {
        let words = ["gdb", "-nx", "-batch", "-ex", "run", "--args", "true"];
        let ended = penfold(&[], &words).user(user).limit(SECONDS).run().clean();
        says(&ended, "penfold: gdb (pid ");
        says(&ended, INSIDE);
        says(&ended, "Could not trace the inferior process");
        assert_ne!(ended.code(), 0);
    }
}

#[test]
fn leak_sanitizer_inside_is_refused_clearly() {
    needs!("cc");
    let source = r#"int main(void) { CHECK(write(1, "ran\n", 4) == 4); return 0; }"#;
    for kind in ["leak", "address"] {
        let Ok(program) = CProgram::try_compile(source, &[&format!("-fsanitize={kind}")]) else {
            return skip("the compiler has no LeakSanitizer");
        };
        let ended = penfold(&["pids.max=10"], &[program.path()]).limit(SECONDS).run().clean();
        assert_eq!(ended.stdout, "ran\n");
        says(&ended, INSIDE);
        says(&ended, "LeakSanitizer does not work under ptrace");
        // all other checks work
        let quiet = ["ASAN_OPTIONS", "LSAN_OPTIONS"];
        let run =
            quiet.iter().fold(penfold(&[], &[program.path()]), |run, name| run.env(name, "detect_leaks=0"));
        let ended = run.limit(SECONDS).run().succeeded();
        assert!(!ended.stderr.contains("refused"), "{}", ended.stderr);
    }
}

#[test]
fn nested_run_without_penfold_job_is_refused_clearly() {
    needs!("setpriv", "env");
    for user in users() {
        let inner =
            penfold(&[], &["env", "-u", "PENFOLD_JOB", PENFOLD, "run", "--", "echo", "ran"]).user(user);
        let ended = inner.limit(SECONDS).run().clean();
        assert_eq!((ended.code(), ended.stdout.as_str()), (125, ""));
        says(&ended, "penfold: echo: would run in a job of penfold (the tracer is pid ");
        says(&ended, "PENFOLD_JOB is not in the environment");
    }
}

#[test]
fn nested_run_works_in_another_pid_namespace() {
    needs!("unshare");
    if !is_root() {
        return skip("a pid namespace needs root");
    }
    let words = ["unshare", "--fork", "--pid", "--mount-proc", PENFOLD, "run", "-q", "--", "echo", "ran"];
    let ended = penfold(&[], &words).limit(SECONDS).run().succeeded();
    assert_eq!(ended.stdout, "ran\n");
}

#[test]
fn penfold_under_strace_is_refused_clearly() {
    needs!("strace", "setpriv");
    for user in users() {
        let run = plain(&["run", "--", "echo", "ran"]).under(["strace", "-f", "-o", "/dev/null"]);
        let ended = run.user(user).limit(SECONDS).run().clean();
        assert_eq!((ended.code(), ended.stdout.as_str()), (125, ""));
        says(&ended, "penfold: echo: traced by strace (pid ");
        says(&ended, ") already; run penfold outside of it [EPERM]\n");
    }
}

#[test]
fn penfold_under_strace_that_does_not_follow_works() {
    needs!("strace");
    let run = plain(&["run", "--", "sh", "-c", "exit 3"]).under(["strace", "-o", "/dev/null"]);
    assert_eq!(run.limit(SECONDS).run().clean().code(), 3);
}

/// Runs penfold under gdb, which takes seconds alone to read the symbols of a debug build.
fn under_gdb(settings: &[&str]) -> FinishedRun {
    let words = ["gdb", "-nx", "-batch"].iter().chain(settings).chain(&["-ex", "run", "--args"]);
    plain(&["run", "--", "sh", "-c", "echo ran; exit 3"]).under(words.copied()).limit(60).run().clean()
}

#[test]
fn penfold_under_gdb_works_or_is_refused_clearly() {
    needs!("gdb");
    // gdb detaches from children, so the command can be traced
    let ended = under_gdb(&[]);
    assert!(ended.stdout.contains("ran\n") && ended.stdout.contains("exited with code 03"), "{ended:#?}");
    // gdb stays attached to children
    let ended = under_gdb(&["-ex", "set detach-on-fork off"]);
    assert!(!ended.stdout.contains("ran\n") && ended.stdout.contains("exited with code 0175"), "{ended:#?}");
    says(&ended, "penfold: sh: traced by gdb (pid ");
    // gdb follows the child and detaches from penfold
    let ended = under_gdb(&["-ex", "set follow-fork-mode child"]);
    assert!(!ended.stdout.contains("ran\n"), "{ended:#?}");
    says(&ended, "penfold: sh: traced by gdb (pid ");
}

#[test]
fn running_job_can_not_be_debugged_from_outside() {
    needs!("strace");
    let job = plain(&["run", "-q", "--", "sleep", "5"]).start();
    // a process that has executed its program is seized
    let mut target = None;
    let is_sleep =
        |pid: &_| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm == "sleep\n");
    wait_until("it runs", || {
        target = job.processes().into_iter().find(is_sleep);
        target.is_some()
    });
    let target = target.expect("it runs").to_string();
    let ended = TestRun::new(["strace", "-p", &target]).limit(SECONDS).run();
    assert_ne!(ended.code(), 0);
    assert!(ended.stderr.contains("Operation not permitted"), "{}", ended.stderr);
}
