//! The connection of a verb to the engine that it works on.

use std::ffi::OsString;

use penfold_server::address::Address;
use penfold_server::connection::Connection;
use penfold_server::protocol::Method;

use crate::failure::Failure;
use crate::interrupted::interruption;

/// The options of every verb.
#[allow(clippy::doc_markdown)] // the text of --help, where backticks would be shown
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct GlobalOptions {
    /// The control socket: a path, or @NAME for an abstract socket.
    ///
    /// Without this option, the first of: $PENFOLD_SOCKET; inside a job of `penfold run` that job's engine
    /// ($PENFOLD_JOB); the user's own daemon ($XDG_RUNTIME_DIR/penfold/control); the machine's (/run/penfold/control).
    #[arg(long, global = true, value_name = "SOCKET", help_heading = "Global options")]
    pub(crate) socket: Option<OsString>,
}

impl GlobalOptions {
    /// Connects to the daemon, or to the engine of the job around this process.
    pub(crate) fn connect(&self) -> Result<EngineConnection, Failure> {
        let address = Address::of_client(self.socket.as_deref())?;
        EngineConnection::to(address)
    }
}

/// A connection to a daemon, or to the engine of the job around this process.
#[derive(Debug)]
pub(crate) struct EngineConnection {
    pub(crate) connection: Connection,
    address: Address,
}

impl EngineConnection {
    /// Connects to this address.
    pub(crate) fn to(address: Address) -> Result<EngineConnection, Failure> {
        let connection = Connection::connect_interruptible(&address, interruption()?)?;
        Ok(EngineConnection { connection, address })
    }

    /// The address of the engine's socket.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Calls a method of the control socket and returns its reply.
    pub(crate) fn call<M: Method>(&mut self, call: &M) -> Result<M::Reply, Failure> {
        Ok(self.connection.call(call)?)
    }
}
