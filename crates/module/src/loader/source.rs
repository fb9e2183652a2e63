//! Where a module comes from.

use std::fmt;
use std::path::PathBuf;
use std::slice;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use super::claim::Claimed;
use super::error::LoadError;
use super::fault::Fault;
use super::info::{HEAD, Info, check_head, check_tables};
use super::whole;
use crate::abi;

/// A file, or a description that is part of this program.
pub(super) enum Source {
    File(PathBuf),
    Static(&'static abi::Module),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(path) => path.display().fmt(f),
            Source::Static(_) => f.write_str("this program"),
        }
    }
}

/// A module's description in memory. The file is unmapped when this is dropped.
pub(super) struct Opened {
    module: *const abi::Module,
    /// Held for its `Drop`.
    _mapped: Option<Mapped>,
}

// SAFETY: a description is constant; the library is dropped by one thread when no other uses it.
unsafe impl Send for Opened {}

/// A file that is mapped.
struct Mapped {
    /// `None` only while it is dropped.
    library: Option<Library>,
    /// Given back when it is unmapped.
    claimed: Claimed,
}

impl Drop for Mapped {
    fn drop(&mut self) {
        drop(self.library.take());
        let path = self.claimed.path();
        // SAFETY: nothing is mapped, so nothing runs: it only tells whether the file still is.
        let still = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL | nix::libc::RTLD_NOLOAD) };
        if still.is_ok() {
            // a C++ template's variable, or a thread of its own that has not ended
            tracing::warn!(
                "{}: still mapped after its unload, because the linker holds something of it in use: what is loaded \
                 from this path next is the same file with the values that its variables have now",
                path.display()
            );
        }
    }
}

impl Source {
    /// Maps the file, which runs its constructors.
    ///
    /// # Errors
    /// [`LoadError`] for a file that is not there, is loaded already or can't be mapped.
    pub(super) fn open(self) -> Result<Opened, LoadError> {
        let path = match self {
            Source::Static(module) => return Ok(Opened { module, _mapped: None }),
            Source::File(path) => path,
        };
        let claimed = Claimed::new(&path)?;
        whole::check(claimed.path())?;
        // SAFETY: a module's constructors are its author's business; who may load it was asked before.
        let library = unsafe { Library::open(Some(claimed.path()), RTLD_NOW | RTLD_LOCAL) }
            .map_err(|error| LoadError::not_a_module(&path, error.to_string()))?;
        // SAFETY: nothing is read through it here.
        let module = unsafe { library.get::<*const abi::Module>(abi::SYMBOL.as_bytes()) };
        let module = module
            .map(|symbol| *symbol)
            .map_err(|_| LoadError::not_a_module(&path, format!("it does not export {:?}", abi::SYMBOL)))?;
        Ok(Opened { module, _mapped: Some(Mapped { library: Some(library), claimed }) })
    }
}

impl Opened {
    /// What the module says of itself, from the outside in: nothing is read before it is known to be there.
    pub(super) fn describe(&self) -> Result<Info, Fault> {
        // SAFETY: a description of every version of the interface begins with these numbers.
        check_head(unsafe { self.module.cast::<[u32; HEAD]>().read() })?;
        let module = self.module();
        let (files, rules) = check_tables(module)?;
        // SAFETY: the description says that so many are there, and both pointers were looked at.
        unsafe { Info::of(module, table(module.files, files), table(module.rules, rules)) }
    }

    /// The description. It must not be used after `self` is dropped: the module's thread sees to it.
    pub(super) fn module(&self) -> &'static abi::Module {
        // SAFETY: its head was looked at when it was opened: it is all there.
        unsafe { &*self.module }
    }
}

unsafe fn table<'a, T>(first: *const T, count: usize) -> &'a [T] {
    if count == 0 {
        return &[];
    }
    // SAFETY: the caller's.
    unsafe { slice::from_raw_parts(first, count) }
}
