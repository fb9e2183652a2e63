//! Running a hierarchy's release agent (C8.3).

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

use penfold_core::Release;

/// Starts the agent with the released cgroup's path, and does not wait for it: what it answers changes nothing, and a
/// failure is not tried again.
///
/// It gets `HOME=/` and `PATH=/sbin:/bin:/usr/sbin:/usr/bin`, the root as its directory, and no input.
///
/// # Errors
/// What execve(2) gives, for a message.
pub fn run_agent(release: &Release) -> io::Result<()> {
    Command::new(&release.agent)
        .arg(OsStr::from_bytes(&release.path))
        .env_clear()
        .env("HOME", "/")
        .env("PATH", "/sbin:/bin:/usr/sbin:/usr/bin")
        .current_dir("/")
        .stdin(Stdio::null())
        .spawn()
        .map(drop)
}
