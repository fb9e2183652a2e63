//! With real processes under the trace host.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use penfold_linux::trace::{AtEnd, Command, ExecOptions, JobBuilder, TraceHost, TracedCommand};
use penfold_module::loader::Controller;

use super::build::Built;
use super::twin::ForkCounter;
use super::{Durations, Interested};

/// Every error ends the program with a message.
type BenchResult<T> = Result<T, Box<dyn std::error::Error>>;

/// Forks of one run.
pub const FORKS: u32 = 2_000;
/// Sleeping threads while the longest stop is looked for.
pub const THREADS: usize = if cfg!(debug_assertions) { 100 } else { 10_000 };

struct BenchTraceHost(TraceHost);

impl BenchTraceHost {
    fn start(interested: Interested, module: &Path) -> BenchResult<BenchTraceHost> {
        let host = BenchTraceHost(TraceHost::start(JobBuilder::new(false))?);
        match interested {
            Interested::Nobody => {}
            Interested::BuiltIn => {
                host.0
                    .control()
                    .with_exact(|engine, host| engine.load(host, ForkCounter::<true>::default()))??;
            }
            Interested::Module => {
                let controller = Controller::open(module)?;
                host.0.control().with_exact(move |engine, host| engine.load(host, controller))??;
            }
        }
        Ok(host)
    }

    fn exec(&self, words: &[&str]) -> BenchResult<TracedCommand> {
        Ok(self.0.exec(Command::new(words.iter().copied()), None, ExecOptions::default())?)
    }
}

impl Drop for BenchTraceHost {
    fn drop(&mut self) {
        let _ = self.0.stop(AtEnd::Kill);
    }
}

/// The time of a whole command that does [`FORKS`] times vfork, exit and wait: bare, and beside each of
/// [`Interested::ALL`], in turns.
///
/// # Errors
/// When a command can't be started or fails, or the module can't be loaded.
pub fn fork_loop(built: &Built, rounds: usize) -> BenchResult<[Durations; 4]> {
    let storm = built.path("storm").display().to_string();
    let count = FORKS.to_string();
    let words = [storm.as_str(), "vfork", &count];
    let hosts = [Interested::Nobody, Interested::BuiltIn, Interested::Module];
    let mut times = [const { Durations(Vec::new()) }; 4];
    for _ in 0..rounds {
        let began = Instant::now();
        let status = process::Command::new(words[0]).args(&words[1..]).status()?;
        times[0].add(began.elapsed());
        if !status.success() {
            return Err("the bare command failed".into());
        }
        for (interested, times) in hosts.into_iter().zip(&mut times[1..]) {
            // a module is loaded once in a program
            let host = BenchTraceHost::start(interested, &built.module(true))?;
            let began = Instant::now();
            let status = host.exec(&words)?.wait()?;
            times.add(began.elapsed());
            if status != 0 {
                return Err(format!("the command failed beside {}", interested.name()).into());
            }
        }
    }
    Ok(times)
}

/// The effects of a load on tasks.
#[derive(Debug, Default)]
pub struct Stops {
    /// How long the tracer was busy with the load: no stop of a task is dealt with meanwhile.
    pub load: Durations,
    /// The same of the unload.
    pub unload: Durations,
    /// The longest vfork + exit + wait in windows of [`WINDOW`] with a load and an unload in them.
    pub with: Durations,
    /// The same in windows without.
    pub without: Durations,
}

/// A window in which the longest fork is looked for.
pub const WINDOW: Duration = Duration::from_millis(60);

/// Loads and unloads a module with fork and exit callbacks, among [`THREADS`] threads that sleep and a process that
/// forks all the time.
///
/// # Errors
/// When a program can't be started, or the module can't be loaded or unloaded.
pub fn stops(built: &Built, rounds: usize) -> BenchResult<Stops> {
    let host = BenchTraceHost::start(Interested::Nobody, Path::new(""))?;
    let (fifo, longest) = (built.path("fifo"), built.path("longest"));
    mkfifo(&fifo, Mode::S_IRWXU)?;
    std::fs::write(&longest, [0; 8])?;
    let path = |name: &str| built.path(name).display().to_string();
    let sleepers = host.exec(&[&path("sleepers"), &THREADS.to_string(), &path("fifo")])?;
    BufReader::new(File::open(&fifo)?).read_line(&mut String::new())?;
    let latency = host.exec(&[&path("latency"), &path("longest")])?;
    let file = OpenOptions::new().read(true).write(true).open(&longest)?;
    let mut stops = Stops::default();
    for _ in 0..rounds {
        let began = begin(&file)?;
        std::thread::sleep(WINDOW.saturating_sub(began.elapsed()));
        stops.without.add(end(&file)?);
        let controller = Controller::open(&built.module(true))?;
        let began = begin(&file)?;
        std::thread::sleep(WINDOW / 3);
        let load = host.0.control().with_exact(move |engine, host| {
            let began = Instant::now();
            engine.load(host, controller).map(|()| began.elapsed())
        })??;
        std::thread::sleep(WINDOW / 3);
        let unload = host.0.control().with_exact(|engine, host| {
            let began = Instant::now();
            engine.unload(host, "counter").map(|()| began.elapsed())
        })??;
        std::thread::sleep(WINDOW.saturating_sub(began.elapsed()));
        stops.with.add(end(&file)?);
        stops.load.add(load);
        stops.unload.add(unload);
    }
    for running in [latency, sleepers] {
        running.kill(Signal::SIGKILL as i32)?;
        running.wait()?;
    }
    std::fs::remove_file(fifo)?;
    Ok(stops)
}

fn begin(file: &File) -> io::Result<Instant> {
    file.write_all_at(&[0; 8], 0)?;
    Ok(Instant::now())
}

fn end(file: &File) -> io::Result<Duration> {
    let mut longest = [0; 8];
    file.read_exact_at(&mut longest, 0)?;
    Ok(Duration::from_nanos(u64::from_ne_bytes(longest)))
}
