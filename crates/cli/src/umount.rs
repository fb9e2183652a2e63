//! `penfold umount`.

use std::path::Path;

use penfold_linux::fuse_mount::{Unmounting, unmount};
use penfold_server::protocol::UnmountCall;

use crate::engine_connection::GlobalOptions;
use crate::failure::{Outcome, each};
use crate::verbs::EXIT_STATUS;

/// Unmounts files at a path, as umount(8) does, or a hierarchy that was mounted without a path.
///
/// A hierarchy without cgroups below its root ends with its last mount. A hierarchy with cgroups lives on unmounted.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS)]
pub(crate) struct UmountArguments {
    /// Removes the mount point now, and the mount when its last user is gone.
    #[arg(short, long)]
    lazy: bool,

    /// A mount point, recognised by its slash, or a hierarchy.
    #[arg(required = true, value_name = "PATH|HIERARCHY")]
    targets: Vec<String>,
}

pub(crate) fn run(arguments: &UmountArguments, global: &GlobalOptions) -> Outcome {
    each(&arguments.targets, |target| {
        if target.contains('/') || (Path::new(target.as_str()).is_dir() && !target.ends_with(':')) {
            let how = Unmounting { lazy: arguments.lazy };
            return Ok(unmount(Path::new(target.as_str()), how)?);
        }
        global.connect()?.call(&UnmountCall { hierarchy: (*target).clone() })?;
        Ok(())
    })
}
