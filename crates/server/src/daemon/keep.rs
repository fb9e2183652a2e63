//! What a daemon keeps for the one after it: restoring first, then the journal.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::OnceLock;

use penfold_core::{CgroupId, Tid};
use penfold_linux::trace::TraceHost;

use crate::desk::Desk;
use crate::failure::Failure;
use crate::journal::{Helpers, Journal, Process, Store, Text, View, mount_namespace, restore};
use crate::view::{Audience, FileViews, MountedView};

use super::DaemonError;

/// Tells the journal of file views, from when there is one.
#[derive(Debug, Default)]
pub(super) struct Recorder(OnceLock<Journal>);

impl Audience for Recorder {
    fn mounted(&self, view: &MountedView) {
        if let Some(journal) = self.0.get() {
            journal.view(View {
                target: Text(view.target.as_os_str().as_bytes().to_vec()),
                filesystem: view.filesystem.to_owned(),
                root: view.root.map(CgroupId::number),
                namespace: mount_namespace(view.mounter),
            });
        }
    }

    fn unmounted(&self, view: &MountedView) {
        if let Some(journal) = self.0.get() {
            journal.view_gone(view.target.as_os_str().as_bytes());
        }
    }
}

/// Restores what is in the state directory, and keeps a journal there from then on.
///
/// # Errors
/// [`DaemonError::System`] when another daemon has the directory or it can't be made; [`DaemonError::Ending`].
pub(super) fn keep(
    desk: &Desk,
    host: &TraceHost,
    state: &Path,
    views: &FileViews,
    recorder: &Recorder,
) -> Result<Journal, DaemonError> {
    let store = Store::open(state)?;
    let mut take_in = |process: &Process| -> Result<(), Failure> {
        Ok(host.readopt(Tid(process.pid), process.started, process.filter)?)
    };
    let helpers = Helpers {
        take_in: &mut take_in,
        mount: &mut |view, how, root| {
            let target = Path::new(std::ffi::OsStr::from_bytes(&view.target.0));
            views.mount_again(target, how, &view.filesystem, root)
        },
    };
    let not_restored = restore(desk, &store, helpers).map_err(|_| DaemonError::Ending)?;
    let host = host.clone();
    let survivors = Box::new(move || Ok(host.survivors()?));
    let journal = Journal::start(desk.clone(), store, not_restored, survivors)?;
    if recorder.0.set(journal.clone()).is_ok() {
        views.mounted().iter().for_each(|view| recorder.mounted(view));
    }
    Ok(journal)
}
