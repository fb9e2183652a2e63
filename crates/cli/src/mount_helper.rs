//! The helpers that mount(8) calls: `mount.fuse.penfold`, `mount.cgroup` and `mount.cpuset`.

use penfold_core::ErrorKind;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::engine_connection::GlobalOptions;
use crate::failure::{Failure, usage};
use crate::mount::{mount_files, remount};
use crate::mount_options::SplitMountOptions;

/// The exit status of mount(8) for an incorrect invocation.
const USAGE: u8 = 1;
/// The exit status of mount(8) for a mount failure.
const MOUNT_FAILURE: u8 = 32;

/// The helpers, and the file system that each mounts.
pub(crate) const HELPERS: [(&str, &str); 3] =
    [("mount.fuse.penfold", "cgroup"), ("mount.cgroup", "cgroup"), ("mount.cpuset", "cpuset")];

/// The file system to mount, if this program was called as a helper.
pub(crate) fn called_as() -> Option<&'static str> {
    let name = std::env::args_os().next()?;
    let name = Path::new(&name).file_name()?.to_str()?.to_owned();
    HELPERS.iter().find(|(helper, _)| *helper == name).map(|(_, filesystem)| *filesystem)
}

/// The arguments from mount(8): `SOURCE TARGET [-sfnv] [-N NAMESPACE] [-o OPTIONS] [-t TYPE]`.
#[derive(Debug, Default, PartialEq, Eq)]
struct MountInvocation {
    source: String,
    target: PathBuf,
    options: OsString,
    /// Nothing is mounted; only a daemon must answer.
    fake: bool,
}

impl MountInvocation {
    fn parse(words: impl IntoIterator<Item = OsString>) -> Result<MountInvocation, Failure> {
        let mut call = MountInvocation::default();
        let mut operands = Vec::new();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let text = word.to_string_lossy().into_owned();
            let mut value = || words.next().ok_or_else(|| usage(text.clone(), "needs a value"));
            match text.as_str() {
                "-o" => {
                    if !call.options.is_empty() {
                        call.options.push(",");
                    }
                    call.options.push(value()?);
                }
                // -N: mount(8) has entered the namespace itself
                "-t" | "-N" => drop(value()?),
                "-r" => call.options.push(",ro"),
                flags if flags.len() > 1 && flags.starts_with('-') => {
                    for flag in flags[1..].chars() {
                        match flag {
                            'f' => call.fake = true,
                            's' | 'n' | 'v' | 'w' => {}
                            other => return Err(usage(format!("-{other}"), "no such option")),
                        }
                    }
                }
                _ => operands.push(word),
            }
        }
        match operands.as_slice() {
            [source, target] => {
                call.source = source.to_string_lossy().into_owned();
                call.target = target.into();
                Ok(call)
            }
            _ => Err(usage("arguments", "must be SOURCE TARGET [-sfnv] [-o OPTIONS]")),
        }
    }
}

/// Mounts `filesystem` by the arguments of this process. Messages and exit statuses are those of mount(8).
pub(crate) fn main(filesystem: &str) -> ExitCode {
    let mut words = std::env::args_os();
    let own = words.next().unwrap_or_default();
    let own = Path::new(&own).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let call = match MountInvocation::parse(words) {
        Ok(call) => call,
        Err(failure) => {
            eprintln!("{own}: {}", failure.line());
            return ExitCode::from(USAGE);
        }
    };
    match act(&call, filesystem) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let reason = match failure.kind {
                ErrorKind::Busy => "already mounted or mount point busy: ",
                ErrorKind::InvalidOption | ErrorKind::InvalidArgument => {
                    "wrong fs type, bad option, bad superblock: "
                }
                ErrorKind::NotPermitted => "permission denied: ",
                _ => "",
            };
            eprintln!("{own}: {}", failure.with_prefix(reason).line());
            ExitCode::from(MOUNT_FAILURE)
        }
    }
}

fn act(call: &MountInvocation, filesystem: &str) -> Result<(), Failure> {
    let options = SplitMountOptions::parse(call.options.as_bytes());
    let filesystem = options.filesystem.as_deref().unwrap_or(filesystem);
    let mut remote = GlobalOptions { socket: None }.connect()?;
    if call.fake {
        return Ok(());
    }
    if options.remount {
        return remount(&mut remote, &options, &call.target);
    }
    mount_files(&mut remote, &options, filesystem, &call.source, &call.target)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<MountInvocation, Failure> {
        MountInvocation::parse(words.split(' ').map(OsString::from))
    }

    #[test]
    fn arguments_of_mount_are_understood() {
        let call = parse("none /mnt -o rw,cpu -n -v").expect("as mount(8) says it");
        assert_eq!((call.source.as_str(), call.target.as_path()), ("none", Path::new("/mnt")));
        assert_eq!((call.options.as_bytes(), call.fake), (&b"rw,cpu"[..], false));
        let call = parse("x /mnt -sf -t cgroup -o cpu -o name=a -r").expect("in any order");
        assert_eq!((call.options.as_bytes(), call.fake), (&b"cpu,name=a,ro"[..], true));
        for wrong in ["none", "a b c", "a b -x", "a b -o"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
