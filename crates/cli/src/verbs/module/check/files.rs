//! Reading and writing every file of a module.

use penfold_core::{Caller, CgroupId, Engine, Errno, control_file::FileId, host::Host};

use super::error_text;
use super::report::CheckReport;
use crate::failure::Failure;

/// The control files of a module in one cgroup, by name, with their contents.
pub(super) type FileContents = Vec<(String, String)>;

pub(super) fn own(engine: &Engine, cgroup: CgroupId, name: &str) -> Vec<(String, FileId, u32)> {
    let prefix = format!("{name}.");
    let files = engine.files(cgroup).unwrap_or_default().into_iter();
    files
        .filter(|file| file.name.starts_with(&prefix))
        .map(|file| (file.name, file.id, file.owner.mode))
        .collect()
}

/// Reads every readable file. The content of a file that can't be read is the error.
pub(super) fn snapshot(
    engine: &mut Engine,
    host: &mut dyn Host,
    caller: &Caller,
    cgroup: CgroupId,
    name: &str,
) -> FileContents {
    let files = own(engine, cgroup, name).into_iter().filter(|(.., mode)| mode & 0o444 != 0);
    files
        .map(|(file, id, _)| {
            let content = engine.session(host, caller).read(cgroup, id);
            (
                file,
                content.map_or_else(
                    |error| error_text(&error),
                    |bytes| String::from_utf8_lossy(&bytes).into_owned(),
                ),
            )
        })
        .collect()
}

/// The files whose contents differ; `None` if all are equal.
pub(super) fn difference(before: &FileContents, after: &FileContents) -> Option<String> {
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

/// Reads every file in a cgroup, and writes the content back.
pub(super) fn try_all(
    (engine, host): (&mut Engine, &mut dyn Host),
    caller: &Caller,
    (cgroup, at): (CgroupId, &str),
    name: &str,
    report: &mut CheckReport,
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
            // a journal restores a file by writing its former content
            Some(text) => match engine.session(host, caller).write(cgroup, id, &text) {
                Ok(()) => report.good(&format!("write {what}"), "takes back what it shows")?,
                Err(error) => {
                    let how = format!(
                        "does not take back what it shows, so it can't be restored: {}",
                        error_text(&error)
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

/// Reports an error: a refusal may be intended, a fault of the module (`EIO`) never is.
fn judge(report: &mut CheckReport, what: &str, error: &penfold_core::Error) -> Result<(), Failure> {
    if error.errno() == Errno::EIO {
        report.wrong(what, &error_text(error))
    } else {
        report.note(what, &error_text(error))
    }
}
