//! The origin of each loaded module. The engine treats modules as subsystems like any other.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use penfold_module::loader::ModuleDescription;

/// The modules of a service.
#[derive(Default)]
pub(crate) struct ModuleRegistry {
    /// Held from the beginning of a load or unload to its end, so that two loads of the same name come one after the
    /// other.
    pub(crate) turn: Mutex<()>,
    /// The modules in the order of their loading.
    pub(crate) loaded: Mutex<Vec<RegisteredModule>>,
    /// The names of controllers that can't be loaded. Set before the first client.
    pub(crate) disabled: OnceLock<Vec<String>>,
}

/// A loaded module.
pub(crate) struct RegisteredModule {
    pub(crate) info: ModuleDescription,
    /// The file that it was loaded from, absolute.
    pub(crate) path: PathBuf,
    /// How many callbacks took longer than their time.
    pub(crate) overruns: Box<dyn Fn() -> u64 + Send + Sync>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
