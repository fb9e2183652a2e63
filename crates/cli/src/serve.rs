//! `penfold serve`: the daemon.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use penfold_linux::descriptor_limit;
use penfold_linux::trace::{AtEnd, start_host};
use penfold_server::address::Address;
use penfold_server::control::Limits;
use penfold_server::daemon::{Config, Daemon, DaemonError, PreparedDaemon, ShutdownSignals};
use penfold_server::disabled::must_be_controllers;
use penfold_server::logging;
use penfold_server::metrics::{MetricsAddress, Responder};
use tracing::level_filters::LevelFilter;

use crate::engine_connection::GlobalOptions;
use crate::failure::{Failure, Outcome};
use crate::modules::ModuleOperand;

/// Serves cgroups that outlive one command: hierarchies, processes that run already, files and limits, over a socket.
///
/// The daemon serves one user, or the machine if root starts it. Without configuration or privilege, the daemon runs in
/// the foreground until SIGTERM, SIGINT or SIGHUP ends it in order. Operations that need root are refused without root.
///
/// Without --socket and $PENFOLD_SOCKET, the daemon listens at $XDG_RUNTIME_DIR/penfold/control, and root's daemon at
/// /run/penfold/control. Root of a user namespace listens at the first if the variable is set. The other verbs look for
/// the daemon there. Every user may connect to root's daemon: the owner and mode of a cgroup allow or refuse each
/// operation. Under systemd the daemon takes the socket that systemd passes, and notifies systemd when it is ready
/// (Type=notify).
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  penfold serve &
  penfold serve --socket /tmp/p/control --log debug
  PENFOLD_SOCKET=/tmp/p/control penfold hierarchies")]
#[allow(clippy::doc_markdown)] // the text of --help, where backticks would be shown
pub(crate) struct ServeArguments {
    /// The fate of launched commands when the daemon is ended. Processes that were adopted while they ran always go on
    /// untraced.
    ///
    /// kill: the commands are killed. leave: the commands go on, but each keeps its system call filter, which has no
    /// tracer any more: forks fail with ENOSYS. If the daemon is killed with SIGKILL, launched commands die with it.
    #[arg(long, value_name = "WHAT", default_value = "kill")]
    at_end: AtEndArgument,

    /// The directory of the journal: modules, hierarchies, cgroups, values of files, members and mounts. If this daemon
    /// is killed, the next one restores all that. The default is the directory `state` beside the socket. A daemon that
    /// ends in order leaves nothing there, unless --at-end is leave.
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "no_state")]
    state: Option<PathBuf>,

    /// Keeps no journal: everything is lost if the daemon is killed.
    #[arg(long)]
    no_state: bool,

    /// Serves OpenMetrics over HTTP at /metrics, on a port of this machine (9000), an address (10.0.0.1:9000), or a
    /// socket (unix:/run/penfold/metrics). Every client that can connect can read the names of all cgroups.
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<MetricsAddress>,

    /// Loads a module before anything else is done: its path, or its name, see `penfold module --help`. May be given
    /// again. The name of a compiled-in controller is no error.
    #[arg(long, value_name = "MODULE", value_parser = ModuleOperand::parser())]
    load: Vec<ModuleOperand>,

    /// Leaves controllers out, as `cgroup_disable=` of the kernel: they can be neither mounted nor loaded. Names are
    /// separated by commas. A name that no controller has is an error.
    #[arg(long, value_name = "NAME[,NAME]", value_delimiter = ',')]
    disable: Vec<String>,
    /// How many cgroups one user may have made at a time, in all hierarchies. Beyond that mkdir fails with EDQUOT. The
    /// maker of a cgroup counts until it is removed, whoever owns it by then. The administrator is not bound.
    #[arg(long, value_name = "NUMBER", default_value_t = Limits::default().cgroups_of_user)]
    max_cgroups_per_user: usize,

    /// How many calls of one user may wait or be answered at a time. Further ones fail with EAGAIN. The administrator
    /// is not bound.
    #[arg(long, value_name = "NUMBER", default_value_t = Limits::default().calls_of_user)]
    max_calls_per_user: usize,

    /// The detail of the log on standard error.
    #[arg(long, value_name = "LEVEL", env = "PENFOLD_LOG", default_value = "info")]
    log: LogLevel,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum AtEndArgument {
    Kill,
    Leave,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum LogLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    fn filter(self) -> LevelFilter {
        match self {
            LogLevel::Off => LevelFilter::OFF,
            LogLevel::Error => LevelFilter::ERROR,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Debug => LevelFilter::DEBUG,
            LogLevel::Trace => LevelFilter::TRACE,
        }
    }
}

pub(crate) fn run(arguments: &ServeArguments, global: &GlobalOptions) -> Outcome {
    // blocked before any other thread exists, so that all threads inherit the mask
    let signals = ShutdownSignals::block().map_err(|error| Failure::io("signals", error))?;
    logging::start(arguments.log.filter()).map_err(|error| Failure::io("log", error))?;
    let config = Config {
        address: Address::of_daemon(global.socket.as_deref())?,
        at_end: match arguments.at_end {
            AtEndArgument::Kill => AtEnd::Kill,
            AtEndArgument::Leave => AtEnd::Leave,
        },
        limits: Limits {
            cgroups_of_user: arguments.max_cgroups_per_user,
            calls_of_user: arguments.max_calls_per_user,
            ..raised_limits()
        },
    };
    must_be_controllers(&arguments.disable).map_err(|failure| failure.with_prefix("--disable: "))?;
    let mut disabled = Vec::new();
    for name in &arguments.disable {
        if !disabled.contains(name) {
            disabled.push(name.clone());
        }
    }
    let mut prepared = Daemon::prepare_without(config, disabled, start_host)?;
    for module in &arguments.load {
        load(&prepared, module)?;
    }
    match arguments.state.clone().or_else(|| prepared.state_beside_socket()) {
        Some(state) if !arguments.no_state => {
            prepared.restore(&state).map_err(|error| no_state(&state, error))?;
        }
        Some(_) => {}
        None => tracing::warn!("no journal is kept: the socket has no directory, and no --state is given"),
    }
    let daemon = prepared.serve(None, Vec::new())?;
    if let Some(address) = &arguments.metrics {
        Responder::start(daemon.service().clone(), address)
            .map_err(|error| Failure::io(format!("--metrics {address}"), error))?;
    }
    daemon.run(&signals).map_err(|error| Failure::io("daemon", error))?;
    daemon.stop();
    Ok(ExitCode::SUCCESS)
}

/// Raises the limit on descriptors, and returns the limits of clients that fit into it.
pub(crate) fn raised_limits() -> Limits {
    if let Err(error) = descriptor_limit::raise() {
        tracing::warn!(%error, "the limit on descriptors can't be raised");
    }
    let (limit, open) = descriptor_limit::limit_and_open();
    Limits::of_descriptors(limit, open)
}

fn no_state(directory: &Path, error: DaemonError) -> Failure {
    match error {
        DaemonError::System(error) => {
            Failure::io(directory.to_string_lossy(), error).with_prefix("can't keep the state there: ")
        }
        error => error.into(),
    }
}

fn load(prepared: &PreparedDaemon, module: &ModuleOperand) -> Result<(), Failure> {
    if let ModuleOperand::Name(name) = module {
        let there =
            prepared.service().with_snapshot(|engine, _| engine.hierarchy_of_subsystem(name).is_some());
        if there? {
            return Ok(());
        }
    }
    prepared.service().load_file(&module.find()?).map(drop)
}
