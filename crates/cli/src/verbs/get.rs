//! `penfold cat`, also called `get`.

use std::collections::BTreeMap;

use penfold_core::ErrorKind;
use penfold_server::escape::unescape;
use penfold_server::protocol::{FilesCall, ReadCall};

use crate::address::CgroupAddress;
use crate::engine_connection::{EngineConnection, GlobalOptions};
use crate::failure::{Failure, Outcome, each};
use crate::output;
use crate::verbs::EXIT_STATUS;

/// Reads control files of a cgroup.
///
/// The content of one FILE is printed as it is. Without FILE, all readable files are printed. Of several files, each
/// line begins with the file's name. The address may also end in the file's name.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS, after_long_help = format!("\
Examples:
  penfold cat /build pids.current
  penfold cat pids:/build/pids.current
  penfold get /build pids.max pids.current cpuset.cpus
  penfold get --json /build

{EXIT_STATUS}"))]
pub(crate) struct CatArguments {
    /// As one JSON document: the contents by the files' names.
    #[arg(long)]
    json: bool,

    /// The cgroup: [HIERARCHY:]/path.
    #[arg(value_name = "ADDRESS", value_parser = CgroupAddress::parser())]
    cgroup: CgroupAddress,

    /// The control files.
    #[arg(value_name = "FILE")]
    files: Vec<String>,
}

pub(crate) fn run(arguments: &CatArguments, global: &GlobalOptions) -> Outcome {
    let mut remote = global.connect()?;
    let (cgroup, files) = named(&mut remote, arguments)?;
    let one = files.len() == 1;
    let mut contents = BTreeMap::new();
    let outcome = each(&files, |file| {
        let content = read(&mut remote, &cgroup, file).map_err(|failure| match failure.kind {
            ErrorKind::NotFound if cgroup != arguments.cgroup => {
                Failure { detail: "no such cgroup or control file".to_owned(), ..failure }
            }
            _ => failure,
        })?;
        if arguments.json {
            contents.insert((*file).clone(), content);
            return Ok(());
        }
        if one {
            return output::write(&unescape(&content));
        }
        let text = content.lines().map(|line| format!("{file}: {line}\n")).collect::<Vec<_>>().concat();
        output::write(text.as_bytes())
    })?;
    if arguments.json {
        output::json(&contents)?;
    }
    Ok(outcome)
}

/// The content of a control file, escaped as the socket gives it.
pub(crate) fn read(
    remote: &mut EngineConnection,
    cgroup: &CgroupAddress,
    file: &str,
) -> Result<String, Failure> {
    let call = ReadCall { cgroup: cgroup.0.clone(), file: file.to_owned() };
    Ok(remote.call(&call)?.content)
}

/// The cgroup and its files to read: those named, the one at the end of the address, or all readable ones.
fn named(
    remote: &mut EngineConnection,
    arguments: &CatArguments,
) -> Result<(CgroupAddress, Vec<String>), Failure> {
    let cgroup = &arguments.cgroup;
    if !arguments.files.is_empty() {
        return Ok((cgroup.clone(), arguments.files.clone()));
    }
    match remote.call(&FilesCall { cgroup: cgroup.0.clone() }) {
        Ok(reply) => {
            let readable = reply.files.into_iter().filter(|file| file.owner.mode & 0o444 != 0);
            Ok((cgroup.clone(), readable.map(|file| file.name).collect()))
        }
        Err(failure) => match cgroup
            .split_last()
            .filter(|_| matches!(failure.kind, ErrorKind::NotFound | ErrorKind::WrongType))
        {
            // the last name may be that of a file
            Some((parent, file)) => Ok((parent, vec![file])),
            None => Err(failure),
        },
    }
}
