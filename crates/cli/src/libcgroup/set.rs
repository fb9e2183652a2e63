//! `cgset`.

use nix::errno::Errno;
use penfold_core::ErrorKind;
use penfold_server::protocol::{FilesCall, WriteCall};

use super::exit_status::EXIT_STATUS;
use super::spec::{MountedHierarchies, at};
use crate::engine_connection::EngineConnection;
use crate::failure::{Failure, Outcome, each, usage};
use crate::settings::Setting;
use crate::verbs::{get, set};

/// Sets parameters of control groups, as libcgroup's cgset(1).
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS, after_long_help = format!("\
Examples:
  cgset -r pids.max=10 -r cpuset.cpus=0 student
  cgset --copy-from group1 group2

{EXIT_STATUS}"))]
pub(crate) struct CgsetArguments {
    /// A parameter and its value. The part before the dot is the controller.
    #[arg(short = 'r', long = "variable", value_name = "NAME=VALUE", required_unless_present = "copy_from")]
    settings: Vec<Setting>,

    /// Copies all parameters of this group, in every hierarchy that has both groups.
    #[arg(long, value_name = "PATH", conflicts_with = "settings")]
    copy_from: Option<String>,

    /// The groups' paths.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
}

pub(super) fn run(arguments: &CgsetArguments, remote: &mut EngineConnection) -> Outcome {
    let hierarchies = MountedHierarchies::fetch(remote)?;
    if let Some(from) = &arguments.copy_from {
        return each(&arguments.paths, |path| copy(remote, &hierarchies, from, path));
    }
    let pairs: Vec<GroupSetting<'_>> = arguments
        .paths
        .iter()
        .flat_map(|path| arguments.settings.iter().map(move |setting| GroupSetting { path, setting }))
        .collect();
    each(&pairs, |GroupSetting { path, setting }| {
        let hierarchy = hierarchies.with_controller(controller(&setting.file)?)?;
        set::write(remote, &at(hierarchy, path), setting)
    })
}

struct GroupSetting<'a> {
    path: &'a str,
    setting: &'a Setting,
}

impl std::fmt::Display for GroupSetting<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}={}", self.path, self.setting.file, self.setting.value)
    }
}

/// The controller of a parameter.
pub(super) fn controller(parameter: &str) -> Result<&str, Failure> {
    let parts = parameter.split_once('.');
    parts.map(|(controller, _)| controller).ok_or_else(|| usage(parameter, "a parameter is CONTROLLER.NAME"))
}

/// Copies each parameter that can be read and written and that differs, in every hierarchy that has both groups.
fn copy(
    remote: &mut EngineConnection,
    hierarchies: &MountedHierarchies,
    from: &str,
    to: &str,
) -> Result<(), Failure> {
    let mut both = false;
    for hierarchy in &hierarchies.0 {
        let (from, to) = (at(hierarchy, from), at(hierarchy, to));
        let Ok(files) = remote.call(&FilesCall { cgroup: from.0.clone() }) else { continue };
        if remote.call(&FilesCall { cgroup: to.0.clone() }).is_err() {
            continue;
        }
        both = true;
        for file in files.files.iter().filter(|file| file.owner.mode & 0o600 == 0o600) {
            let parameter = hierarchy.subsystems.iter().any(|one| file.name.starts_with(&format!("{one}.")));
            // files of cpuacct are counters: a write only resets them
            if !parameter || file.name.starts_with("cpuacct.") {
                continue;
            }
            let content = get::read(remote, &from, &file.name)?;
            if get::read(remote, &to, &file.name).is_ok_and(|now| now == content) {
                continue;
            }
            let call = WriteCall { cgroup: to.0.clone(), file: file.name.clone(), content };
            remote.call(&call)?;
        }
    }
    if both {
        return Ok(());
    }
    let detail = format!("no hierarchy has both this group and {from}");
    Err(Failure::new(ErrorKind::NotFound, Errno::ENOENT, to, detail))
}
