//! The environment variables that the library reads.

use std::ffi::CStr;

/// Whether the kernel's own cgroup mounts are to be hidden: `PENFOLD_SHIM_ONLY=1`.
pub(crate) fn hides_kernel_mounts() -> bool {
    variable(c"PENFOLD_SHIM_ONLY").is_some_and(|value| value == c"1")
}

/// The directory where penfold's texts for `/proc` are mounted: `PENFOLD_PROC=DIRECTORY`, an absolute path.
pub(crate) fn proc_directory<'a>() -> Option<&'a CStr> {
    variable(c"PENFOLD_PROC").filter(|directory| directory.to_bytes().starts_with(b"/"))
}

/// The value of a variable. As racy against setenv(3) in another thread as getenv(3) is in any program: used at once
/// and never kept.
fn variable<'a>(name: &CStr) -> Option<&'a CStr> {
    // SAFETY: `name` ends with a NUL.
    let value = unsafe { libc::getenv(name.as_ptr()) };
    // SAFETY: a result of getenv that is not null ends with a NUL and stays until the program changes its environment.
    (!value.is_null()).then(|| unsafe { CStr::from_ptr(value) })
}
