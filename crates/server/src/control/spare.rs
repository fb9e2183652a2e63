//! Descriptors kept for the moment when there are no others.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

/// Enough to accept a connection of the administrator and to answer its call.
const SPARE: usize = 16;
/// The time between two attempts to open what is missing.
const RETRY: Duration = Duration::from_millis(100);

/// Descriptors that are open for no use but to be closed: then accept(2) has one again.
#[derive(Debug, Default)]
pub(super) struct SpareDescriptors {
    open: Vec<OwnedFd>,
    tried: Option<Instant>,
}

impl SpareDescriptors {
    /// Opens what is missing, if as many again are left then for other uses. Returns whether all are open.
    pub(super) fn fill(&mut self, socket: &UnixListener) -> bool {
        if self.open.len() < SPARE && self.tried.is_none_or(|tried| tried.elapsed() >= RETRY) {
            self.tried = Some(Instant::now());
            let copies = std::iter::from_fn(|| socket.try_clone().ok()).take(2 * SPARE - self.open.len());
            self.open.extend(copies.map(OwnedFd::from));
            self.open.truncate(self.open.len().saturating_sub(SPARE));
        }
        self.open.len() == SPARE
    }

    /// Closes all.
    pub(super) fn release(&mut self) {
        self.open.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr;

    use super::*;

    #[test]
    fn spare_descriptors_are_opened_again_after_release() {
        let name = format!("penfold-spare-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(name).expect("a name");
        let socket = UnixListener::bind_addr(&address).expect("a free name");
        let mut spare = SpareDescriptors::default();
        assert!(spare.fill(&socket));
        spare.release();
        spare.tried = None;
        assert!(spare.fill(&socket) && spare.open.len() == SPARE);
    }
}
