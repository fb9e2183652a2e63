//! `penfold freeze` and `penfold thaw`.

use nix::errno::Errno;
use penfold_core::ErrorKind;
use std::thread;
use std::time::{Duration, Instant};

use crate::address::CgroupAddress;
use crate::engine_connection::{EngineConnection, GlobalOptions};
use crate::failure::{Failure, Outcome, each};
use crate::progress;
use crate::settings::Setting;
use crate::verbs::{EXIT_STATUS, get, set};

/// The time between two reads of the state.
const STEP: Duration = Duration::from_millis(10);

/// Freezes every task of a cgroup and of those below it: frozen tasks use no CPU until they are thawed.
///
/// A frozen process gets its signals when it is thawed. To its parent the process does not look stopped.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS, after_long_help = format!("\
Examples:
  penfold freeze /batch
  penfold freeze --wait freezer:/batch && snapshot && penfold thaw freezer:/batch

{EXIT_STATUS}"))]
pub(crate) struct FreezeArguments {
    #[command(flatten)]
    common: FreezerArguments,
}

/// Thaws a cgroup that was frozen.
///
/// The cgroup stays frozen as long as one above it is frozen.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS, after_long_help = format!("\
Examples:
  penfold thaw /batch

{EXIT_STATUS}"))]
pub(crate) struct ThawArguments {
    #[command(flatten)]
    common: FreezerArguments,
}

#[derive(Debug, clap::Args)]
struct FreezerArguments {
    /// Returns only when the cgroup's state is reached.
    #[arg(short, long)]
    wait: bool,

    /// With --wait: the most seconds to wait for each cgroup.
    #[arg(long, value_name = "SECONDS", requires = "wait")]
    timeout: Option<u32>,

    /// The cgroups: [HIERARCHY:]/path. The default is the hierarchy of the freezer.
    #[arg(required = true, value_name = "ADDRESS", value_parser = CgroupAddress::parser())]
    cgroups: Vec<CgroupAddress>,
}

pub(crate) fn freeze(arguments: &FreezeArguments, global: &GlobalOptions) -> Outcome {
    change(&arguments.common, global, "FROZEN")
}

pub(crate) fn thaw(arguments: &ThawArguments, global: &GlobalOptions) -> Outcome {
    change(&arguments.common, global, "THAWED")
}

fn change(arguments: &FreezerArguments, global: &GlobalOptions, state: &str) -> Outcome {
    let mut remote = global.connect()?;
    let setting = Setting { file: "freezer.state".to_owned(), value: state.to_owned() };
    each(&arguments.cgroups, |cgroup| {
        let at = cgroup.or_in("freezer");
        set::write(&mut remote, &at, &setting)?;
        if !arguments.wait {
            return Ok(());
        }
        let what = format!("penfold: waiting for {cgroup} to be {state}");
        progress::during(&what, || reach(&mut remote, &at, state, arguments.timeout))
    })
}

fn reach(
    remote: &mut EngineConnection,
    cgroup: &CgroupAddress,
    state: &str,
    timeout: Option<u32>,
) -> Result<(), Failure> {
    let began = Instant::now();
    loop {
        let now = get::read(remote, cgroup, "freezer.state")?;
        if now.trim_end() == state {
            return Ok(());
        }
        if let Some(most) = timeout.filter(|most| began.elapsed() >= Duration::from_secs((*most).into())) {
            let detail = format!("still {} after {most} s", now.trim_end());
            return Err(Failure::new(ErrorKind::Busy, Errno::ETIMEDOUT, cgroup.to_string(), detail));
        }
        thread::sleep(STEP);
    }
}
