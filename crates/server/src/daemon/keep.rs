//! What a daemon keeps for the one after it: restoring first, then the journal.

use std::path::Path;

use penfold_linux::trace::TraceHost;

use crate::desk::Desk;
use crate::failure::Failure;
use crate::journal::{Helpers, Journal, Process, Store, restore};

use super::DaemonError;
use super::views::Views;

/// Restores what is in the state directory, and keeps a journal there from then on.
///
/// # Errors
/// [`DaemonError::System`] when another daemon has the directory or it can't be made; [`DaemonError::Ending`].
pub(super) fn keep(
    desk: &Desk,
    host: &TraceHost,
    state: &Path,
    views: &mut Views,
) -> Result<Journal, DaemonError> {
    let store = Store::open(state)?;
    let mut take_in = |process: &Process| -> Result<(), Failure> {
        Ok(host.adopt_again(process.pid, process.started, process.filter)?)
    };
    let helpers = Helpers {
        take_in: &mut take_in,
        mount: &mut |view, how, options| views.mount_again(view, how, options),
    };
    let not_restored = restore(desk, &store, helpers).map_err(|_| DaemonError::Ending)?;
    let host = host.clone();
    let survivors = Box::new(move || Ok(host.survivors()?));
    let journal = Journal::start(desk.clone(), store, not_restored, survivors)?;
    views.keep(journal.clone());
    Ok(journal)
}
