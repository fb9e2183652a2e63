//! `/proc/PID/maps`: the code in a process's memory.

use penfold_core::Tid;

/// A range of a process's memory that can be read and executed, not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ExecutableMapping {
    /// The first address.
    pub(crate) start: u64,
    /// The address behind the last.
    pub(crate) end: u64,
    /// Whether it is the vDSO, which the kernel maps into every process.
    pub(crate) is_vdso: bool,
}

/// The executable mappings of a process, ascending; of a stopped one they stay as they are. `None` when it is gone or has
/// no memory any more.
pub(crate) fn executable_mappings(task: Tid) -> Option<Vec<ExecutableMapping>> {
    Some(super::text(&format!("/proc/{task}/maps"))?.lines().filter_map(parse).collect())
}

/// Such as `7ffd1b5f2000-7ffd1b5f4000 r-xp 00000000 00:00 0                          [vdso]`.
fn parse(line: &str) -> Option<ExecutableMapping> {
    let mut fields = line.split(' ');
    let (start, end) = fields.next()?.split_once('-')?;
    if !fields.next()?.starts_with("r-x") {
        return None;
    }
    let number = |text| u64::from_str_radix(text, 16).ok();
    // no file has a name without a slash
    Some(ExecutableMapping { start: number(start)?, end: number(end)?, is_vdso: line.ends_with(" [vdso]") })
}

#[cfg(test)]
mod tests {
    use super::super::own;
    use super::*;

    #[test]
    fn only_executable_mappings_are_taken() {
        let vdso = "7ffd1b5f2000-7ffd1b5f4000 r-xp 00000000 00:00 0                          [vdso]";
        let expected = ExecutableMapping { start: 0x7ffd_1b5f_2000, end: 0x7ffd_1b5f_4000, is_vdso: true };
        assert_eq!(parse(vdso), Some(expected));
        let named = parse("1000-2000 r-xp 0 08:01 5 /a b [vdso] (deleted)").expect("a mapping");
        assert!(!named.is_vdso);
        assert!(!parse("1000-2000 r-xp 0 08:01 5 /tmp/[vdso]").expect("a mapping").is_vdso);
        assert_eq!(parse("1000-2000 rw-p 0 08:01 5 /x"), None);
        assert_eq!(parse("1000-2000 rwxp 0 00:00 0"), None);
        for odd in ["", "1000", "1000-2000", "x-y r-xp", "1000-2000 r--p r-xp"] {
            assert_eq!(parse(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn this_process_has_code() {
        let own = executable_mappings(own()).expect("it lives");
        let here = this_process_has_code as *const () as u64;
        assert!(own.iter().any(|mapping| (mapping.start..mapping.end).contains(&here)));
        assert_eq!(executable_mappings(Tid(i32::MAX)), None);
    }
}
