//! `penfold serve`: the daemon.

use std::path::PathBuf;
use std::process::ExitCode;

use penfold_linux::trace::{AtEnd, start_host};
use penfold_server::address::Address;
use penfold_server::control::Limits;
use penfold_server::daemon::{Config, Daemon, PreparedDaemon, ShutdownSignals};
use penfold_server::logging;
use penfold_server::metrics::{MetricsAddress, Responder};
use tracing::level_filters::LevelFilter;

use crate::failure::{Failure, Outcome};
use crate::modules::Operand;
use crate::remote::Global;

/// Serves cgroups that outlive one command: hierarchies, processes that run already, files and limits, over a socket.
///
/// One daemon for a user, or one for the machine if root starts it. It runs in the foreground until SIGTERM, SIGINT or
/// SIGHUP ends it in order. It needs no configuration and no privilege; what it can't do without root it refuses.
///
/// Without --socket and $PENFOLD_SOCKET it listens at $XDG_RUNTIME_DIR/penfold/control, root's at /run/penfold/control, where the other verbs
/// look for it. Everybody may connect to root's: each operation is allowed or refused by owner and mode of the cgroup.
/// Under systemd it takes the socket that it is passed, and tells when it is ready (Type=notify).
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  penfold serve &
  penfold serve --socket /tmp/p/control --log debug
  PENFOLD_SOCKET=/tmp/p/control penfold hierarchies")]
#[allow(clippy::doc_markdown)] // the text of --help, where backticks would be shown
pub(crate) struct Arguments {
    /// What becomes of launched commands when the daemon is ended. Processes that it had taken in while they ran always go
    /// on untraced.
    ///
    /// kill: they are killed. leave: they go on, but each keeps its system call filter, which has nobody to ask any more:
    /// its forks fail with ENOSYS. If the daemon is killed with SIGKILL, launched commands die with it.
    #[arg(long, value_name = "WHAT", default_value = "kill")]
    at_end: End,

    /// Where to keep what the next daemon needs if this one is killed: modules, hierarchies, cgroups, values of files,
    /// members, mounts. Without, the directory `state` beside the socket. A daemon that ends in order leaves nothing there, unless
    /// --at-end is leave.
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "no_state")]
    state: Option<PathBuf>,

    /// Keep nothing: all is lost if the daemon is killed.
    #[arg(long)]
    no_state: bool,

    /// Serve OpenMetrics over HTTP, at /metrics: a port of this machine (9000), an address (10.0.0.1:9000), or a socket
    /// (unix:/run/penfold/metrics). Whoever can connect can read the names of all cgroups.
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<MetricsAddress>,

    /// Loads a module before anything else is done: its path, or its name, which is looked for as `penfold module --help`
    /// says. May be given again. A name of a controller that is compiled in is no error.
    #[arg(long, value_name = "MODULE", value_parser = Operand::parser())]
    load: Vec<Operand>,

    /// How much to tell on standard error.
    #[arg(long, value_name = "LEVEL", env = "PENFOLD_LOG", default_value = "info")]
    log: Level,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum End {
    Kill,
    Leave,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Level {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Level {
    fn filter(self) -> LevelFilter {
        match self {
            Level::Off => LevelFilter::OFF,
            Level::Error => LevelFilter::ERROR,
            Level::Warn => LevelFilter::WARN,
            Level::Info => LevelFilter::INFO,
            Level::Debug => LevelFilter::DEBUG,
            Level::Trace => LevelFilter::TRACE,
        }
    }
}

pub(crate) fn run(arguments: &Arguments, global: &Global) -> Outcome {
    // before any other thread exists, so that all inherit the mask
    let signals = ShutdownSignals::block().map_err(Failure::new)?;
    logging::start(arguments.log.filter()).map_err(Failure::new)?;
    let config = Config {
        address: Address::of_daemon(global.socket.as_deref())?,
        at_end: match arguments.at_end {
            End::Kill => AtEnd::Kill,
            End::Leave => AtEnd::Leave,
        },
        limits: Limits::default(),
    };
    let mut prepared = Daemon::prepare(config, start_host).map_err(Failure::new)?;
    for module in &arguments.load {
        load(&prepared, module).map_err(|failure| failure.of("--load"))?;
    }
    match arguments.state.clone().or_else(|| prepared.state_beside_socket()) {
        Some(state) if !arguments.no_state => drop(prepared.restore(&state).map_err(Failure::new)?),
        Some(_) => {}
        None => tracing::warn!("no journal is kept: the socket has no directory, and no --state is given"),
    }
    let daemon = prepared.serve(None, Vec::new()).map_err(Failure::new)?;
    if let Some(address) = &arguments.metrics {
        Responder::start(daemon.service().clone(), address)
            .map_err(|error| Failure::new(format!("--metrics {address}: {error}")))?;
    }
    daemon.run(&signals).map_err(Failure::new)?;
    daemon.stop();
    Ok(ExitCode::SUCCESS)
}

fn load(prepared: &PreparedDaemon, module: &Operand) -> Result<(), Failure> {
    if let Operand::Name(name) = module {
        let there =
            prepared.service().with_snapshot(|engine, _| engine.hierarchy_of_subsystem(name).is_some());
        if there.map_err(Failure::new)? {
            return Ok(());
        }
    }
    prepared.service().load_file(&module.find()?).map(drop).map_err(Failure::new)
}
