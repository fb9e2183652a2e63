//! Where the control socket of a daemon is.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::socket::sockopt::SendTimeout;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket};
use nix::sys::time::TimeVal;
use nix::unistd::geteuid;
use penfold_linux::proc::in_initial_user_namespace;

use crate::interruption::Interruption;

/// The variable of the environment that names a socket.
pub const VARIABLE: &str = "PENFOLD_SOCKET";

/// The variable of the environment by which a job of `penfold run` knows the socket of its own engine.
pub const JOB_VARIABLE: &str = "PENFOLD_JOB";

/// The socket of the daemon of the machine.
pub const OF_MACHINE: &str = "/run/penfold/control";

/// The address of a control socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A socket in the file system.
    Path(PathBuf),
    /// A name in the abstract namespace, which ends with its last user; written `@NAME`.
    Abstract(Vec<u8>),
}

/// No address was given, and there is no default for this user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("daemon: {}", NoAddress::DETAIL)]
pub struct NoAddress;

impl NoAddress {
    pub(crate) const DETAIL: &str = "none to be found: XDG_RUNTIME_DIR is not set and there is no /run/penfold/control; \
         give --socket or set PENFOLD_SOCKET";
}

impl Address {
    /// Parses a path or `@NAME`, each with or without varlink's `unix:` before it.
    pub fn parse(text: &OsStr) -> Address {
        let bytes = text.as_bytes();
        let bytes = bytes.strip_prefix(b"unix:").unwrap_or(bytes);
        match bytes.strip_prefix(b"@") {
            Some(name) => Address::Abstract(name.to_vec()),
            None => Address::Path(OsString::from_vec(bytes.to_vec()).into()),
        }
    }

    /// The address of a client's daemon. The first that applies:
    ///
    /// 1. `given` (`--socket`);
    /// 2. `$PENFOLD_SOCKET`;
    /// 3. `$PENFOLD_JOB`: the engine of the job of `penfold run` that the client is in;
    /// 4. the user's own daemon, if its socket exists or the machine has no daemon;
    /// 5. the machine's daemon.
    ///
    /// Root has no own daemon besides the machine's. The root of a user namespace other than the initial one has.
    ///
    /// # Errors
    /// [`NoAddress`] for a user without a runtime directory on a machine without a daemon.
    pub fn of_client(given: Option<&OsStr>) -> Result<Address, NoAddress> {
        let variable = |name| std::env::var_os(name).filter(|it| !it.is_empty());
        let named = given.map(OsStr::to_owned).or_else(|| variable(VARIABLE));
        let named = named.or_else(|| variable(JOB_VARIABLE));
        if let Some(named) = named {
            return Ok(Address::parse(&named));
        }
        let machine = Path::new(OF_MACHINE);
        let own = user_socket().filter(|own| own.exists() || !machine.exists());
        let root = geteuid().is_root();
        own.or((root || machine.exists()).then(|| machine.to_owned())).map(Address::Path).ok_or(NoAddress)
    }

    /// The address that a daemon listens at: `given` (`--socket`), `$PENFOLD_SOCKET`, or the user's own socket.
    /// Root's own is the machine's. The root of another user namespace has one in `$XDG_RUNTIME_DIR`, or without that
    /// variable at the machine's place.
    ///
    /// # Errors
    /// [`NoAddress`] for a user without a runtime directory.
    pub fn of_daemon(given: Option<&OsStr>) -> Result<Address, NoAddress> {
        let named = std::env::var_os(VARIABLE).filter(|it| !it.is_empty());
        if let Some(given) = given.map(OsStr::to_owned).or(named) {
            return Ok(Address::parse(&given));
        }
        let at_machine = || geteuid().is_root().then(|| OF_MACHINE.into());
        user_socket().or_else(at_machine).map(Address::Path).ok_or(NoAddress)
    }

    /// The address for connect(2) and bind(2).
    ///
    /// # Errors
    /// `ENAMETOOLONG` above the 107 bytes that the kernel takes.
    pub fn to_socket(&self) -> io::Result<SocketAddr> {
        let socket = match self {
            Address::Path(path) => SocketAddr::from_pathname(path),
            Address::Abstract(name) => SocketAddr::from_abstract_name(name),
        };
        socket.map_err(|_| nix::errno::Errno::ENAMETOOLONG.into())
    }

    /// Connects as [`Address::connect`] does, until a signal ends the wait.
    ///
    /// # Errors
    /// The error of connect(2). `None` if a signal came.
    pub(crate) fn connect_interruptible(
        &self,
        interruption: &Interruption,
    ) -> Result<UnixStream, Option<io::Error>> {
        let system = |errno: Errno| Some(io::Error::from(errno));
        let address = match self {
            Address::Path(path) => UnixAddr::new(path),
            Address::Abstract(name) => UnixAddr::new_abstract(name),
        };
        let address = address.map_err(system)?;
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None).map_err(system)?;
        setsockopt(&socket, SendTimeout, &CONNECT_STEP).map_err(system)?;
        let mut wait = interruption.begin().map_err(Some)?;
        loop {
            match connect(socket.as_raw_fd(), &address) {
                Ok(()) => break,
                Err(Errno::EAGAIN | Errno::EINTR) => wait.check().map_err(|_| None)?,
                Err(errno) => return Err(system(errno)),
            }
        }
        setsockopt(&socket, SendTimeout, &TimeVal::new(0, 0)).map_err(system)?;
        Ok(socket.into())
    }

    /// Connects and sends nothing.
    ///
    /// # Errors
    /// The error of connect(2).
    pub fn connect(&self) -> io::Result<UnixStream> {
        UnixStream::connect_addr(&self.to_socket()?)
    }
}

/// The longest that one connect(2) waits for a place in the queue of a daemon that accepts no connection. Then the client
/// looks for a signal, and waits again.
const CONNECT_STEP: TimeVal = TimeVal::new(0, 100_000);

/// The socket of the user's own daemon. The root of the machine has no other than the machine's.
///
/// User 0 of another user namespace is an ordinary user outside, as in a rootless container: `/run` may be the host's.
fn user_socket() -> Option<PathBuf> {
    let directory = std::env::var_os("XDG_RUNTIME_DIR").filter(|it| Path::new(it).is_absolute());
    let machines_root = geteuid().is_root() && in_initial_user_namespace();
    directory.filter(|_| !machines_root).map(|it| Path::new(&it).join("penfold/control"))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Path(path) => path.display().fmt(f),
            Address::Abstract(name) => write!(f, "@{}", String::from_utf8_lossy(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_address_are_read_and_shown() {
        for text in ["/run/penfold/control", "@penfold-7", "relative"] {
            assert_eq!(Address::parse(OsStr::new(text)).to_string(), text);
            let with_scheme = format!("unix:{text}");
            assert_eq!(Address::parse(OsStr::new(&with_scheme)).to_string(), text);
        }
        assert_eq!(Address::parse(OsStr::new("@x")), Address::Abstract(b"x".to_vec()));
        assert!(Address::Path("x".repeat(108).into()).connect().is_err());
    }
}
