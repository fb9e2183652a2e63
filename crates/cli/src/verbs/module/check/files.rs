//! Reading and writing every file of a module.

use penfold_core::{Caller, CgroupId, Engine, Errno, control_file::FileId, host::Host};

use super::report::Report;
use super::told;
use crate::failure::Failure;

/// The control files of a module in one cgroup, and what they show.
pub(super) type Snapshot = Vec<(String, String)>;

pub(super) fn own(engine: &Engine, cgroup: CgroupId, name: &str) -> Vec<(String, FileId, u32)> {
    let prefix = format!("{name}.");
    let files = engine.files(cgroup).unwrap_or_default().into_iter();
    files
        .filter(|file| file.name.starts_with(&prefix))
        .map(|file| (file.name, file.id, file.owner.mode))
        .collect()
}

/// Everything that can be read.
pub(super) fn snapshot(
    engine: &mut Engine,
    host: &mut dyn Host,
    caller: &Caller,
    cgroup: CgroupId,
    name: &str,
) -> Snapshot {
    let files = own(engine, cgroup, name).into_iter().filter(|(.., mode)| mode & 0o444 != 0);
    files
        .map(|(file, id, _)| {
            let content = engine.session(host, caller).read(cgroup, id);
            (
                file,
                content
                    .map_or_else(|error| told(&error), |bytes| String::from_utf8_lossy(&bytes).into_owned()),
            )
        })
        .collect()
}

/// What is shown differently.
pub(super) fn difference(before: &Snapshot, after: &Snapshot) -> Option<String> {
    let changed: Vec<String> = before
        .iter()
        .zip(after)
        .filter(|(before, after)| before != after)
        .map(|((file, before), (_, after))| {
            format!("{file} was {:?} and is {:?}", before.trim_end(), after.trim_end())
        })
        .collect();
    (!changed.is_empty()).then(|| changed.join("\n"))
}

/// Reads and writes every file in a cgroup: what it shows, and whether it takes that back.
pub(super) fn try_all(
    (engine, host): (&mut Engine, &mut dyn Host),
    caller: &Caller,
    (cgroup, at): (CgroupId, &str),
    name: &str,
    report: &mut Report,
) -> Result<(), Failure> {
    for (file, id, mode) in own(engine, cgroup, name) {
        let what = format!("{at}{file}");
        let mut shown = None;
        if mode & 0o444 != 0 {
            match engine.session(host, caller).read(cgroup, id) {
                Ok(text) => {
                    report.good(&format!("read {what}"), &String::from_utf8_lossy(&text))?;
                    shown = Some(text);
                }
                Err(error) => judge(report, &format!("read {what}"), &error)?,
            }
        }
        if mode & 0o222 == 0 {
            continue;
        }
        match shown.filter(|_| engine.is_setting(id)) {
            // a journal restores a file by writing what it showed
            Some(text) => match engine.session(host, caller).write(cgroup, id, &text) {
                Ok(()) => report.good(&format!("write {what}"), "takes back what it shows")?,
                Err(error) => {
                    let how = format!(
                        "does not take back what it shows, so it can't be restored: {}",
                        told(&error)
                    );
                    report.note(&format!("write {what}"), &how)?;
                }
            },
            None => match engine.session(host, caller).write(cgroup, id, b"1\n") {
                Ok(()) => report.good(&format!("write {what}"), "takes 1")?,
                Err(error) => judge(report, &format!("write {what}"), &error)?,
            },
        }
    }
    Ok(())
}

/// A refusal may be meant; a fault of the module never is.
fn judge(report: &mut Report, what: &str, error: &penfold_core::Error) -> Result<(), Failure> {
    if error.errno() == Errno::EIO {
        report.wrong(what, &told(error))
    } else {
        report.note(what, &told(error))
    }
}
