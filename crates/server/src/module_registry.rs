//! Where the loaded modules came from. The engine knows them as subsystems like any other.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use penfold_module::loader::Info;

/// The modules of a service.
#[derive(Default)]
pub(crate) struct ModuleRegistry {
    /// Held from the beginning of a load or unload to its end: of two that want the same name one is second.
    pub(crate) turn: Mutex<()>,
    /// In the order of their loading.
    pub(crate) loaded: Mutex<Vec<RegisteredModule>>,
}

pub(crate) struct RegisteredModule {
    pub(crate) info: Info,
    pub(crate) path: PathBuf,
    pub(crate) overruns: Box<dyn Fn() -> u64 + Send + Sync>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
