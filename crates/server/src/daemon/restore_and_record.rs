//! The state directory of a daemon: the restore of an earlier daemon's state, then the journal.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use penfold_core::{CgroupId, Tid};
use penfold_linux::host::HostHandle;

use crate::failure::Failure;
use crate::journal::{
    EscapedBytes, Journal, ProcessRecord, RestoreHooks, Store, ViewRecord, mount_namespace, restore,
};
use crate::service::Service;
use crate::view::{FileViews, MountedView, ViewObserver};

use super::error::DaemonError;

/// Records file views in the journal, once there is a journal.
#[derive(Debug, Default)]
pub(super) struct ViewRecorder(OnceLock<Journal>);

impl ViewObserver for ViewRecorder {
    fn mounted(&self, view: &MountedView) {
        if let Some(journal) = self.0.get() {
            journal.view(ViewRecord {
                target: EscapedBytes(view.target.as_os_str().as_bytes().to_vec()),
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

/// Restores the state in the state directory, and keeps a journal there from then on.
///
/// # Errors
/// [`DaemonError::System`] when another daemon has locked the directory, or it can't be made; [`DaemonError::Ending`].
pub(super) fn restore_and_record(
    service: &Service,
    host: &Arc<dyn HostHandle>,
    state: &Path,
    views: &FileViews,
    recorder: &ViewRecorder,
) -> Result<Journal, DaemonError> {
    let store = Store::open(state)?;
    let mut readopt = |process: &ProcessRecord| -> Result<(), Failure> {
        Ok(host.readopt(Tid(process.pid), process.started, process.filter)?)
    };
    let helpers = RestoreHooks {
        readopt: &mut readopt,
        mount: &mut |view, how, root| {
            let target = Path::new(std::ffi::OsStr::from_bytes(&view.target.0));
            views.mount_again(target, how, &view.filesystem, root)
        },
    };
    let not_restored = restore(service, &store, helpers).map_err(|_| DaemonError::Ending)?;
    let host = Arc::clone(host);
    let survivors = Box::new(move || Ok(host.survivors()?));
    let journal = Journal::start(service.clone(), store, not_restored, survivors)?;
    if recorder.0.set(journal.clone()).is_ok() {
        views.mounted().iter().for_each(|view| recorder.mounted(view));
    }
    Ok(journal)
}
