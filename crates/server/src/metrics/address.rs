//! The address of the metrics.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// An address of `--metrics`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetricsAddress {
    /// `IP:PORT`; a port alone is one of 127.0.0.1.
    Network(SocketAddr),
    /// `unix:/path`
    Unix(PathBuf),
}

impl FromStr for MetricsAddress {
    type Err = String;

    /// # Errors
    /// A sentence that lists the accepted forms.
    fn from_str(text: &str) -> Result<MetricsAddress, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.starts_with('/') {
                Ok(MetricsAddress::Unix(path.into()))
            } else {
                Err("the path of a socket begins with a slash, as in unix:/run/penfold/metrics".to_owned())
            };
        }
        if let Ok(port) = text.strip_prefix(':').unwrap_or(text).parse() {
            return Ok(MetricsAddress::Network(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)));
        }
        text.parse().map(MetricsAddress::Network).map_err(|_| {
            "takes a port of this machine (9000), an address (127.0.0.1:9000) or unix:/path".to_owned()
        })
    }
}

impl std::fmt::Display for MetricsAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            MetricsAddress::Network(address) => address.fmt(f),
            MetricsAddress::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The listening socket of the metrics.
#[derive(Debug)]
pub(super) enum MetricsListener {
    Network(TcpListener),
    Unix(UnixListener),
}

impl MetricsAddress {
    /// True if other machines can reach the address, and so see the names of all cgroups.
    pub fn is_public(&self) -> bool {
        matches!(self, MetricsAddress::Network(address) if !address.ip().is_loopback())
    }

    /// Listens at the address.
    ///
    /// # Errors
    /// The errors of socket(2) and bind(2).
    pub(super) fn listen(&self) -> io::Result<MetricsListener> {
        match self {
            MetricsAddress::Network(address) => TcpListener::bind(address).map(MetricsListener::Network),
            MetricsAddress::Unix(path) => {
                remove_dead(path)?;
                UnixListener::bind(path).map(MetricsListener::Unix)
            }
        }
    }
}

/// Removes a socket that refuses connections: a daemon that died has left it.
fn remove_dead(path: &Path) -> io::Result<()> {
    let is_socket = path.symlink_metadata().is_ok_and(|file| file.file_type().is_socket());
    let dead = is_socket
        && UnixStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
    if dead { std::fs::remove_file(path) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_alone_means_the_loopback_address() {
        for text in ["9000", ":9000", "127.0.0.1:9000"] {
            let address: MetricsAddress = text.parse().expect("an address");
            assert_eq!(address, MetricsAddress::Network("127.0.0.1:9000".parse().unwrap()));
            assert!(!address.is_public());
        }
        assert!("0.0.0.0:1".parse::<MetricsAddress>().is_ok_and(|address| address.is_public()));
        assert!("[::1]:1".parse::<MetricsAddress>().is_ok_and(|address| !address.is_public()));
        assert_eq!("unix:/a b".parse(), Ok(MetricsAddress::Unix("/a b".into())));
        for text in ["", "unix:relative", "localhost", "70000", "1.2.3.4"] {
            assert!(text.parse::<MetricsAddress>().is_err(), "{text}");
        }
    }
}
