//! Destructors of thread-specific data (`pthread_key_create(3)`). The C library calls them when a thread ends, even if
//! their code is no longer mapped.
//!
//! A module in C may forget to delete its key. Rust's standard library has a key that can't be deleted (for
//! `thread::current`). The unmapping of such a module would crash the next thread that ends. So before the loader unmaps
//! a module, it searches the C library's table of keys. It looks for addresses in the module and in the libraries that
//! came with the module.
//!
//! POSIX has no call for that. The GNU C library shows the table and its layout to debuggers, by the symbols that
//! `libthread_db` reads.

use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{ptr, slice};

use libloading::os::unix::Library;
use nix::libc;

/// The C library's table of keys, and the layout of its entries.
#[derive(Debug, Clone, Copy)]
struct KeyTable {
    first: usize,
    count: usize,
    size: usize,
    sequence: usize,
    destructor: usize,
}

/// The form in which `libthread_db` describes a field or a table: bits of an element, count, offset.
type FieldDescription = [u32; 3];

/// The address ranges of objects that the linker has mapped.
pub(super) type Objects = Vec<Range<usize>>;

/// True if any pthread key has a destructor in one of these objects. `None` if the C library does not show its keys.
pub(super) fn have_destructor_in(objects: &[Range<usize>]) -> Option<bool> {
    static TABLE: OnceLock<Option<KeyTable>> = OnceLock::new();
    let table = TABLE.get_or_init(KeyTable::find).as_ref()?;
    let is_inside = |address: usize| objects.iter().any(|object| object.contains(&address));
    Some((0..table.count).any(|key| table.destructor_of(key).is_some_and(is_inside)))
}

/// True if code of this file could make a key.
pub(super) fn can_be_made_by(file: &[u8]) -> bool {
    let has = |name: &[u8]| file.windows(name.len()).any(|part| part == name);
    has(b"pthread_key_create") || has(b"tss_create")
}

/// All objects that the linker has mapped now.
pub(super) fn mapped_objects() -> Objects {
    /// # Safety
    /// For `dl_iterate_phdr(3)` only: `info` is valid, and `objects` points to [`Objects`].
    unsafe extern "C" fn add(info: *mut libc::dl_phdr_info, _: usize, objects: *mut c_void) -> c_int {
        // SAFETY: the caller vouches for both pointers.
        let (info, objects) = unsafe { (&*info, &mut *objects.cast::<Objects>()) };
        // SAFETY: an object has as many program headers as it says.
        let headers = unsafe { slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
        let loaded = headers.iter().filter(|header| header.p_type == libc::PT_LOAD);
        let end = loaded.map(|header| header.p_vaddr.saturating_add(header.p_memsz)).max().unwrap_or(0);
        let base = info.dlpi_addr as usize;
        objects.push(base..base.saturating_add(end as usize));
        0
    }
    let mut objects = Objects::new();
    // SAFETY: `add` gets the pointers that it requires, and the list outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(add), (&raw mut objects).cast()) };
    objects
}

impl KeyTable {
    fn find() -> Option<KeyTable> {
        let program = Library::this();
        let address = |name: &str| {
            // SAFETY: only the address is taken; nothing is read through it here.
            let symbol = unsafe { program.get::<*const c_void>(name.as_bytes()) };
            symbol.ok().map(|symbol| *symbol).filter(|address| !address.is_null())
        };
        // SAFETY: constants of the C library, which have had these types in all its versions.
        let size = unsafe { address("_thread_db_sizeof_pthread_key_struct")?.cast::<u32>().read() } as usize;
        let field = |name: &str| {
            // SAFETY: as above.
            address(name).map(|address| unsafe { address.cast::<FieldDescription>().read() })
        };
        let [_, count, first] = field("_thread_db___pthread_keys")?;
        let [sequence_bits, _, sequence] = field("_thread_db_pthread_key_struct_seq")?;
        let [destructor_bits, _, destructor] = field("_thread_db_pthread_key_struct_destr")?;
        let table = KeyTable {
            first: address("__pthread_keys")?.expose_provenance() + first as usize,
            count: count as usize,
            size,
            sequence: sequence as usize,
            destructor: destructor as usize,
        };
        let word = size_of::<usize>();
        let fits = |offset: usize| offset.is_multiple_of(word) && offset + word <= size;
        let as_known = [sequence_bits, destructor_bits] == [usize::BITS; 2]
            && fits(table.sequence)
            && fits(table.destructor)
            && table.first.is_multiple_of(word)
            && size.is_multiple_of(word);
        as_known.then_some(table)
    }

    /// `None` for a key that is not in use, or has no destructor.
    fn destructor_of(&self, key: usize) -> Option<usize> {
        let entry = self.first + key * self.size;
        let is_used = word_at(entry + self.sequence) % 2 == 1;
        let destructor = word_at(entry + self.destructor);
        (is_used && destructor != 0).then_some(destructor)
    }
}

fn word_at(address: usize) -> usize {
    let word = ptr::with_exposed_provenance_mut::<usize>(address);
    // SAFETY: an aligned word inside the C library's table. A key that another thread changes meanwhile is not a key
    // of the module that is searched for.
    unsafe { AtomicUsize::from_ptr(word) }.load(Ordering::Acquire)
}
