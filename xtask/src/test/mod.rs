//! `cargo xtask test`: builds everything, runs every test program, shows the progress, and at the end the failures.
//!
//! The programs are those of `cargo test --workspace`, run as cargo runs them. The differences from cargo:
//! * a failure does not keep later programs from running;
//! * several programs run at a time;
//! * the reasons for which tests skip something are shown;
//! * each failure comes with the command that runs it again.

mod arguments;
mod output;
mod programs;
mod progress;
mod run;

use std::fs::{File, TryLockError};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;
use std::{fs, thread};

use arguments::TestArguments;
use programs::{TestProgram, chains};
use progress::TestProgress;
use run::ProgramRun;

use crate::{MODULES, cargo};

/// The time between two lines about programs that still run, where no terminal shows them all the time.
const STILL_RUNNING: Duration = Duration::from_mins(1);

/// Runs the test programs that are named, or all.
///
/// # Errors
/// Names the build that failed, or the number of programs that failed. Their failures are printed before.
pub(crate) fn test(arguments: impl Iterator<Item = String>) -> Result<(), String> {
    let wanted = arguments::parse(arguments)?;
    let programs = wanted.chosen(programs()?)?;
    let (place, _ours) = place().map_err(|error| format!("test: target: {error}"))?;
    let done = run(&place, programs, &wanted);
    let documentation = ["test", "--quiet", "--workspace", "--doc"];
    let documented = if wanted.is_everything() { cargo(&documentation, &[]) } else { Ok(()) };
    done.and(documented)
}

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is in the repository").to_owned()
}

/// The directory for the programs' outputs, and the lock that keeps another run out of it.
fn place() -> io::Result<(PathBuf, File)> {
    let target = top().join("target");
    let at = |name: String| {
        let place = target.join(name);
        fs::create_dir_all(&place)?;
        let lock = File::create(place.join("lock"))?;
        io::Result::Ok((place, lock))
    };
    let (place, lock) = at("xtask-test".to_owned())?;
    match lock.try_lock() {
        Ok(()) => Ok((place, lock)),
        Err(TryLockError::WouldBlock) => at(format!("xtask-test-{}", std::process::id())),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Builds everything that tests run.
///
/// # Errors
/// Names the build that failed.
pub(crate) fn build() -> Result<(), String> {
    programs().map(|_| ())
}

/// Builds everything that tests run, in both workspaces, and returns the test programs.
fn programs() -> Result<Vec<TestProgram>, String> {
    let modules = ["--locked", "--manifest-path", MODULES];
    // Tests run programs of the workspace and load modules, also those outside the tree.
    cargo(&["build", "--workspace", "--lib", "--bins", "--examples"], &[])?;
    cargo(&[&["build", "--workspace"], &modules[..]].concat(), &[])?;
    let mut programs = programs::build(&["--workspace"])?;
    programs.extend(programs::build(&[&["--workspace"], &modules[..]].concat())?);
    Ok(programs)
}

/// Runs the programs, several at a time.
fn run(place: &Path, programs: Vec<TestProgram>, wanted: &TestArguments) -> Result<(), String> {
    let at_a_time = wanted.jobs.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    let progress = Mutex::new(TestProgress::new(programs.len(), io::stderr().is_terminal()));
    let waiting = Mutex::new(chains(programs));
    let begin = |program: &TestProgram| progress.lock().expect("no panic").begin(program);
    let work = || {
        loop {
            let Some(chain) = waiting.lock().expect("no panic").pop_front() else { return };
            for program in chain {
                begin(&program);
                let outcome = ProgramRun::of(program, place, &wanted.rest);
                progress.lock().expect("no panic").end(outcome);
            }
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..at_a_time.max(1)).map(|_| scope.spawn(work)).collect();
        while workers.iter().any(|worker| !worker.is_finished()) {
            thread::sleep(Duration::from_millis(100));
            progress.lock().expect("no panic").tick(STILL_RUNNING);
        }
    });
    progress.into_inner().expect("no panic").summary()
}
