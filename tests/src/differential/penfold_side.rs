//! Penfold's file view as a side: a daemon of the test, and its mount.

use super::process;
use super::setup::WorkDir;
use super::side::SideMount;
use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The program, beside the test's own. The program is of another package, which must be built too.
pub fn program() -> Result<PathBuf, String> {
    if let Some(program) = std::env::var_os("PENFOLD_DIFFERENTIAL_PROGRAM") {
        return Ok(program.into());
    }
    let own = std::env::current_exe().map_err(|e| format!("the test's own path: {e}"))?;
    let built = own.ancestors().nth(2).map(|directory| directory.join("penfold"));
    built.filter(|path| path.exists()).ok_or_else(|| "penfold is not built: cargo build -p penfold".into())
}

/// A command of penfold for the daemon in `work_dir`: each side has its own.
fn penfold(work_dir: &WorkDir) -> io::Result<Command> {
    let mut command = Command::new(program().map_err(io::Error::other)?);
    command.env("PENFOLD_SOCKET", work_dir.path().join("run/control")).stdin(Stdio::null());
    Ok(command)
}

/// A mounted hierarchy of penfold.
#[derive(Debug)]
pub struct PenfoldMount {
    daemon: Child,
    place: PathBuf,
    controller: Option<String>,
}

impl PenfoldMount {
    /// Starts a daemon and mounts a hierarchy in `work_dir`: with one controller, or without any under the name of the
    /// directory.
    pub fn start(controller: Option<&str>, work_dir: &WorkDir) -> io::Result<Self> {
        let place = work_dir.path().join("mount");
        fs::create_dir(&place)?;
        fs::create_dir(work_dir.path().join("run"))?;
        let log = fs::File::create(work_dir.path().join("daemon.log"))?;
        let daemon = penfold(work_dir)?.arg("serve").stdout(log.try_clone()?).stderr(log).spawn()?;
        let options = controller.map_or_else(|| format!("none,name={}", work_dir.unique()), str::to_owned);
        let side = Self { daemon, place, controller: controller.map(str::to_owned) };
        let mut last = String::new();
        let mounted = process::comes(|| {
            // this fails until the daemon listens
            let command =
                penfold(work_dir).map(|mut it| it.args(["mount", "-o", &options]).arg(&side.place).output());
            match command {
                Ok(Ok(output)) if output.status.success() => return true,
                Ok(Ok(output)) => last = String::from_utf8_lossy(&output.stderr).into_owned(),
                Ok(Err(e)) | Err(e) => last = e.to_string(),
            }
            false
        });
        if mounted { Ok(side) } else { Err(io::Error::other(format!("penfold mount -o {options}: {last}"))) }
    }
}

impl SideMount for PenfoldMount {
    fn name(&self) -> &'static str {
        "penfold"
    }

    fn root(&self) -> &Path {
        &self.place
    }

    fn is_ours(&self) -> bool {
        self.controller.is_none()
    }

    fn controller(&self) -> Option<&str> {
        self.controller.as_deref()
    }
}

impl Drop for PenfoldMount {
    fn drop(&mut self) {
        let _ = umount2(&self.place, MntFlags::MNT_DETACH);
        let _ = kill(Pid::from_raw(self.daemon.id().cast_signed()), Signal::SIGTERM);
        let ended = process::comes(|| matches!(self.daemon.try_wait(), Ok(Some(_))));
        if !ended {
            let _ = self.daemon.kill();
            let _ = self.daemon.wait();
        }
    }
}
