//! A fresh copy of a module's file for each load, mapped from memory.
//!
//! The dynamic linker maps a file at most once at a time. It does not unmap a file of which something is in use: a
//! thread-local whose destructor is to run, a symbol that must be unique. The next load of the same file would then get
//! the old mapping, with the present values of its variables.
//!
//! So the linker never gets the file itself. It gets a sealed copy in memory (`memfd_create(2)`), which is another
//! file for each load.

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

/// The copies that an unload could not unmap yet.
static STILL_MAPPED: Mutex<Vec<LingeringCopy>> = Mutex::new(Vec::new());

/// A copy that is mapped.
pub(super) struct PrivateCopy {
    mapping: LibraryMapping,
    description: *const abi::RawModule,
    path: PathBuf,
}

/// A copy as the linker has it.
struct LibraryMapping {
    /// `None` after the close, which may leave the copy mapped.
    library: Option<Library>,
    /// The copy, and the libraries that were mapped for it.
    objects: Objects,
    can_make_keys: bool,
    /// Open while the copy is mapped: the descriptor's number is part of the copy's name for the linker.
    memory: File,
}

/// An unloaded copy that is still mapped.
struct LingeringCopy {
    mapping: LibraryMapping,
    module: String,
    path: PathBuf,
    reason: LingerReason,
}

/// A module that was unloaded and is still mapped. Penfold calls no code of it any more, but its memory is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LingeringModule {
    /// The module's name.
    pub name: String,
    /// The file that the module was loaded from.
    pub path: PathBuf,
    /// The reason why the module is still mapped, in words.
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
    /// [`LoadError::System`] without memory for the copy, [`LoadError::NotAModule`] for a file that the linker can't
    /// map.
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

    /// The exported description. The pointer is valid until the copy is unmapped.
    pub(super) fn description(&self) -> *const abi::RawModule {
        self.description
    }

    /// Unmaps the copy, which runs its destructors. The log reports a copy that stays mapped, and [`still_mapped`]
    /// lists it for as long as it is mapped. `module` is its name there.
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
        // SAFETY: only the address is taken; nothing is read through it.
        let symbol = unsafe { self.library.as_ref()?.get::<*const libc::c_void>(name.as_bytes()) };
        symbol.ok().map(|symbol| *symbol)
    }
}

impl LingeringCopy {
    /// Unmaps the copy if that is possible by now. Returns whether the copy is still mapped.
    fn is_mapped(&mut self) -> bool {
        let LibraryMapping { library, objects, can_make_keys, .. } = &self.mapping;
        if library.is_some() && *can_make_keys && thread_keys::have_destructor_in(objects).unwrap_or(true) {
            self.reason = LingerReason::ThreadKey;
            return true;
        }
        drop(self.mapping.library.take());
        self.reason = LingerReason::Linker;
        let name = linker_name(&self.mapping.memory);
        // SAFETY: with RTLD_NOLOAD the linker maps nothing, so no code runs; it only finds the copy if it has it.
        let find = || unsafe { Library::open(Some(&name), RTLD_NOW | RTLD_LOCAL | libc::RTLD_NOLOAD) };
        // The first find is closed at once. That close unmaps a copy whose last user was a thread that has ended by
        // now.
        find().is_ok() && find().is_ok()
    }
}

/// The modules that were unloaded and are still mapped, in the order of their unloading.
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

/// The name of a copy for the linker: another name for each copy that is mapped.
fn linker_name(memory: &File) -> String {
    format!("/proc/self/fd/{}", memory.as_raw_fd())
}

/// Makes a memory file, which /proc/PID/maps shows with the path of the module.
fn create(path: &Path) -> Result<File, Errno> {
    let bytes = path.as_os_str().as_bytes();
    let name = CString::new(&bytes[bytes.len().saturating_sub(MAX_NAME)..]).map_err(|_| Errno::EINVAL)?;
    let plain = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    // Where `vm.memfd_noexec` is 2, the kernel makes only files that can't be executed. Code can be mapped from those
    // too.
    let sealed = plain | MFdFlags::from_bits_retain(libc::MFD_NOEXEC_SEAL);
    let made = match memfd_create(name.as_c_str(), sealed) {
        // a kernel before 6.3
        Err(Errno::EINVAL) => memfd_create(name.as_c_str(), plain),
        made => made,
    };
    made.map(File::from)
}
