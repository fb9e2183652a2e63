//! `pids.current` never exceeds `pids.max`, at any time.

mod common;
mod contained;

use common::shell;
use contained::{EngineJob, read};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use penfold_core::Tid;
use penfold_linux::proc::threads_of;
use penfold_testkit::{CProgram, TempFile, proc, wait_until};
use std::time::{Duration, Instant};

const LIMIT: u64 = 15;

/// Reads the counter as often as possible for a second, and on a busy machine until it was read often. Then ends the
/// bomb. Each read is between two stops, with no fork under way.
fn watch_bomb<S: AsRef<str>>(argv: &[S]) {
    let job = EngineJob::start(&[("pids.max", "15")], argv);
    let (control, cgroup, main) = (job.control.clone(), job.cgroup, job.main);
    let observer = std::thread::spawn(move || {
        let (mut looks, mut full, mut most) = (0_u64, 0_u64, 0);
        let began = Instant::now();
        while let Ok((current, listed)) = control.with_exact(move |engine, host| {
            let current: u64 = read(engine, host, cgroup, "pids.current").parse().expect("a number");
            (current, read(engine, host, cgroup, "tasks").lines().count() as u64)
        }) {
            assert!(current <= LIMIT, "pids.current is {current} at look {looks}");
            assert!(listed <= LIMIT, "{listed} tasks are listed at look {looks}");
            assert_eq!(current, listed, "what is counted is what is there, at look {looks}");
            looks += 1;
            full += u64::from(current == LIMIT);
            most = most.max(current);
            let enough = looks > 100 && full > 0 && began.elapsed() > Duration::from_secs(1);
            if enough || began.elapsed() > Duration::from_secs(20) {
                let _ = kill(Pid::from_raw(main), Signal::SIGKILL);
            }
        }
        (looks, full, most)
    });
    let mut ended = job.finish();
    let (looks, full, most) = observer.join().expect("no look saw more than the limit");
    assert!(looks > 100 && full > 0 && most == LIMIT, "{looks} looks, {full} of them full, at most {most}");
    assert_eq!(ended.statistics.peak, LIMIT);
    assert!(ended.statistics.refused > 0);
    let (engine, host) = ended.parts();
    assert_eq!(read(engine, host, cgroup, "pids.current"), "0");
    assert_eq!(read(engine, host, cgroup, "pids.peak"), LIMIT.to_string());
}

#[test]
fn pids_current_never_exceeds_pids_max_in_a_shells_bomb() {
    let script = "f() { f | f & f | f & }; (f) 2>/dev/null & exec sleep 1000";
    watch_bomb(&shell(script));
    watch_bomb(&["bash", "-c", script]);
}

#[test]
fn pids_current_never_exceeds_pids_max_in_a_python_bomb() {
    let script = "
import os, time
if os.fork() == 0:
    while True:
        try: os.fork()
        except BlockingIOError: time.sleep(0.01)
time.sleep(1000)";
    watch_bomb(&["/usr/bin/python3", "-c", script]);
}

#[test]
fn pids_current_never_exceeds_pids_max_in_mixed_bombs() {
    // everything is born, dies and is killed at any moment
    let program = CProgram::compile(
        r"
        static void *thread(void *none) { if (fork() == 0) { usleep(300); _exit(0); } usleep(500); return none; }
        int main(void) {
            if (fork() == 0)
                for (;;) {
                    pid_t pid = fork(); pthread_t made;
                    if (pid > 0) usleep(200);
                    if (pid < 0) { CHECK(errno == EAGAIN); while (waitpid(-1, 0, WNOHANG) > 0) {} usleep(100); }
                    if (pid == 0 && rand() % 3 == 0) _exit(0);
                    if (pid > 0 && rand() % 3 == 0) kill(pid, SIGKILL);
                    if (pthread_create(&made, 0, thread, 0) == 0) pthread_detach(made);
                }
            sleep(1000);
            return 0;
        }",
    );
    watch_bomb(&[program.path()]);
}

#[test]
fn dead_threads_keep_no_place_from_others() {
    // they are zombies, and the tracer has not looked at one, when the next is asked for
    let program = CProgram::compile(
        r#"
        static volatile int end, ids[3];
        static void *wait_for_end(void *id) {
            *(int *)id = gettid();
            while (!end) usleep(100);
            return 0;
        }
        static int is_zombie(int task) {
            char path[64], text[200] = "";
            snprintf(path, 64, "/proc/self/task/%d/stat", task);
            FILE *file = fopen(path, "r");
            CHECK(file && fgets(text, 200, file));
            fclose(file);
            return strrchr(text, ')')[2] == 'Z';
        }
        int main(int count, char **arguments) {
            pthread_t threads[3];
            struct stat sign = {0};
            for (int i = 0; i < 3; i++) CHECK(pthread_create(&threads[i], 0, wait_for_end, (void *)&ids[i]) == 0);
            while (sign.st_size == 0) { usleep(100); CHECK(stat(arguments[1], &sign) == 0); }
            end = 1;
            for (int i = 0; i < 3; i++) { pthread_join(threads[i], 0); while (!is_zombie(ids[i])) {} }
            for (int i = 0; i < 3; i++) CHECK(pthread_create(&threads[i], 0, wait_for_end, (void *)&ids[i]) == 0);
            for (int i = 0; i < 3; i++) pthread_join(threads[i], 0);
            return 0;
        }"#,
    );
    let sign = TempFile::new();
    let job = EngineJob::start(&[("pids.max", "4")], &[program.path(), &sign.path().to_string_lossy()]);
    wait_until("all threads are there", || job.read("pids.current") == "4");
    // a thread is counted before its first stop, which the tracer could not end while the request below runs
    let runs = |task: &Tid| !matches!(proc::state(task.0), Some('t') | None);
    wait_until("all threads run", || threads_of(Tid(job.main)).is_some_and(|all| all.iter().all(runs)));
    let (main, path) = (job.main, sign.path().to_owned());
    let looked_away = job.control.with_exact(move |_, _| {
        std::fs::write(path, "end").expect("the threads are told to end");
        wait_until("the next is asked for", || proc::state(main) == Some('t'));
    });
    looked_away.expect("the job runs");
    let ended = job.finish();
    assert_eq!((ended.status, ended.statistics.created, ended.statistics.refused), (0, 7, 0));
}

#[test]
fn limit_may_be_changed_while_the_command_runs() {
    let program = CProgram::compile(
        r"
        int main(void) {
            int made = 0;
            for (;;) {
                pid_t pid = fork();
                if (pid == 0) { pause(); _exit(0); }
                if (pid > 0) made++;
                if (made == 7) break;
                usleep(1000);
            }
            return 0;
        }",
    );
    let job = EngineJob::start(&[("pids.max", "3")], &[program.path()]);
    wait_until("the job is full", || job.read("pids.current") == "3");
    job.write("pids.max", "2");
    std::thread::sleep(std::time::Duration::from_millis(30));
    assert_eq!(job.read("pids.current"), "3", "nobody is harmed, nobody is let in");
    job.write("pids.max", "8");
    let ended = job.finish();
    assert_eq!((ended.status, ended.statistics.created), (0, 8));
}

#[test]
fn requests_at_a_high_rate_lose_and_refuse_no_fork() {
    let program = CProgram::compile(
        r"
        int main(void) {
            for (int worker = 0; worker < 3; worker++) if (fork() == 0) {
                for (int i = 0; i < 700; i++) {
                    pid_t pid = i % 2 ? fork() : vfork();
                    if (pid == 0) _exit(0);
                    CHECK(pid > 0 && waitpid(pid, 0, 0) == pid);
                }
                _exit(0);
            }
            int status;
            while (wait(&status) > 0) CHECK(status == 0);
            return 0;
        }",
    );
    let job = EngineJob::start(&[("pids.max", "7")], &[program.path()]);
    let (control, cgroup) = (job.control.clone(), job.cgroup);
    let observer = std::thread::spawn(move || {
        let mut looks = 0_u64;
        while control.with_exact(move |engine, host| read(engine, host, cgroup, "pids.current")).is_ok() {
            looks += 1;
        }
        looks
    });
    let ended = job.finish();
    assert_eq!((ended.status, ended.statistics.created, ended.statistics.refused), (0, 1 + 3 * 701, 0));
    assert!(observer.join().expect("every look is answered") > 100);
}
