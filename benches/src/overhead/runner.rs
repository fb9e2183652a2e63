//! Runs a workload bare and under penfold in turns, and takes the time.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::overhead::workload::Workload;

/// How a workload is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// Without penfold.
    Bare,
    /// `penfold run -- COMMAND`.
    Run,
    /// `penfold run -s pids.max=10000 -- COMMAND`: forks can be refused, so each must be asked about.
    Limited,
}

/// All variants, in the order of each round.
pub const VARIANTS: [Variant; 3] = [Variant::Bare, Variant::Run, Variant::Limited];

/// The seconds that each variant took, round by round.
#[derive(Debug, Clone, Default)]
pub struct Times {
    /// In the order of [`VARIANTS`].
    pub seconds: [Vec<f64>; 3],
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
pub fn measure(penfold: &Path, workload: &Workload, bounds: Bounds) -> io::Result<Times> {
    let mut times = Times::default();
    for variant in VARIANTS {
        once(penfold, workload, variant)?;
    }
    let began = Instant::now();
    for round in 0..bounds.rounds {
        if round >= FEWEST_ROUNDS && began.elapsed() >= bounds.time {
            break;
        }
        for (variant, seconds) in VARIANTS.into_iter().zip(&mut times.seconds) {
            seconds.push(once(penfold, workload, variant)?);
        }
    }
    Ok(times)
}

fn once(penfold: &Path, workload: &Workload, variant: Variant) -> io::Result<f64> {
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
    let began = Instant::now();
    let status = command.status()?;
    let seconds = began.elapsed().as_secs_f64();
    if status.success() {
        return Ok(seconds);
    }
    Err(io::Error::other(format!("{variant:?} of {:?} failed with {status}", workload.name)))
}
