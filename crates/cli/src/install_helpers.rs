//! `penfold install-helpers`: the links by which mount(8) reaches penfold.

use penfold_core::ErrorKind;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::failure::{Failure, Outcome};
use crate::mount_helper::HELPERS;

/// Installs the helpers that mount(8) runs: `mount -t fuse.penfold`, `mount -t cgroup` and `mount -t cpuset` then reach
/// penfold.
///
/// They are symbolic links to this program: mount.fuse.penfold, mount.cgroup and mount.cpuset in /sbin.
///
/// WARNING: with mount.cgroup and mount.cpuset every `mount -t cgroup` on this machine goes to penfold, also from
/// scripts that mean the kernel's own. Such a script needs `mount -i`, which runs no helper. Programs that call
/// mount(2) themselves are not redirected. `--only-fuse` installs mount.fuse.penfold alone.
#[derive(Debug, clap::Args)]
pub(crate) struct InstallHelpersArguments {
    /// Installs below this directory instead of /.
    #[arg(long, value_name = "DIRECTORY", default_value = "/")]
    prefix: PathBuf,

    /// Installs only mount.fuse.penfold, which redirects nothing.
    #[arg(long)]
    only_fuse: bool,

    /// Removes the helpers.
    #[arg(long, conflicts_with = "only_fuse")]
    remove: bool,
}

pub(crate) fn run(arguments: &InstallHelpersArguments) -> Outcome {
    let directory = arguments.prefix.join("sbin");
    let helpers = HELPERS.iter().map(|(helper, _)| *helper);
    if arguments.remove {
        for helper in helpers {
            remove(&directory.join(helper))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let program = std::env::current_exe().map_err(|error| Failure::io("the path of this program", error))?;
    fs::create_dir_all(&directory).map_err(|error| Failure::io(directory.to_string_lossy(), error))?;
    for helper in helpers.filter(|helper| !arguments.only_fuse || helper.contains("fuse")) {
        install(&program, &directory.join(helper))?;
    }
    if !arguments.only_fuse {
        eprintln!(
            "penfold: from now on `mount -t cgroup` and `mount -t cpuset` are penfold's on this machine; the kernel's own \
             are mounted with `mount -i`. Take it back with `penfold install-helpers --remove`."
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether this verb has installed the link. Any other file of that name is left alone.
fn is_ours(link: &Path) -> bool {
    fs::read_link(link).is_ok_and(|to| to.file_name().is_some_and(|name| name == "penfold"))
}

fn install(program: &Path, link: &Path) -> Result<(), Failure> {
    if is_ours(link) {
        fs::remove_file(link).map_err(|error| Failure::io(link.to_string_lossy(), error))?;
    }
    symlink(program, link).map_err(|error| {
        let failure = Failure::io(link.to_string_lossy(), error);
        match failure.kind {
            ErrorKind::AlreadyExists => {
                Failure { detail: "another program has this name; it is left alone".to_owned(), ..failure }
            }
            _ => failure,
        }
    })?;
    println!("{}", link.display());
    Ok(())
}

fn remove(link: &Path) -> Result<(), Failure> {
    if is_ours(link) {
        fs::remove_file(link).map_err(|error| Failure::io(link.to_string_lossy(), error))?;
        println!("{}", link.display());
    }
    Ok(())
}
