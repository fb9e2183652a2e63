//! The machine: which CPUs a run may use, and the binary that is measured.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The CPUs that this process may use.
///
/// # Errors
/// As `sched_getaffinity(2)`.
pub fn cpus() -> nix::Result<Vec<usize>> {
    let allowed = sched_getaffinity(Pid::from_raw(0))?;
    Ok((0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu).unwrap_or(false)).collect())
}

/// Puts this process, and so everything it starts from now on, on these CPUs.
///
/// # Errors
/// As `sched_setaffinity(2)`.
pub fn use_cpus(cpus: &[usize]) -> nix::Result<()> {
    let mut set = CpuSet::new();
    cpus.iter().try_for_each(|&cpu| set.set(cpu))?;
    sched_setaffinity(Pid::from_raw(0), &set)
}

/// Builds penfold in release mode and returns the path of the binary, beside this program: a stale binary would be
/// measured unnoticed.
///
/// # Errors
/// When the build fails, or this program itself was not built in release mode.
pub fn build_penfold() -> io::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = Command::new(cargo)
        .args(["build", "--release", "--quiet", "-p", "penfold"])
        .current_dir(workspace)
        .status()?;
    let penfold = std::env::current_exe()?.with_file_name("penfold");
    if built.success() && penfold.components().any(|part| part.as_os_str() == "release") && penfold.exists() {
        return Ok(penfold);
    }
    Err(io::Error::other(
        "no release binary of penfold beside this one; use cargo run --release, or --penfold",
    ))
}
