//! The listening socket: its directory, its lock against a second daemon, and the removal of a dead daemon's socket.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::geteuid;
use penfold_core::ErrorKind;

use crate::address::Address;
use crate::failure::Failure;

/// Why a daemon can't listen at its address.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another daemon listens there.
    #[error("{0}: a daemon serves there already; end it first, or give this one another --socket")]
    Taken(Address),
    /// The path exists and is no socket.
    #[error("{}: there is something that is no socket; remove it, or give another --socket", .0.display())]
    NoSocket(PathBuf),
    /// A step failed.
    #[error("{}: can't {step}: {error}", path.display())]
    System {
        /// The step, as in "PATH: can't STEP".
        step: &'static str,
        /// The object of the step.
        path: PathBuf,
        /// The error of the system.
        error: io::Error,
    },
}

impl From<SocketError> for Failure {
    fn from(error: SocketError) -> Failure {
        match error {
            SocketError::Taken(address) => {
                let detail = "a daemon serves there already; end it first, or give this one another --socket";
                Failure::new(ErrorKind::Busy, Errno::EADDRINUSE, address.to_string(), detail)
            }
            SocketError::NoSocket(path) => {
                let detail = "there is something that is no socket; remove it, or give another --socket";
                Failure::new(ErrorKind::AlreadyExists, Errno::EEXIST, path.to_string_lossy(), detail)
            }
            SocketError::System { step, path, error } => {
                Failure::io(path.to_string_lossy(), error).with_prefix(format!("can't {step}: "))
            }
        }
    }
}

/// A socket that this process listens on.
#[derive(Debug)]
pub struct ListeningSocket {
    address: Address,
    socket: UnixListener,
    /// Held while the daemon lives: of two that start at once, the second finds the lock taken.
    _lock: Option<Flock<File>>,
    /// The file to remove in the end; `None` for an abstract name, and for a socket that systemd keeps.
    file: Option<PathBuf>,
}

impl ListeningSocket {
    /// Takes the socket that systemd has passed, or makes the one at `address`, with its directory.
    ///
    /// # Errors
    /// [`SocketError`].
    pub fn take(address: &Address) -> Result<ListeningSocket, SocketError> {
        let passed = listenfd::ListenFd::from_env().take_unix_listener(0).ok().flatten();
        if let Some(socket) = passed {
            return Ok(ListeningSocket { address: address.clone(), socket, _lock: None, file: None });
        }
        match address {
            Address::Path(path) => ListeningSocket::at(address, path),
            Address::Abstract(name) => {
                let socket = address.to_socket().and_then(|address| UnixListener::bind_addr(&address));
                let socket = socket.map_err(|error| match error.kind() {
                    io::ErrorKind::AddrInUse => SocketError::Taken(address.clone()),
                    _ => {
                        failed("listen there", Path::new(&String::from_utf8_lossy(name).into_owned()))(error)
                    }
                })?;
                Ok(ListeningSocket { address: address.clone(), socket, _lock: None, file: None })
            }
        }
    }

    fn at(address: &Address, path: &Path) -> Result<ListeningSocket, SocketError> {
        let root = geteuid().is_root();
        if let Some(directory) = path.parent().filter(|it| !it.as_os_str().is_empty()) {
            let mode = if root { 0o755 } else { 0o700 };
            let made = DirBuilder::new().recursive(true).mode(mode).create(directory);
            made.map_err(failed("make the directory", directory))?;
        }
        let lock = lock(address, path)?;
        clear(path)?;
        let socket = UnixListener::bind(path).map_err(failed("listen there", path))?;
        // every user may connect to root's daemon: each operation checks the client's rights
        let mode = if root { 0o666 } else { 0o600 };
        fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed("change the mode", path))?;
        Ok(ListeningSocket {
            address: address.clone(),
            socket,
            _lock: Some(lock),
            file: Some(path.to_owned()),
        })
    }

    /// The address of the socket.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// A duplicate of the listening socket.
    ///
    /// # Errors
    /// The error of dup(2).
    pub fn socket(&self) -> io::Result<UnixListener> {
        self.socket.try_clone()
    }
}

impl Drop for ListeningSocket {
    fn drop(&mut self) {
        // before the lock is released: afterwards the file may be a successor's
        if let Some(file) = self.file.take() {
            let _ = fs::remove_file(file);
        }
    }
}

fn failed<'a>(step: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> SocketError + 'a {
    move |error| SocketError::System { step, path: path.to_owned(), error }
}

/// Takes the lock beside the socket. The kernel releases a lock however a daemon ends, so a free lock means that no
/// daemon serves.
fn lock(address: &Address, path: &Path) -> Result<Flock<File>, SocketError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let path = PathBuf::from(name);
    let file = File::options().write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(failed("open it", &path))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        Errno::EWOULDBLOCK => SocketError::Taken(address.clone()),
        errno => failed("lock it", &path)(errno.into()),
    })
}

/// Removes the socket of a daemon that died.
fn clear(path: &Path) -> Result<(), SocketError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("look at it", path)(error)),
        Ok(found) if !found.file_type().is_socket() => Err(SocketError::NoSocket(path.to_owned())),
        Ok(_) => fs::remove_file(path).map_err(failed("remove it", path)),
    }
}

#[cfg(test)]
mod tests {
    use penfold_testkit::TempDir;

    use super::*;

    #[test]
    fn socket_is_taken_once_and_a_dead_one_is_replaced() {
        let directory = TempDir::new();
        let path = directory.join("control");
        let address = Address::Path(path.clone());
        let socket = ListeningSocket::take(&address).expect("a free address");
        assert!(address.connect().is_ok(), "it listens");
        assert!(matches!(ListeningSocket::take(&address), Err(SocketError::Taken(_))));
        drop(socket);
        assert!(!path.exists(), "it cleans up");
        drop(UnixListener::bind(&path).expect("left by one that died"));
        assert_eq!(
            address.connect().map_err(|error| error.kind()).err(),
            Some(io::ErrorKind::ConnectionRefused)
        );
        let socket = ListeningSocket::take(&address).expect("a dead daemon's address");
        assert!(address.connect().is_ok());
        drop(socket);
        fs::write(&path, "precious").expect("a file");
        assert!(matches!(ListeningSocket::take(&address), Err(SocketError::NoSocket(_))));
        assert_eq!(fs::read(&path).expect("it is still there"), b"precious");
    }

    #[test]
    fn socket_of_root_is_open_to_all_and_another_to_one() {
        let above = TempDir::new();
        let directory = above.join("penfold");
        let path = directory.join("control");
        let _taken = ListeningSocket::take(&Address::Path(path.clone())).expect("a free address");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        let expected = if geteuid().is_root() { (0o755, 0o666) } else { (0o700, 0o600) };
        assert_eq!((mode(&directory), mode(&path)), expected);
    }

    #[test]
    fn abstract_name_is_taken_once() {
        let address = Address::Abstract(format!("penfold-test-{}", std::process::id()).into_bytes());
        let socket = ListeningSocket::take(&address).expect("a free name");
        assert!(matches!(ListeningSocket::take(&address), Err(SocketError::Taken(_))));
        drop(socket);
        assert!(ListeningSocket::take(&address).is_ok());
    }
}
