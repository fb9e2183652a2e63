//! `freezer.state` while a job runs: frozen tasks do not run, their parents notice nothing, and they go on as before.

mod common;
mod contained;

use std::thread::sleep;
use std::time::Duration;

use contained::{EngineJob, owner, read, write};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use penfold_core::{CgroupId, MoveScope, Tid};
use penfold_testkit::{
    CProgram, TempFile,
    proc::{run_time, ticks},
    wait_until,
};

/// A parent that watches its child as a shell does, and a child that is busy, that forks or that has threads.
const PROGRAM: &str = r#"
    struct page { volatile long child, work, watched, seen, status, births, stop; } *page;
    static void *busy(void *none) { for (;;) page->work++; return none; }
    int main(int argc, char **argv) {
        int fd = open(argv[1], O_RDWR); CHECK(fd >= 0 && ftruncate(fd, 4096) == 0);
        page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0); CHECK(page != MAP_FAILED);
        pid_t child = fork();
        if (child == 0) {
            if (!strcmp(argv[2], "forks")) for (;;) {
                pid_t pid = page->births % 2 ? fork() : vfork();
                if (pid == 0) { page->births++; _exit(0); }
                if (pid > 0) waitpid(pid, 0, 0);
                page->work++;
            }
            pthread_t thread;
            for (int i = 0; i < 3; i++) CHECK(pthread_create(&thread, 0, busy, 0) == 0);
            busy(0);
        }
        page->child = child;
        while (!page->stop) {
            int status; pid_t got = waitpid(child, &status, WUNTRACED | WCONTINUED | WNOHANG);
            CHECK(got >= 0);
            page->watched++;
            if (got) {
                page->seen++; page->status = status;
                if (WIFSIGNALED(status) || WIFEXITED(status)) return 42;
            }
            usleep(500);
        }
        return 0;
    }"#;

#[derive(Clone, Copy)]
enum Field {
    Child,
    Work,
    WatchedChild,
    Seen,
    Status,
    Births,
}

/// A job whose child is in `/job/inner`, so that it can be frozen without its parent.
struct WatchedChild {
    job: EngineJob,
    inner: CgroupId,
    scratch: TempFile,
    _program: CProgram,
    child: i32,
}

impl WatchedChild {
    fn start(what: &str) -> Self {
        let (program, scratch) = (CProgram::compile(PROGRAM), TempFile::new());
        let job = EngineJob::start(
            &[("pids.max", "20")],
            &[program.path(), scratch.path().to_str().unwrap(), what],
        );
        let mut watched = Self { inner: job.cgroup, job, scratch, _program: program, child: 0 };
        wait_until("the child works", || watched.get(Field::Child) > 0 && watched.get(Field::Work) > 100);
        watched.child = watched.get(Field::Child) as i32;
        let (cgroup, child) = (watched.job.cgroup, Tid(watched.child));
        let moved = watched.job.control.with_exact(move |engine, host| {
            let inner = engine.session(host, &owner()).mkdir(cgroup, b"inner", 0o755).expect("a cgroup");
            // also in the midst of forks: none is in flight while a request runs
            engine
                .session(host, &owner())
                .attach(inner, child, MoveScope::ThreadGroup)
                .expect("the child is moved");
            inner
        });
        watched.inner = moved.expect("the job runs");
        watched
    }

    fn get(&self, field: Field) -> i64 {
        let bytes = std::fs::read(self.scratch.path()).expect("the shared page");
        let at = field as usize * 8;
        bytes.get(at..at + 8).map_or(0, |word| i64::from_ne_bytes(word.try_into().expect("eight bytes")))
    }

    fn set(&self, value: &'static str) {
        let inner = self.inner;
        let written = self
            .job
            .control
            .with_exact(move |engine, host| write(engine, host, inner, "freezer.state", value));
        written.expect("the job runs").expect("it is taken");
    }

    fn freeze(&self) {
        self.set("FROZEN");
        wait_until("it is frozen", || self.state() == "FROZEN");
    }

    fn state(&self) -> String {
        let inner = self.inner;
        let state =
            self.job.control.with_exact(move |engine, host| read(engine, host, inner, "freezer.state"));
        state.expect("the job runs")
    }

    fn threads(&self) -> Vec<i32> {
        let listed =
            std::fs::read_dir(format!("/proc/{}/task", self.child)).expect("the child lives").flatten();
        listed.map(|entry| entry.file_name().to_str().unwrap().parse().unwrap()).collect()
    }

    fn end(self) -> i32 {
        kill(Pid::from_raw(self.child), Signal::SIGKILL).expect("the child lives");
        self.job.finish().status
    }
}

#[test]
fn frozen_tasks_use_no_cpu_time() {
    let watched = WatchedChild::start("busy");
    wait_until("its threads have started", || watched.threads().len() == 4);
    let threads = watched.threads();
    watched.freeze();
    let used =
        || threads.iter().map(|&task| (ticks(task).unwrap(), run_time(task).unwrap())).collect::<Vec<_>>();
    // soon: a task that has reported its stop may still be on its way off the CPU
    wait_until("all stand still", || {
        let before = used();
        sleep(Duration::from_millis(100));
        used() == before
    });
    let (before, work) = (used(), watched.get(Field::Work));
    sleep(Duration::from_millis(300));
    assert_eq!((used(), watched.get(Field::Work)), (before.clone(), work));
    watched.set("THAWED");
    wait_until("all threads go on", || used().iter().zip(&before).all(|(now, then)| now.1 > then.1));
    wait_until("the work goes on", || watched.get(Field::Work) > work);
    assert_eq!(watched.state(), "THAWED");
    assert_eq!(watched.end(), 42 << 8);
}

#[test]
fn parent_of_a_frozen_process_notices_nothing() {
    let watched = WatchedChild::start("busy");
    for _ in 0..20 {
        watched.freeze();
        let (looks, work) = (watched.get(Field::WatchedChild), watched.get(Field::Work));
        wait_until("the parent looks", || watched.get(Field::WatchedChild) > looks + 5);
        assert_eq!(watched.get(Field::Work), work);
        watched.set("THAWED");
        wait_until("the parent looks again", || watched.get(Field::WatchedChild) > looks + 10);
    }
    assert_eq!(watched.get(Field::Seen), 0, "waitpid saw {:#x}", watched.get(Field::Status));
    assert_eq!(watched.end(), 42 << 8);
}

#[test]
fn sigkill_kills_a_frozen_process() {
    let watched = WatchedChild::start("busy");
    watched.freeze();
    kill(Pid::from_raw(watched.child), Signal::SIGKILL).unwrap();
    wait_until("the parent sees its death", || watched.get(Field::Seen) == 1);
    assert_eq!(watched.get(Field::Status), i64::from(libc::SIGKILL));
    assert_eq!(watched.job.finish().status, 42 << 8);
}

#[test]
fn freezing_in_the_midst_of_forks_stops_every_child() {
    let watched = WatchedChild::start("forks");
    // a child that was born before its parent moved is not in the frozen cgroup
    let moved = watched.get(Field::Births);
    wait_until("that one is gone", || watched.get(Field::Births) > moved + 2);
    for round in 0..100 {
        watched.freeze();
        let done = || (watched.get(Field::Work), watched.get(Field::Births));
        let then = done();
        sleep(Duration::from_millis(5));
        assert_eq!(done(), then, "round {round}");
        let inner = watched.inner;
        let counted = watched.job.control.with_exact(move |engine, host| {
            let current: usize = read(engine, host, inner, "pids.current").parse().unwrap();
            (current, read(engine, host, inner, "tasks").lines().count())
        });
        let (current, listed) = counted.unwrap();
        assert_eq!(current, listed, "round {round}: no charge is held by a frozen task");
        watched.set("THAWED");
        wait_until("forks go on", || watched.get(Field::Births) > then.1 + round % 5);
    }
    assert_eq!(watched.get(Field::Seen), 0);
    assert_eq!(watched.end(), 42 << 8);
}

#[test]
fn a_whole_job_can_be_frozen_and_thawed() {
    let watched = WatchedChild::start("busy");
    watched.job.write("freezer.state", "FROZEN");
    wait_until("it is frozen", || watched.job.read("freezer.state") == "FROZEN");
    assert_eq!(watched.state(), "FROZEN", "with what is below");
    let done = || (watched.get(Field::Work), watched.get(Field::WatchedChild));
    let then = done();
    sleep(Duration::from_millis(100));
    assert_eq!(done(), then);
    watched.job.write("freezer.state", "THAWED");
    wait_until("both go on", || {
        watched.get(Field::Work) > then.0 && watched.get(Field::WatchedChild) > then.1
    });
    assert_eq!(watched.end(), 42 << 8);
}

/// A thawed task may fork at once. No fork can be judged before the request has given the engine back.
#[test]
fn thawed_task_runs_only_after_the_thawing_request() {
    for what in ["busy", "forks"] {
        let watched = WatchedChild::start(what);
        for _ in 0..10 {
            watched.freeze();
            let (inner, page) = (watched.inner, watched.scratch.path().to_owned());
            let looks = watched.job.control.with_exact(move |engine, host| {
                let look = || std::fs::read(&page).expect("the shared page")[8..16].to_vec();
                let then = look();
                write(engine, host, inner, "freezer.state", "THAWED").expect("it is taken");
                sleep(Duration::from_millis(10));
                (then, look(), read(engine, host, inner, "freezer.state"))
            });
            let (then, now, state) = looks.expect("the job runs");
            assert_eq!((now, state.as_str()), (then.clone(), "THAWED"), "{what}");
            let work = i64::from_ne_bytes(then.try_into().expect("eight bytes"));
            wait_until("the work goes on", || watched.get(Field::Work) > work);
        }
        assert_eq!(watched.get(Field::Seen), 0);
        assert_eq!(watched.end(), 42 << 8);
    }
}

#[test]
fn a_frozen_job_can_be_killed() {
    let watched = WatchedChild::start("forks");
    watched.job.write("freezer.state", "FROZEN");
    wait_until("it is frozen", || watched.job.read("freezer.state") == "FROZEN");
    kill(Pid::from_raw(watched.job.main), Signal::SIGKILL).unwrap();
    let (child, status) = (watched.child, watched.job.finish().status);
    assert_eq!(status, libc::SIGKILL);
    assert!(!std::path::Path::new(&format!("/proc/{child}")).exists(), "the rest went with it");
}

#[test]
fn frozen_fork_bomb_makes_no_task() {
    // one that doesn't die of refusals
    let program = CProgram::compile(
        r"
        int main(void) {
            if (fork() == 0) for (;;) {
                pid_t pid = fork();
                if (pid < 0) usleep(200);
                if (pid > 0 && rand() % 2) { usleep(100); kill(pid, SIGKILL); while (waitpid(-1, 0, WNOHANG) > 0) {} }
            }
            pause();
            return 0;
        }",
    );
    let job = EngineJob::start(&[("pids.max", "15")], &[program.path()]);
    wait_until("it grows", || job.read("pids.current").parse::<u32>().unwrap() > 10);
    for round in 0..20 {
        job.write("freezer.state", "FROZEN");
        wait_until("it is frozen", || job.read("freezer.state") == "FROZEN");
        // a child whose parent was killed inside its fork was born before, and is known only at its first stop
        sleep(Duration::from_millis(20));
        let then: Vec<_> = job.tasks().into_iter().map(|task| (task, run_time(task).unwrap())).collect();
        sleep(Duration::from_millis(20));
        for &(task, used) in &then {
            // a task that was being killed as it was frozen is gone now
            let Some(now) = run_time(task) else { continue };
            // a newborn task may still be on its way to its first stop, in the kernel
            let grown = now - used;
            assert!(grown < 500_000, "round {round}: {task} has run for {grown} ns");
        }
        let born: Vec<_> =
            job.tasks().into_iter().filter(|task| then.iter().all(|(known, _)| known != task)).collect();
        assert_eq!(born, Vec::<i32>::new(), "round {round}");
        job.write("freezer.state", "THAWED");
        sleep(Duration::from_millis(3));
    }
    drop(job);
}
