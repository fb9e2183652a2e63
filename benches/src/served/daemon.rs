//! A `penfold serve` for the benchmark, with its hierarchies mounted as files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use nix::mount::umount;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use penfold_server::address::Address;
use penfold_server::connection::Connection;
use penfold_testkit::retry;

use crate::served::interrupted;

const PATIENCE: Duration = Duration::from_secs(10);

/// A daemon. The drop unmounts its views and ends it by SIGTERM.
#[derive(Debug)]
pub struct BenchDaemon {
    child: Child,
    penfold: PathBuf,
    socket: PathBuf,
    mounts: Vec<PathBuf>,
}

impl BenchDaemon {
    /// Starts the daemon, with its socket and its journal in that directory.
    ///
    /// # Errors
    /// When the daemon can't be started or does not listen within 10 s.
    pub fn start(penfold: &Path, directory: &Path) -> io::Result<BenchDaemon> {
        let socket = directory.join("control");
        let child =
            Command::new(penfold).args(["serve", "--log", "warn", "--socket"]).arg(&socket).spawn()?;
        interrupted::daemon_is(child.id().cast_signed());
        let daemon = BenchDaemon { child, penfold: penfold.to_owned(), socket, mounts: Vec::new() };
        retry(PATIENCE, || daemon.connect())?;
        Ok(daemon)
    }

    /// Opens a connection to its control socket.
    ///
    /// # Errors
    /// As [`Connection::connect`].
    pub fn connect(&self) -> io::Result<Connection> {
        Connection::connect(&Address::Path(self.socket.clone())).map_err(io::Error::other)
    }

    /// Mounts a hierarchy as files.
    ///
    /// # Errors
    /// When `penfold mount` fails, which prints the reason.
    pub fn mount(&mut self, options: &str, target: &Path) -> io::Result<()> {
        fs::create_dir(target)?;
        let mut mount = Command::new(&self.penfold);
        mount.args(["mount", "-o", options]).arg(target).env("PENFOLD_SOCKET", &self.socket);
        if !mount.status()?.success() {
            return Err(io::Error::other("penfold mount failed"));
        }
        self.mounts.push(target.to_owned());
        Ok(())
    }

    /// Puts all its threads on one CPU, and so those that they start later.
    ///
    /// # Errors
    /// As `sched_setaffinity(2)`.
    pub fn use_cpu(&self, cpu: usize) -> io::Result<()> {
        let mut set = CpuSet::new();
        set.set(cpu)?;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let number = thread?.file_name().to_string_lossy().parse().map_err(io::Error::other)?;
            sched_setaffinity(Pid::from_raw(number), &set)?;
        }
        Ok(())
    }
}

impl Drop for BenchDaemon {
    fn drop(&mut self) {
        for mount in self.mounts.drain(..) {
            let _ = umount(&mount);
        }
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM);
        let child = &mut self.child;
        let ended = retry(PATIENCE, || if matches!(child.try_wait(), Ok(None)) { Err(()) } else { Ok(()) });
        if ended.is_err() {
            eprintln!("penfold serve does not end on SIGTERM; killed");
            let _ = child.kill();
            let _ = child.wait();
        }
        interrupted::daemon_is(0);
    }
}
