//! The files below `/proc/PID` whose values fork(2) passes on, and which a process can set for itself.

use std::ffi::CStr;

use penfold_core::Tid;

/// A file below `/proc/self`, and the text to be written there.
pub(crate) type OwnFile = (&'static CStr, Vec<u8>);

/// The values of a process that a child of it would have. Values that this process may not read are left out.
pub(crate) fn inherited_files(process: Tid) -> Vec<OwnFile> {
    let names = [
        (c"/proc/self/oom_score_adj", "oom_score_adj"),
        (c"/proc/self/coredump_filter", "coredump_filter"),
        (c"/proc/self/loginuid", "loginuid"),
    ];
    let value = |name: &str| super::text(&format!("/proc/{process}/{name}"));
    let file = |(own, name)| Some((own, of_decimal(name, value(name)?)));
    names.into_iter().filter_map(file).collect()
}

/// The values of a program that the kernel itself starts.
pub(crate) fn fresh_files() -> Vec<OwnFile> {
    vec![(c"/proc/self/oom_score_adj", b"0".to_vec())]
}

/// The text of a file that a child of the process would have too. `None` also without permission.
pub(crate) fn inherited_text(process: Tid, name: &str) -> Option<String> {
    super::text(&format!("/proc/{process}/{name}"))
}

/// The filter of core dumps is shown in hexadecimal digits without the prefix that a write needs.
fn of_decimal(name: &str, value: String) -> Vec<u8> {
    if name == "coredump_filter" { format!("0x{}", value.trim()).into_bytes() } else { value.into_bytes() }
}
