//! A fresh copy of a module's file for each load, mapped from memory.
//!
//! The dynamic linker maps a file once, however often it is asked for it, and does not unmap a file of which it holds
//! something in use: a thread-local whose destructor is to run, a symbol that must be unique. A load of the same file
//! would then meet the old one with the values that its variables have now. So the linker never gets the file itself. It
//! gets a sealed copy in memory (`memfd_create(2)`), which is another file for each load.

use std::ffi::CString;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::libc;
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::error::LoadError;
use super::module_file::ModuleFile;
use super::thread_keys::{self, Objects};
use crate::abi;

/// The longest name of a memfd.
const MAX_NAME: usize = 249;

/// The copies that were to be unmapped and are not yet.
static STILL_MAPPED: Mutex<Vec<LingeringCopy>> = Mutex::new(Vec::new());

/// A copy that is mapped.
pub(super) struct PrivateCopy {
    mapping: LibraryMapping,
    description: *const abi::RawModule,
    path: PathBuf,
}

/// What the linker knows of a copy.
struct LibraryMapping {
    /// `None` once it is closed, mapped or not.
    library: Option<Library>,
    /// The copy, and the libraries that were mapped for it.
    objects: Objects,
    can_make_keys: bool,
    /// Held open while the copy is mapped: its number is part of the name by which the linker knows the copy.
    memory: File,
}

/// An unloaded copy that is mapped still.
struct LingeringCopy {
    mapping: LibraryMapping,
    module: String,
    path: PathBuf,
    reason: LingerReason,
}

/// A module that was unloaded and is mapped still. No code of it is called any more, but its memory is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LingeringModule {
    /// The module's name.
    pub name: String,
    /// The file that it was loaded from.
    pub path: PathBuf,
    /// What keeps it mapped, in words.
    pub reason: &'static str,
}

#[derive(Debug, Clone, Copy)]
enum LingerReason {
    ThreadKey,
    Linker,
}

impl LingerReason {
    fn text(self) -> &'static str {
        match self {
            LingerReason::ThreadKey => {
                "it has a pthread key with a destructor, which runs whenever a thread ends"
            }
            LingerReason::Linker => {
                "the linker holds something of it: a thread-local that a thread will destroy when it ends, or a \
                 symbol that must stay unique"
            }
        }
    }
}

impl PrivateCopy {
    /// Maps a copy of the file, which runs its constructors.
    ///
    /// # Safety
    /// The file's constructors are sound to run here: the caller has chosen a file whose author it trusts.
    ///
    /// # Errors
    /// [`LoadError::System`] where there is no memory, [`LoadError::NotAModule`] for what the linker can't map.
    pub(super) unsafe fn load(file: &ModuleFile) -> Result<PrivateCopy, LoadError> {
        let path = file.path();
        let failed = |error| LoadError::system("copy", path, error);
        let mut memory = create(path).map_err(|errno| failed(errno.into()))?;
        memory.write_all(file.bytes()).map_err(failed)?;
        let seals = SealFlag::all() - SealFlag::F_SEAL_FUTURE_WRITE;
        fcntl(&memory, FcntlArg::F_ADD_SEALS(seals)).map_err(|errno| failed(errno.into()))?;
        let name = linker_name(&memory);
        let before = thread_keys::mapped_objects();
        // SAFETY: the caller vouches for the constructors.
        let library = unsafe { Library::open(Some(&name), RTLD_NOW | RTLD_LOCAL) }.map_err(|error| {
            let text = error.to_string();
            let reason = text.strip_prefix(&format!("{name}: ")).unwrap_or(&text);
            LoadError::not_a_module(path, reason)
        })?;
        let mut objects = thread_keys::mapped_objects();
        objects.retain(|object| !before.contains(object));
        let can_make_keys = thread_keys::can_be_made_by(file.bytes());
        let mapping = LibraryMapping { library: Some(library), objects, can_make_keys, memory };
        let Some(description) = mapping.symbol(abi::SYMBOL) else {
            release(mapping, &path.display().to_string(), path);
            return Err(LoadError::not_a_module(path, format!("it does not export {:?}", abi::SYMBOL)));
        };
        Ok(PrivateCopy { mapping, description: description.cast(), path: path.to_owned() })
    }

    /// Valid until the copy is dropped.
    pub(super) fn description(&self) -> *const abi::RawModule {
        self.description
    }

    /// Unmaps the copy, which runs its destructors. A copy that stays mapped is reported in the log, and by
    /// [`still_mapped`] for as long as it is.
    pub(super) fn unmap(self, module: &str) {
        release(self.mapping, module, &self.path);
    }
}

fn release(mapping: LibraryMapping, module: &str, path: &Path) {
    let mut leftover = LingeringCopy {
        mapping,
        module: module.to_owned(),
        path: path.to_owned(),
        reason: LingerReason::Linker,
    };
    if leftover.is_mapped() {
        let why = leftover.reason.text();
        tracing::warn!(module, "{}: stays mapped after its unload: {why}", path.display());
        leftovers().push(leftover);
    }
}

impl LibraryMapping {
    fn symbol(&self, name: &str) -> Option<*const libc::c_void> {
        // SAFETY: the address is taken, and nothing is read through it.
        let symbol = unsafe { self.library.as_ref()?.get::<*const libc::c_void>(name.as_bytes()) };
        symbol.ok().map(|symbol| *symbol)
    }
}

impl LingeringCopy {
    /// Unmaps the copy if that can be done by now.
    fn is_mapped(&mut self) -> bool {
        let LibraryMapping { library, objects, can_make_keys, .. } = &self.mapping;
        if library.is_some() && *can_make_keys && thread_keys::have_destructor_in(objects).unwrap_or(true) {
            self.reason = LingerReason::ThreadKey;
            return true;
        }
        drop(self.mapping.library.take());
        self.reason = LingerReason::Linker;
        let name = linker_name(&self.mapping.memory);
        // SAFETY: nothing is mapped, so nothing runs: the linker only tells whether it has the copy.
        let find = || unsafe { Library::open(Some(&name), RTLD_NOW | RTLD_LOCAL | libc::RTLD_NOLOAD) };
        // To close what was found is when the linker unmaps what a thread that has ended had in use.
        find().is_ok() && find().is_ok()
    }
}

/// The modules that were unloaded and are mapped still, in the order of their unloading.
pub fn still_mapped() -> Vec<LingeringModule> {
    let mut all = leftovers();
    all.retain_mut(LingeringCopy::is_mapped);
    let shown = |one: &LingeringCopy| LingeringModule {
        name: one.module.clone(),
        path: one.path.clone(),
        reason: one.reason.text(),
    };
    all.iter().map(shown).collect()
}

fn leftovers() -> std::sync::MutexGuard<'static, Vec<LingeringCopy>> {
    STILL_MAPPED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Another one for each copy that is mapped.
fn linker_name(memory: &File) -> String {
    format!("/proc/self/fd/{}", memory.as_raw_fd())
}

/// A memory file that is shown in /proc/PID/maps with the path of the module.
fn create(path: &Path) -> Result<File, Errno> {
    let bytes = path.as_os_str().as_bytes();
    let name = CString::new(&bytes[bytes.len().saturating_sub(MAX_NAME)..]).map_err(|_| Errno::EINVAL)?;
    let plain = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    // Where `vm.memfd_noexec` is 2, only a file that can't be executed may be made. To map code it need not be executable.
    let sealed = plain | MFdFlags::from_bits_retain(libc::MFD_NOEXEC_SEAL);
    let made = match memfd_create(name.as_c_str(), sealed) {
        // a kernel before 6.3
        Err(Errno::EINVAL) => memfd_create(name.as_c_str(), plain),
        made => made,
    };
    made.map(File::from)
}
