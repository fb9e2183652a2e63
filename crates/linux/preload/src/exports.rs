//! The functions that replace those of the C library.
//!
//! Each makes the real call first and passes its result on. It changes only the file behind a descriptor, or one field
//! of a result.
//!
//! The C library declares the `open` family with `...`, which Rust can't define. `mode` is a plain argument here, in
//! the register of the first variable argument (x86-64 and aarch64). It is passed on only where the flags say that the
//! caller gave one.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

use libc::{FILE, mode_t};

use crate::adjust::adjust;
use crate::proc_file::may_be_proc_file;
use crate::real::{RealFunction, set_errno};
use crate::statfs::reported_type;

/// Looks up the real function, with its type, or fails with `ENOSYS` as if the system lacked it.
macro_rules! real {
    ($name:ident as $kind:ty, else $failure:expr) => {{
        let address = $name.address();
        if address.is_null() {
            set_errno(libc::ENOSYS);
            return $failure;
        }
        // SAFETY: the function that the C library has under this name has this type.
        unsafe { std::mem::transmute::<*mut c_void, $kind>(address) }
    }};
}

/// Whether a path may lead to a file that can be replaced; a null path does not.
///
/// # Safety
/// `path` is null or ends with a NUL.
unsafe fn interesting(path: *const c_char) -> bool {
    // SAFETY: as the caller promises.
    !path.is_null() && may_be_proc_file(unsafe { CStr::from_ptr(path) }.to_bytes())
}

/// Whether a call with these flags opens a file for reading only, and not only for its path.
fn reads(flags: c_int) -> bool {
    flags & libc::O_ACCMODE == libc::O_RDONLY && flags & libc::O_PATH == 0
}

fn mode_given(flags: c_int, mode: mode_t) -> c_uint {
    if flags & libc::O_CREAT != 0 || flags & libc::O_TMPFILE == libc::O_TMPFILE { mode } else { 0 }
}

type OpenFn = unsafe extern "C" fn(*const c_char, c_int, ...) -> c_int;
type OpenatFn = unsafe extern "C" fn(c_int, *const c_char, c_int, ...) -> c_int;
type OpenCheckedFn = unsafe extern "C" fn(*const c_char, c_int) -> c_int;
type OpenatCheckedFn = unsafe extern "C" fn(c_int, *const c_char, c_int) -> c_int;
type FopenFn = unsafe extern "C" fn(*const c_char, *const c_char) -> *mut FILE;
type FreopenFn = unsafe extern "C" fn(*const c_char, *const c_char, *mut FILE) -> *mut FILE;

macro_rules! open {
    ($($name:ident, $real:ident, $symbol:literal;)*) => {$(
        static $real: RealFunction = RealFunction::new($symbol);

        /// open(2)
        ///
        /// # Safety
        /// As that of the C library.
        #[unsafe(no_mangle)]
        pub(crate) unsafe extern "C" fn $name(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
            let real = real!($real as OpenFn, else -1);
            // SAFETY: the caller's arguments, passed on.
            let fd = unsafe { real(path, flags, mode_given(flags, mode)) };
            // SAFETY: the caller gave a string.
            if fd >= 0 && reads(flags) && unsafe { interesting(path) } {
                adjust(fd);
            }
            fd
        }
    )*};
}

macro_rules! openat {
    ($($name:ident, $real:ident, $symbol:literal;)*) => {$(
        static $real: RealFunction = RealFunction::new($symbol);

        /// openat(2)
        ///
        /// # Safety
        /// As that of the C library.
        #[unsafe(no_mangle)]
        pub(crate) unsafe extern "C" fn $name(at: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
            let real = real!($real as OpenatFn, else -1);
            // SAFETY: the caller's arguments, passed on.
            let fd = unsafe { real(at, path, flags, mode_given(flags, mode)) };
            // SAFETY: the caller gave a string.
            if fd >= 0 && reads(flags) && unsafe { interesting(path) } {
                adjust(fd);
            }
            fd
        }
    )*};
}

macro_rules! open_checked {
    ($($name:ident, $real:ident, $symbol:literal;)*) => {$(
        static $real: RealFunction = RealFunction::new($symbol);

        /// open(2) as programs built with `_FORTIFY_SOURCE` call it.
        ///
        /// # Safety
        /// As that of the C library.
        #[unsafe(no_mangle)]
        pub(crate) unsafe extern "C" fn $name(path: *const c_char, flags: c_int) -> c_int {
            let real = real!($real as OpenCheckedFn, else -1);
            // SAFETY: the caller's arguments, passed on.
            let fd = unsafe { real(path, flags) };
            // SAFETY: the caller gave a string.
            if fd >= 0 && reads(flags) && unsafe { interesting(path) } {
                adjust(fd);
            }
            fd
        }
    )*};
}

macro_rules! openat_checked {
    ($($name:ident, $real:ident, $symbol:literal;)*) => {$(
        static $real: RealFunction = RealFunction::new($symbol);

        /// openat(2) as programs built with `_FORTIFY_SOURCE` call it.
        ///
        /// # Safety
        /// As that of the C library.
        #[unsafe(no_mangle)]
        pub(crate) unsafe extern "C" fn $name(at: c_int, path: *const c_char, flags: c_int) -> c_int {
            let real = real!($real as OpenatCheckedFn, else -1);
            // SAFETY: the caller's arguments, passed on.
            let fd = unsafe { real(at, path, flags) };
            // SAFETY: the caller gave a string.
            if fd >= 0 && reads(flags) && unsafe { interesting(path) } {
                adjust(fd);
            }
            fd
        }
    )*};
}

/// Adjusts a stream that was opened for reading and from which nothing has been read yet.
///
/// # Safety
/// `path` and `mode` are null or end with a NUL, `stream` is null or open.
unsafe fn adjust_stream(path: *const c_char, mode: *const c_char, stream: *mut FILE) {
    // SAFETY: called only where `stream` is not null: the real call has then read `mode`, which ends with a NUL.
    let for_reading = || unsafe { CStr::from_ptr(mode) }.to_bytes();
    // SAFETY: as the caller promises.
    if stream.is_null() || !unsafe { interesting(path) } || for_reading().contains(&b'+') {
        return;
    }
    if for_reading().first() == Some(&b'r') {
        // SAFETY: the stream is open.
        adjust(unsafe { libc::fileno(stream) });
    }
}

macro_rules! fopen {
    ($($name:ident, $real:ident, $symbol:literal;)*) => {$(
        static $real: RealFunction = RealFunction::new($symbol);

        /// fopen(3) and setmntent(3), which have the same arguments.
        ///
        /// # Safety
        /// As that of the C library.
        #[unsafe(no_mangle)]
        pub(crate) unsafe extern "C" fn $name(path: *const c_char, mode: *const c_char) -> *mut FILE {
            let real = real!($real as FopenFn, else std::ptr::null_mut());
            // SAFETY: the caller's arguments, passed on.
            let stream = unsafe { real(path, mode) };
            // SAFETY: the caller gave strings, and the stream was opened just now.
            unsafe { adjust_stream(path, mode, stream) };
            stream
        }
    )*};
}

macro_rules! freopen {
    ($($name:ident, $real:ident, $symbol:literal;)*) => {$(
        static $real: RealFunction = RealFunction::new($symbol);

        /// freopen(3)
        ///
        /// # Safety
        /// As that of the C library.
        #[unsafe(no_mangle)]
        pub(crate) unsafe extern "C" fn $name(
            path: *const c_char,
            mode: *const c_char,
            stream: *mut FILE,
        ) -> *mut FILE {
            let real = real!($real as FreopenFn, else std::ptr::null_mut());
            // SAFETY: the caller's arguments, passed on.
            let stream = unsafe { real(path, mode, stream) };
            // SAFETY: the caller gave strings, and the stream was opened just now.
            unsafe { adjust_stream(path, mode, stream) };
            stream
        }
    )*};
}

macro_rules! statfs {
    ($($name:ident, $kind:ty, $real:ident, $symbol:literal;)*) => {$(
        static $real: RealFunction = RealFunction::new($symbol);

        /// statfs(2)
        ///
        /// # Safety
        /// As that of the C library.
        #[unsafe(no_mangle)]
        pub(crate) unsafe extern "C" fn $name(path: *const c_char, answer: *mut $kind) -> c_int {
            let real = real!($real as unsafe extern "C" fn(*const c_char, *mut $kind) -> c_int, else -1);
            // SAFETY: the caller's arguments, passed on.
            let done = unsafe { real(path, answer) };
            if done == 0 {
                // SAFETY: the call has just read this string and written this answer.
                unsafe { (*answer).f_type = reported_type((*answer).f_type, libc::AT_FDCWD, CStr::from_ptr(path)) };
            }
            done
        }
    )*};
}

macro_rules! fstatfs {
    ($($name:ident, $kind:ty, $real:ident, $symbol:literal;)*) => {$(
        static $real: RealFunction = RealFunction::new($symbol);

        /// fstatfs(2)
        ///
        /// # Safety
        /// As that of the C library.
        #[unsafe(no_mangle)]
        pub(crate) unsafe extern "C" fn $name(fd: c_int, answer: *mut $kind) -> c_int {
            let real = real!($real as unsafe extern "C" fn(c_int, *mut $kind) -> c_int, else -1);
            // SAFETY: the caller's arguments, passed on.
            let done = unsafe { real(fd, answer) };
            if done == 0 {
                // SAFETY: the call has just written this answer.
                unsafe { (*answer).f_type = reported_type((*answer).f_type, fd, c"") };
            }
            done
        }
    )*};
}

open! {
    open, OPEN, c"open";
    open64, OPEN64, c"open64";
}
openat! {
    openat, OPENAT, c"openat";
    openat64, OPENAT64, c"openat64";
}
open_checked! {
    __open_2, OPEN_2, c"__open_2";
    __open64_2, OPEN64_2, c"__open64_2";
}
openat_checked! {
    __openat_2, OPENAT_2, c"__openat_2";
    __openat64_2, OPENAT64_2, c"__openat64_2";
}
fopen! {
    fopen, FOPEN, c"fopen";
    fopen64, FOPEN64, c"fopen64";
    setmntent, SETMNTENT, c"setmntent";
}
freopen! {
    freopen, FREOPEN, c"freopen";
    freopen64, FREOPEN64, c"freopen64";
}
statfs! {
    statfs, libc::statfs, STATFS, c"statfs";
    statfs64, libc::statfs64, STATFS64, c"statfs64";
}
fstatfs! {
    fstatfs, libc::statfs, FSTATFS, c"fstatfs";
    fstatfs64, libc::statfs64, FSTATFS64, c"fstatfs64";
}

/// Looks up all functions while the program starts, so that a later call from a signal handler needs no loader. Does no
/// more: the program's own libraries are not ready yet.
extern "C" fn look_up() {
    let all = [
        &OPEN,
        &OPEN64,
        &OPENAT,
        &OPENAT64,
        &OPEN_2,
        &OPEN64_2,
        &OPENAT_2,
        &OPENAT64_2,
        &FOPEN,
        &FOPEN64,
        &SETMNTENT,
        &FREOPEN,
        &FREOPEN64,
        &STATFS,
        &STATFS64,
        &FSTATFS,
        &FSTATFS64,
    ];
    for real in all {
        real.address();
    }
}

#[used]
// SAFETY: the loader calls each function of this section once, with arguments that `look_up` ignores.
#[unsafe(link_section = ".init_array")]
static LOOK_UP: extern "C" fn() = look_up;
