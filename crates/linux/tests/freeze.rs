//! Freezing is invisible, complete and undone without a trace.

mod common;

use std::time::Duration;

use common::{CheckingPolicy, finish, look, start, veto};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use penfold_linux::trace::{Handle, Job, Tid};
use penfold_testkit::{CProgram, TempFile, wait_until};

/// A child that counts, and a parent that watches it as a shell does. Both write to a shared page.
const WATCHED: &str = r"
    struct page { volatile long child, counter, handled, stops, continues, dead, children; } *page;
    static void handler(int signal) { (void)signal; page->handled++; }
    int main(int argc, char **argv) {
        int fd = open(argv[1], O_RDWR); CHECK(fd >= 0 && ftruncate(fd, 4096) == 0);
        page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        CHECK(page != MAP_FAILED);
        pid_t child = fork();
        if (child == 0) {
            signal(SIGUSR1, handler);
            for (;;) {
                page->counter++;
                if (argc > 2) { pid_t pid = fork(); if (pid == 0) { page->children++; _exit(0); } waitpid(pid, 0, 0); }
                usleep(100);
            }
        }
        page->child = child;
        while (!page->dead) {
            int status;
            if (waitpid(child, &status, WUNTRACED | WCONTINUED | WNOHANG) == child) {
                if (WIFSTOPPED(status)) page->stops++;
                else if (WIFCONTINUED(status)) page->continues++;
                else page->dead = 1;
            }
            usleep(500);
        }
        return 0;
    }";

struct WatchedCommand {
    job: Option<Job<CheckingPolicy>>,
    handle: Handle<CheckingPolicy>,
    scratch: TempFile,
    _program: CProgram,
    child: Tid,
}

impl WatchedCommand {
    fn start(argument: Option<&str>) -> Self {
        let (program, scratch) = (CProgram::compile(WATCHED), TempFile::new());
        let mut argv = vec![program.path(), scratch.path().to_str().unwrap()];
        argv.extend(argument);
        let job = start(&argv, veto(), CheckingPolicy::default());
        let handle = job.handle();
        let mut watched = Self { job: Some(job), handle, scratch, _program: program, child: Tid(0) };
        wait_until("the child counts", || watched.field(0) > 0 && watched.field(1) > 0);
        watched.child = Tid(watched.field(0) as i32);
        watched
    }

    fn field(&self, index: usize) -> i64 {
        let bytes = std::fs::read(self.scratch.path()).unwrap();
        bytes.chunks_exact(8).nth(index).map_or(0, |word| i64::from_ne_bytes(word.try_into().unwrap()))
    }

    fn counts(&self) -> bool {
        let before = self.field(1);
        std::thread::sleep(Duration::from_millis(30));
        self.field(1) != before
    }

    fn freeze(&self) {
        let child = self.child;
        self.handle.call(move |supervisor, _| supervisor.tasks.freeze(child)).unwrap();
        wait_until("the child is frozen", || {
            self.handle.call(move |supervisor, _| supervisor.tasks.is_frozen(child)).unwrap()
        });
    }

    fn thaw(&self) {
        let child = self.child;
        self.handle.call(move |supervisor, _| supervisor.tasks.thaw(child)).unwrap();
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.0), signal).unwrap();
    }

    fn end(&mut self) {
        self.signal(Signal::SIGKILL);
        let outcome = finish(self.job.take().unwrap());
        assert_eq!(common::code(&outcome), 0);
        assert_eq!(self.field(5), 1);
    }
}

#[test]
fn frozen_task_does_not_run_and_its_parent_sees_nothing() {
    let mut watched = WatchedCommand::start(None);
    for round in 1..=20 {
        watched.freeze();
        assert!(!watched.counts() || !watched.counts(), "the last increment was under way at most");
        watched.signal(Signal::SIGUSR1);
        watched.signal(Signal::SIGCONT);
        assert!(!watched.counts());
        assert_eq!(watched.field(2), round - 1, "a signal waits");
        watched.thaw();
        wait_until("it goes on, with the signal", || watched.field(2) == round && watched.counts());
    }
    assert_eq!((watched.field(3), watched.field(4)), (0, 0), "the parent saw nothing");
    watched.end();
}

#[test]
fn group_stop_is_seen_by_the_parent_and_outlives_a_freeze() {
    let mut watched = WatchedCommand::start(None);
    for round in 1..=10 {
        watched.signal(Signal::SIGSTOP);
        wait_until("the parent sees the stop", || watched.field(3) == round);
        assert!(!watched.counts());
        watched.freeze();
        if round % 2 == 0 {
            watched.thaw();
            assert!(!watched.counts(), "thawed into its group stop");
            watched.signal(Signal::SIGCONT);
        } else {
            watched.signal(Signal::SIGCONT);
            wait_until("the parent sees the continue", || watched.field(4) == round);
            assert!(!watched.counts(), "continued, but frozen");
            watched.thaw();
        }
        wait_until("it goes on", || watched.counts());
        wait_until("the parent saw the continue", || watched.field(4) == round);
    }
    watched.end();
}

#[test]
fn stop_of_a_frozen_task_takes_effect_at_thaw() {
    let mut watched = WatchedCommand::start(None);
    watched.freeze();
    watched.signal(Signal::SIGSTOP);
    assert!(!watched.counts());
    watched.thaw();
    wait_until("the parent sees the stop", || watched.field(3) == 1);
    assert!(!watched.counts());
    watched.signal(Signal::SIGCONT);
    wait_until("it goes on", || watched.counts());
    watched.end();
}

#[test]
fn frozen_task_can_be_killed() {
    let mut watched = WatchedCommand::start(None);
    watched.freeze();
    watched.end();
}

#[test]
fn frozen_task_has_no_fork_in_flight() {
    let mut watched = WatchedCommand::start(Some("forks"));
    for _ in 0..50 {
        watched.freeze();
        let child = watched.child;
        let before = watched.field(1);
        let charges = look(&watched.handle, |count| count.in_flight);
        assert_eq!(charges, 0, "no charge in flight while frozen");
        assert!(watched.handle.call(move |supervisor, _| supervisor.tasks.is_frozen(child)).unwrap());
        std::thread::sleep(Duration::from_millis(3));
        assert_eq!(watched.field(1), before);
        watched.thaw();
        wait_until("it goes on", || watched.field(1) > before);
    }
    watched.end();
}

#[test]
fn children_are_born_frozen() {
    let mut watched = WatchedCommand::start(Some("forks"));
    watched.handle.call(|_, count| count.frozen = true).unwrap();
    let main = watched.job.as_ref().unwrap().main();
    let child = watched.child;
    // that nothing counts says little: on a busy machine the child may wait for a CPU
    wait_until("a child stays at its first stop", || {
        let frozen = watched.handle.call(move |supervisor, _| {
            let born = supervisor.tasks.ids().into_iter().find(|tid| ![main, child].contains(tid));
            born.is_some_and(|tid| supervisor.tasks.is_frozen(tid))
        });
        frozen.unwrap() && !watched.counts()
    });
    let before = watched.field(6);
    let newborn = watched.handle.call(move |supervisor, count| {
        count.frozen = false;
        let tasks = supervisor.tasks.ids();
        tasks.into_iter().filter(|tid| ![main, child].contains(tid)).collect::<Vec<_>>()
    });
    let newborn = newborn.unwrap();
    assert_eq!(newborn.len(), 1);
    assert_eq!(watched.field(6), before);
    watched.handle.call(move |supervisor, _| supervisor.tasks.thaw(newborn[0])).unwrap();
    wait_until("it goes on", || watched.field(6) > before && watched.counts());
    watched.end();
}

#[test]
fn process_waiting_for_its_vfork_child_counts_as_frozen() {
    let program = CProgram::compile(
        r"int main(void) { if (vfork() == 0) { usleep(300000); _exit(0); } for (;;) pause(); }",
    );
    let job = start(&[program.path()], veto(), CheckingPolicy::default());
    let (handle, main) = (job.handle(), job.main());
    wait_until("the child is there", || look(&handle, |count| count.living.len()) == 2);
    handle.call(move |supervisor, _| supervisor.tasks.freeze(main)).unwrap();
    wait_until("frozen", || handle.call(move |supervisor, _| supervisor.tasks.is_frozen(main)).unwrap());
    wait_until("the child ends", || look(&handle, |count| count.living.len()) == 1);
    wait_until("held", || handle.call(move |supervisor, _| supervisor.tasks.is_frozen(main)).unwrap());
    handle.call(|supervisor, _| supervisor.close()).unwrap();
    finish(job);
}
