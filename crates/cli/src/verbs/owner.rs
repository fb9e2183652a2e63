//! `penfold chown` and `penfold chmod`.

use nix::unistd::{Group, User};
use penfold_server::protocol::{FilesCall, SetOwnerCall};

use crate::address::CgroupAddress;
use crate::engine_connection::{EngineConnection, GlobalOptions};
use crate::failure::{Outcome, each};
use crate::verbs::EXIT_STATUS;
use crate::verbs::mkdir::octal;

/// Gives a cgroup to another user or group: its directory, control files of it, or all with -a.
///
/// Use chown -a to give a user a cgroup to work in. The owner of the directory can make cgroups below. A user who may
/// write cgroup.procs can move processes in, and a user who may write a control file can set it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS, after_long_help = format!("\
Examples:
  penfold chown -a alice:users /alice
  penfold chown alice pids:/shared cgroup.procs tasks

{EXIT_STATUS}"))]
pub(crate) struct ChownArguments {
    /// The new owner: USER, USER:GROUP or :GROUP, as names or numbers.
    #[arg(value_name = "OWNER", value_parser = owner)]
    owner: (Option<u32>, Option<u32>),

    #[command(flatten)]
    target: OwnerTarget,
}

/// Changes the permissions of a cgroup: of its directory, of control files of it, or of all with -a.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS, after_long_help = format!("\
Examples:
  penfold chmod 755 /build
  penfold chmod 664 /build cgroup.procs

{EXIT_STATUS}"))]
pub(crate) struct ChmodArguments {
    /// The permissions, in octal digits.
    #[arg(value_parser = octal)]
    mode: u32,

    #[command(flatten)]
    target: OwnerTarget,
}

#[derive(Debug, clap::Args)]
struct OwnerTarget {
    /// The directory and every control file in it.
    #[arg(short, long, conflicts_with = "files")]
    all: bool,

    /// The cgroup: [HIERARCHY:]/path.
    #[arg(value_name = "ADDRESS", value_parser = CgroupAddress::parser())]
    cgroup: CgroupAddress,

    /// Control files of the cgroup. The default is the directory itself.
    #[arg(value_name = "FILE")]
    files: Vec<String>,
}

/// Parses `USER[:GROUP]`, by name or number, into uid and gid. Either may be left out.
pub(crate) fn owner(text: &str) -> Result<(Option<u32>, Option<u32>), String> {
    let (user, group) = text.split_once(':').unwrap_or((text, ""));
    let named = |name: &str| User::from_name(name).ok().flatten().map(|user| user.uid.as_raw());
    let user = id(user, named).map_err(|()| "no such user".to_owned())?;
    let named = |name: &str| Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw());
    let group = id(group, named).map_err(|()| "no such group".to_owned())?;
    if user.or(group).is_none() {
        return Err("give USER, USER:GROUP or :GROUP".to_owned());
    }
    Ok((user, group))
}

fn id(text: &str, named: impl Fn(&str) -> Option<u32>) -> Result<Option<u32>, ()> {
    match text {
        "" => Ok(None),
        text => text.parse().ok().or_else(|| named(text)).map(Some).ok_or(()),
    }
}

pub(crate) fn chown(arguments: &ChownArguments, global: &GlobalOptions) -> Outcome {
    let (uid, gid) = arguments.owner;
    let change =
        SetOwnerCall { uid: uid.map(Into::into), gid: gid.map(Into::into), ..SetOwnerCall::default() };
    apply(&mut global.connect()?, &arguments.target, &change)
}

pub(crate) fn chmod(arguments: &ChmodArguments, global: &GlobalOptions) -> Outcome {
    let change = SetOwnerCall { mode: Some(arguments.mode.into()), ..SetOwnerCall::default() };
    apply(&mut global.connect()?, &arguments.target, &change)
}

fn apply(remote: &mut EngineConnection, target: &OwnerTarget, change: &SetOwnerCall) -> Outcome {
    let cgroup = &target.cgroup;
    let mut names: Vec<Option<String>> = target.files.iter().cloned().map(Some).collect();
    if names.is_empty() {
        if target.all {
            let files = remote.call(&FilesCall { cgroup: cgroup.0.clone() });
            let files = files?.files;
            names.extend(files.into_iter().map(|file| Some(file.name)));
        }
        // the directory is last: a caller who gives it away may have no access to the files any more
        names.push(None);
    }
    let shown = |name: &Option<String>| name.as_ref().map_or(cgroup.clone(), |name| cgroup.child(name));
    each(names.iter().map(|name| OwnedItem(shown(name), name)), |OwnedItem(_, file)| {
        let call = SetOwnerCall { cgroup: cgroup.0.clone(), file: (*file).clone(), ..change.clone() };
        remote.call(&call).map(drop)
    })
}

struct OwnedItem<'a>(CgroupAddress, &'a Option<String>);

impl std::fmt::Display for OwnedItem<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_names_or_numbers() {
        assert_eq!(owner("0:0"), Ok((Some(0), Some(0))));
        assert_eq!(owner("root"), Ok((Some(0), None)));
        assert_eq!(owner(":7"), Ok((None, Some(7))));
        assert!(owner("").is_err() && owner(":").is_err() && owner("no-such-user-here").is_err());
    }
}
