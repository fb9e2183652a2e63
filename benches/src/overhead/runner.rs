//! Runs a workload bare and under penfold in turns, and takes the time.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike as _};

use crate::overhead::workload::Workload;

/// How a workload is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// Without penfold.
    Bare,
    /// `penfold run -- COMMAND`.
    Run,
    /// `penfold run -s pids.max=10000 -- COMMAND`: forks can be refused, so each needs the engine's answer.
    Limited,
}

/// All variants, in the order of each round.
pub const VARIANTS: [Variant; 3] = [Variant::Bare, Variant::Run, Variant::Limited];

/// The times of one run, in seconds.
#[derive(Debug, Clone, Copy)]
pub struct Time {
    /// From start to end.
    pub wall: f64,
    /// CPU time of the command, of everything it waited for, and of penfold: hardly changed by other work of the
    /// machine.
    pub cpu: f64,
}

/// The times of each variant, round by round.
#[derive(Debug, Clone, Default)]
pub struct WorkloadTimes {
    /// In the order of [`VARIANTS`].
    pub variants: [Vec<Time>; 3],
}

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// No more rounds than this.
    pub rounds: usize,
    /// No new round after this time, once there are three.
    pub time: Duration,
}

/// Fewer rounds have no median worth the name.
const FEWEST_ROUNDS: usize = 3;

/// Runs the workload in rounds of bare, run, limited, after one round that does not count.
///
/// # Errors
/// When a command can't be started or fails.
pub fn measure(penfold: &Path, workload: &Workload, bounds: Bounds) -> io::Result<WorkloadTimes> {
    let mut times = WorkloadTimes::default();
    for variant in VARIANTS {
        once(penfold, workload, variant)?;
    }
    let began = Instant::now();
    for round in 0..bounds.rounds {
        if round >= FEWEST_ROUNDS && began.elapsed() >= bounds.time {
            break;
        }
        for (variant, taken) in VARIANTS.into_iter().zip(&mut times.variants) {
            taken.push(once(penfold, workload, variant)?);
        }
    }
    Ok(times)
}

fn once(penfold: &Path, workload: &Workload, variant: Variant) -> io::Result<Time> {
    let mut command = match variant {
        Variant::Bare => Command::new(&workload.command[0]),
        Variant::Run | Variant::Limited => {
            let mut command = Command::new(penfold);
            command.arg("run");
            if variant == Variant::Limited {
                command.args(["-s", "pids.max=10000"]);
            }
            command.arg("--").arg(&workload.command[0]);
            command
        }
    };
    command.args(&workload.command[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let cpu_before = children_cpu()?;
    let began = Instant::now();
    let status = command.status()?;
    let wall = began.elapsed().as_secs_f64();
    if status.success() {
        return Ok(Time { wall, cpu: children_cpu()? - cpu_before });
    }
    Err(io::Error::other(format!("{variant:?} of {:?} failed with {status}", workload.name)))
}

/// The CPU time of all children so far that were waited for, in seconds.
fn children_cpu() -> io::Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |time: TimeVal| time.num_microseconds() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}
