//! A daemon in a few lines: `keeper SOCKET STATE` restores the state of an earlier daemon, and serves until a signal.

use std::ffi::OsStr;
use std::path::Path;

use penfold_linux::trace::{AtEnd, start_host};
use penfold_server::address::Address;
use penfold_server::control::Limits;
use penfold_server::daemon::{Config, Daemon, ShutdownSignals};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(socket), Some(state)) = (arguments.next(), arguments.next()) else {
        return Err("usage: keeper SOCKET STATE".into());
    };
    let signals = ShutdownSignals::block()?;
    let address = Address::parse(OsStr::new(&socket));
    let mut prepared =
        Daemon::prepare(Config { address, at_end: AtEnd::Leave, limits: Limits::default() }, start_host)?;
    prepared.restore(Path::new(&state))?;
    let daemon = prepared.serve(None, Vec::new())?;
    println!("ready");
    daemon.run(&signals)?;
    daemon.stop();
    Ok(())
}
