//! The client's side of a file view: mounting `/dev/fuse` in the client's mount namespace, for a daemon to serve.
//!
//! A client with `CAP_SYS_ADMIN` over its mount namespace mounts by itself, also inside a user namespace. Others need
//! fusermount3, which is set-user-ID and keeps its own rules (`/etc/fuse.conf`).

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use nix::unistd::{AccessFlags, faccessat, getegid, geteuid};
use penfold_core::ErrorKind;

use crate::descriptor_limit::given_back;
use crate::error_text::error_text;
use crate::proc::in_initial_user_namespace;

/// The source that `/proc/mounts` shows.
pub const SOURCE: &str = "penfold";
const DEVICE: &str = "/dev/fuse";
const HELPER: &str = "fusermount3";

/// The subtype of a view, such as `cgroup.cpu+cpuacct+name=x` for a hierarchy with these subsystems and this name.
/// Parts that the hierarchy lacks are left out.
///
/// The result is never the kernel's type `cgroup`: `/proc/mounts` shows `fuse.` before it.
pub fn subtype<S: AsRef<str>>(filesystem: &str, subsystems: &[S], name: Option<&str>) -> String {
    let name = name.filter(|name| !name.is_empty()).map(|name| format!("name={name}"));
    let parts: Vec<&str> = subsystems.iter().map(AsRef::as_ref).chain(name.as_deref()).collect();
    match (filesystem, parts.as_slice()) {
        ("cgroup", [_, ..]) => format!("cgroup.{}", parts.join("+")),
        (other, _) => other.to_owned(),
    }
}

/// A mount to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FuseMount {
    /// The type is shown in `/proc/mounts` as `fuse.SUBTYPE`. It holds no comma.
    pub subtype: String,
    /// The source in `/proc/mounts`; [`SOURCE`] as a rule.
    pub source: String,
    /// Whether the mount refuses every change.
    pub read_only: bool,
}

/// The reason why a mount or unmount failed.
#[derive(Debug)]
pub enum MountError {
    /// The device can't be opened.
    Device(Errno),
    /// mount(2) or umount(2) has failed.
    Refused {
        /// The mount point.
        target: PathBuf,
        /// The error of the call.
        errno: Errno,
    },
    /// The target of an unmount is no mount point: `EINVAL`.
    NotMounted(PathBuf),
    /// Not permitted, and fusermount3, the helper for users who may not mount, is not installed.
    NoHelper(PathBuf),
    /// The helper has failed. The reason is on its standard error.
    Helper(PathBuf),
}

impl MountError {
    /// The errno that mount(2) would give for it.
    pub fn errno(&self) -> Errno {
        match self {
            MountError::Device(errno) | MountError::Refused { errno, .. } => *errno,
            MountError::NotMounted(_) => Errno::EINVAL,
            MountError::NoHelper(_) | MountError::Helper(_) => Errno::EPERM,
        }
    }

    /// The kind, for a program to decide by.
    pub fn kind(&self) -> ErrorKind {
        match self {
            MountError::Device(_) => ErrorKind::Unsupported,
            MountError::Refused { errno: Errno::EINVAL, .. } => ErrorKind::InvalidOption,
            MountError::Refused { errno, .. } => ErrorKind::of_system_call(*errno as i32),
            MountError::NotMounted(_) => ErrorKind::InvalidArgument,
            MountError::NoHelper(_) | MountError::Helper(_) => ErrorKind::NotPermitted,
        }
    }

    /// The mount point, or `/dev/fuse`.
    pub fn subject(&self) -> Cow<'_, str> {
        match self {
            MountError::Device(_) => Cow::Borrowed(DEVICE),
            MountError::Refused { target, .. }
            | MountError::NotMounted(target)
            | MountError::NoHelper(target)
            | MountError::Helper(target) => target.to_string_lossy(),
        }
    }

    /// The fault in words and, after a semicolon, the remedy. Does not repeat the subject.
    pub fn detail(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            MountError::Device(errno) => {
                let remedy = device_remedy(*errno, refusing_mode());
                return Cow::Owned(format!("{}; {remedy}, or use the control socket", error_text(*errno)));
            }
            MountError::Refused { errno: Errno::EPERM, .. } if !in_initial_user_namespace() => {
                "a user namespace may mount only in a mount namespace of its own; make both with `unshare -rm`"
            }
            MountError::Refused { errno, .. } => error_text(*errno),
            MountError::NotMounted(_) => "nothing is mounted there",
            MountError::NoHelper(_) => {
                "this user may not mount, and fusermount3 is not installed (package fuse3); inside `unshare -rm` it \
                 needs neither"
            }
            MountError::Helper(_) => "refused by fusermount3; see its message",
        })
    }
}

/// Mode, user and group of `/dev/fuse` if they keep this process from opening it.
fn refusing_mode() -> Option<(u32, u32, u32)> {
    let device = fs::metadata(DEVICE).ok()?;
    let wanted = AccessFlags::R_OK | AccessFlags::W_OK;
    if faccessat(AT_FDCWD, DEVICE, wanted, AtFlags::AT_EACCESS).is_ok() {
        return None;
    }
    Some((device.mode() & 0o777, device.uid(), device.gid()))
}

/// The remedy where `/dev/fuse` can't be opened, by the errno and by a mode and owner that refuse.
fn device_remedy(errno: Errno, mode: Option<(u32, u32, u32)>) -> Cow<'static, str> {
    let text = match (errno, mode) {
        (Errno::ENOENT, _) => {
            "there is no device: load the kernel's module (modprobe fuse), and give a container the device"
        }
        (Errno::ENODEV | Errno::ENXIO, _) => {
            "the device has no driver: the kernel's fuse module is not loaded (modprobe fuse)"
        }
        (Errno::EACCES | Errno::EPERM, Some((mode, uid, gid))) => {
            return Cow::Owned(format!(
                "the device is there with mode {mode:04o} and owner {uid}:{gid}: it must be open to this user (chmod 666)"
            ));
        }
        (Errno::EACCES | Errno::EPERM, None) => {
            "the device is there, but it may not be opened: allow it in the container's list of devices, and on a file \
             system without nodev"
        }
        _ => "the device can't be used",
    };
    Cow::Borrowed(text)
}

impl fmt::Display for MountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject(), self.detail())
    }
}

impl Error for MountError {}

impl FuseMount {
    /// Mounts and returns the open `/dev/fuse`.
    ///
    /// Until the device is served, every access to the target waits. Once it is closed, an access fails with
    /// `ENOTCONN`: a caller that finds no server unmounts.
    ///
    /// # Errors
    /// [`MountError`]; then nothing is mounted.
    pub fn mount(&self, target: &Path) -> Result<OwnedFd, MountError> {
        match self.mount_directly(target) {
            Err(MountError::Refused { errno: Errno::EPERM, .. }) if !geteuid().is_root() => {
                self.mount_by_helper(target)
            }
            Err(device @ MountError::Device(Errno::EACCES | Errno::EPERM)) if !geteuid().is_root() => {
                // the helper may open devices that this user may not
                self.mount_by_helper(target).map_err(|_| device)
            }
            answer => answer,
        }
    }

    fn mount_directly(&self, target: &Path) -> Result<OwnedFd, MountError> {
        let opened = OpenOptions::new().read(true).write(true).open(DEVICE);
        let device: OwnedFd = opened
            .map_err(|error| MountError::Device(error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)))?
            .into();
        // as with every file system of the kernel's own: no control file can be executed, whatever its mode
        let mut flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        flags.set(MsFlags::MS_RDONLY, self.read_only);
        let data = format!(
            "fd={},rootmode=40555,user_id={},group_id={},default_permissions,allow_other",
            device.as_raw_fd(),
            geteuid(),
            getegid()
        );
        let kind = format!("fuse.{}", self.subtype);
        mount(Some(self.source.as_str()), target, Some(kind.as_str()), flags, Some(data.as_str()))
            .map_err(|errno| MountError::Refused { target: target.to_owned(), errno })?;
        Ok(device)
    }

    /// fusermount3 mounts and sends the device over a socket, whose number is in its environment.
    fn mount_by_helper(&self, target: &Path) -> Result<OwnedFd, MountError> {
        let refused = |error: io::Error| MountError::Refused {
            target: target.to_owned(),
            errno: error.raw_os_error().map_or(Errno::EIO, Errno::from_raw),
        };
        let (ours, theirs) = UnixStream::pair().map_err(refused)?;
        let access = if self.read_only { "ro" } else { "rw" };
        // an `allow_other` that /etc/fuse.conf does not permit makes the helper refuse the whole mount
        let others = if others_may_look() { ",allow_other" } else { "" };
        let options = format!(
            "{access},nosuid,nodev,noexec,default_permissions{others},fsname={},subtype={}",
            self.source, self.subtype
        );
        let status = given_back(&mut Command::new(HELPER))
            .args(["-o", &options, "--"])
            .arg(target)
            // the socket is its standard input, so that no other descriptor has to be inherited
            .env("_FUSE_COMMFD", "0")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .status();
        match status {
            Ok(status) if status.success() => {
                receive_descriptor(&ours).map_err(|_| MountError::Helper(target.to_owned()))
            }
            Ok(_) => Err(MountError::Helper(target.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(MountError::NoHelper(target.to_owned()))
            }
            Err(error) => Err(refused(error)),
        }
    }
}

/// Whether users may make mounts that others can access. Without it only the mounting user can, not even root.
fn others_may_look() -> bool {
    let text = fs::read_to_string("/etc/fuse.conf").unwrap_or_default();
    text.lines().any(|line| line.trim() == "user_allow_other")
}

fn receive_descriptor(socket: &UnixStream) -> io::Result<OwnedFd> {
    let mut byte = [0];
    let mut buffers = [IoSliceMut::new(&mut byte)];
    let mut space = nix::cmsg_space!(std::os::fd::RawFd);
    let message =
        recvmsg::<()>(socket.as_raw_fd(), &mut buffers, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(descriptors) = control
            && let Some(&descriptor) = descriptors.first()
        {
            // SAFETY: the kernel has just made this descriptor for this process, and no other code has its number.
            return Ok(unsafe { OwnedFd::from_raw_fd(descriptor) });
        }
    }
    Err(io::Error::from_raw_os_error(libc::EPROTO))
}

/// The manner of an unmount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unmounting {
    /// Detaches the mount point now, and the file system when its last user has gone (`umount -l`).
    pub lazy: bool,
}

/// Unmounts a file view, as umount(8) does.
///
/// # Errors
/// [`MountError`]: `EBUSY` while it is in use, `EINVAL` if nothing is mounted there.
pub fn unmount(target: &Path, how: Unmounting) -> Result<(), MountError> {
    let mut flags = MntFlags::empty();
    flags.set(MntFlags::MNT_DETACH, how.lazy);
    match umount2(target, flags) {
        Ok(()) => Ok(()),
        Err(Errno::EPERM) if !geteuid().is_root() => unmount_by_helper(target, how),
        Err(Errno::EINVAL) => Err(MountError::NotMounted(target.to_owned())),
        Err(errno) => Err(MountError::Refused { target: target.to_owned(), errno }),
    }
}

fn unmount_by_helper(target: &Path, how: Unmounting) -> Result<(), MountError> {
    let options: &[&str] = if how.lazy { &["-u", "-z", "--"] } else { &["-u", "--"] };
    let mut helper = Command::new(HELPER);
    match given_back(&mut helper).args(options).arg(target).stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(MountError::Helper(target.to_owned())),
        Err(_) => Err(MountError::NoHelper(target.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remedy_tells_why_the_device_is_not_opened() {
        let of = |errno, mode| device_remedy(errno, mode).into_owned();
        assert!(of(Errno::ENOENT, None).starts_with("there is no device: "));
        for errno in [Errno::ENODEV, Errno::ENXIO] {
            assert!(of(errno, None).contains("no driver"), "{errno}");
        }
        for errno in [Errno::EACCES, Errno::EPERM] {
            assert!(of(errno, Some((0o660, 0, 7))).contains("mode 0660 and owner 0:7"), "{errno}");
            assert!(of(errno, None).contains("list of devices"), "{errno}");
        }
        assert_eq!(of(Errno::EMFILE, None), "the device can't be used");
    }
}
