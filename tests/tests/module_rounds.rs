//! A module's whole life again and again, under fork load: load, mount, mkdir, run a process, rmdir, unmount, unload.
//!
//! Ten thousand rounds may leave nothing: no memory, mapping, descriptor, thread or css_set.
//!
//! This is a test program of its own, because all of that is counted for the whole process. With `CI=true` there are
//! ten thousand rounds, otherwise as many as fit into some seconds. `PENFOLD_ROUNDS` chooses another number.
#![allow(missing_docs, unreachable_pub)]

#[path = "modules/hosted.rs"]
mod hosted;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hosted::ModuleHost;
use nix::sys::signal::Signal;
use penfold_testkit::{CProgram, c_module, is_ci, retry};

const ROUNDS: usize = 10_000;
const WITHOUT_CI: usize = 1_000;
/// Rounds until the allocator and the tables have the size that they keep.
const WARM: usize = 300;
/// The resident memory that may be added, in KiB.
///
/// One part is for the allocator, whose size still changes. Another is an eighth for each round, so that a loss of a
/// few hundred bytes in each shows. Measured were 48 KiB, after 1,000 as after 10,000 rounds.
fn may_come(rounds: usize) -> u64 {
    400 + rounds as u64 / 8
}

const LOAD: &str = r"
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
int main(void)
{
    struct timespec rest = { 0, 300000 };
    alarm(600);
    for (;;) {
        pid_t child = fork();
        if (child == 0)
            _exit(0);
        waitpid(child, 0, 0);
        nanosleep(&rest, 0);
    }
}
";

fn rounds() -> usize {
    let chosen = std::env::var("PENFOLD_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    chosen.unwrap_or(if is_ci() { ROUNDS } else { WITHOUT_CI })
}

/// The resources of this process, apart from its memory.
#[derive(Debug, PartialEq, Eq)]
struct ProcessResources {
    descriptors: usize,
    threads: usize,
    /// Mapped files, with the number of their mappings.
    files: BTreeMap<String, usize>,
    css_sets: usize,
}

fn count(directory: &str) -> usize {
    std::fs::read_dir(directory).expect("procfs").count()
}

fn process_resources(hosted: &ModuleHost) -> ProcessResources {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("procfs");
    let mut files = BTreeMap::new();
    for file in
        maps.lines().filter_map(|line| line.split_whitespace().nth(5)).filter(|file| file.starts_with('/'))
    {
        *files.entry(file.to_owned()).or_default() += 1;
    }
    ProcessResources {
        descriptors: count("/proc/self/fd"),
        threads: count("/proc/self/task"),
        files,
        css_sets: hosted.with(|engine, _| engine.css_set_count()),
    }
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a field of it");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn ten_thousand_lives_of_a_module_leave_nothing() {
    let macros =
        [("FORKS", ""), ("EXITS", ""), ("VETO", ""), ("MOVES", ""), ("KEEP", ""), ("BIND", ""), ("RULE", "")];
    let (file, load, nothing) = (
        c_module("witness", &macros),
        CProgram::compile_static(LOAD),
        CProgram::compile_static("int main(void) { return 0; }"),
    );
    let nothing = nothing.path().to_owned();
    let hosted = ModuleHost::start();
    let raging = hosted.exec(None, &[load.path()]);
    let rounds = rounds().max(WARM + 1);
    let began = Instant::now();
    let mut warm = None;
    for round in 0..rounds {
        if round == WARM {
            warm = Some((process_resources(&hosted), resident_kib()));
        }
        hosted.load(file.path());
        let top = hosted.mount("witness");
        let group = hosted.mkdir(top, "g");
        let status = hosted.exec(Some(group), &[&nothing]).wait().expect("it ran");
        assert_eq!(status, 0, "round {round}");
        let (told, here) = hosted.account(group);
        assert_eq!((here["forks"], here["exits"], told["states"]), (0, 1, 2), "round {round}");
        hosted.rmdir(group);
        hosted.unmount(top);
        hosted.unload("witness").unwrap_or_else(|error| panic!("round {round}: {error}"));
    }
    let (before, memory) = warm.expect("there were more rounds than that");
    // a connection to the tracer may be under way
    let same_as_before = retry(Duration::from_secs(10), || {
        let now = process_resources(&hosted);
        if now == before { Ok(()) } else { Err(now) }
    });
    assert_eq!(same_as_before, Ok(()), "before: {before:?}");
    let more = resident_kib().saturating_sub(memory);
    println!(
        "{rounds} rounds in {:?}; {memory} KiB after {WARM} rounds, {more} KiB more now",
        began.elapsed()
    );
    assert!(more < may_come(rounds), "{more} KiB more after {rounds} rounds");
    raging.kill(Signal::SIGKILL as i32).expect("it runs");
    raging.wait().expect("it ends");
}
