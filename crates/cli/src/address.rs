//! Addresses of cgroups, `[HIERARCHY:]/path`, as users type them and listings show them.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;

use penfold_server::escape::escape;
use penfold_server::protocol::{HierarchiesCall, HierarchyInfo};

use crate::engine_connection::EngineConnection;
use crate::failure::Failure;

/// An address `[HIERARCHY:]/path` in the form that the control socket takes.
///
/// An address from a listing can be typed again: listings show unprintable bytes as `\ooo`. A backslash without three
/// octal digits behind it stands for itself. Any other byte may be typed as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CgroupAddress(pub(crate) String);

impl CgroupAddress {
    /// The parser of an argument that is an address.
    pub(crate) fn parser() -> impl clap::builder::TypedValueParser<Value = CgroupAddress> {
        use clap::builder::TypedValueParser;
        clap::builder::OsStringValueParser::new().try_map(|text| CgroupAddress::parse(&text))
    }

    fn parse(text: &OsStr) -> Result<CgroupAddress, String> {
        // a backslash is the only byte that escape() writes as \134
        let address = escape(text.as_bytes()).replace("\\134", "\\");
        let path = path_of(&address);
        if path.starts_with('/') { Ok(CgroupAddress(address)) } else { Err(WRONG.to_owned()) }
    }

    /// The address itself, or with the hierarchy of this subsystem if the address names no hierarchy.
    pub(crate) fn or_in(&self, subsystem: &str) -> CgroupAddress {
        if self.0.starts_with('/') { CgroupAddress(format!("{subsystem}:{}", self.0)) } else { self.clone() }
    }

    /// The address of a cgroup below this one, by its name or relative path.
    pub(crate) fn child(&self, name: &str) -> CgroupAddress {
        CgroupAddress(format!("{}/{name}", self.0.trim_end_matches('/')))
    }

    /// The address without its last name, and that name; `None` for a root.
    pub(crate) fn split_last(&self) -> Option<(CgroupAddress, String)> {
        let trimmed = self.0.trim_end_matches('/');
        let (parent, name) = trimmed.rsplit_once('/')?;
        let parent = if path_of(parent).is_empty() { format!("{parent}/") } else { parent.to_owned() };
        Some((CgroupAddress(parent), name.to_owned()))
    }
}

const WRONG: &str = "an address is [HIERARCHY:]/path, such as /build, pids:/build or 2:/";

impl fmt::Display for CgroupAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The path of an address. The first colon or slash decides: a hierarchy's name has neither, a path may have both.
pub(crate) fn path_of(address: &str) -> &str {
    match address.find([':', '/']) {
        Some(at) if address.as_bytes()[at] == b':' => &address[at + 1..],
        _ => address,
    }
}

/// The given addresses, or the roots of all hierarchies if none is given.
pub(crate) fn or_all_roots(
    remote: &mut EngineConnection,
    given: &[CgroupAddress],
) -> Result<Vec<CgroupAddress>, Failure> {
    if !given.is_empty() {
        return Ok(given.to_vec());
    }
    let all = remote.call(&HierarchiesCall {})?.hierarchies;
    Ok(all.iter().map(|one| CgroupAddress(format!("{}:/", label(one)))).collect())
}

/// A short label of a hierarchy: its only subsystem, its name if it has no subsystem, else its number.
pub(crate) fn label(hierarchy: &HierarchyInfo) -> String {
    match (hierarchy.subsystems.as_slice(), hierarchy.name.as_str()) {
        ([one], _) => one.clone(),
        (_, "") | ([_, ..], _) => hierarchy.id.to_string(),
        (_, name) => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> CgroupAddress {
        CgroupAddress::parse(OsStr::new(text)).expect("an address")
    }

    #[test]
    fn shown_address_can_be_typed() {
        assert_eq!(address("pids:/a\\040b").0, "pids:/a\\040b");
        let raw = CgroupAddress::parse(OsStr::from_bytes(b"/\xff\x01\\x")).unwrap();
        assert_eq!(raw.0, "/\\377\\001\\x");
        assert!(CgroupAddress::parse(OsStr::new("pids")).is_err());
        assert!(CgroupAddress::parse(OsStr::new("pids:a")).is_err());
        assert!(CgroupAddress::parse(OsStr::new("")).is_err());
    }

    #[test]
    fn address_splits_into_parent_and_name() {
        assert_eq!(address("/a:b/c").split_last(), Some((address("/a:b"), "c".into())));
        assert_eq!(address("x:/a").split_last(), Some((address("x:/"), "a".into())));
        assert_eq!(address("/a/").split_last(), Some((address("/"), "a".into())));
        assert_eq!(address("x:/").split_last(), None);
        assert_eq!(address("/").child("a").0, "/a");
        assert_eq!(address("x:/a").child("b/c").0, "x:/a/b/c");
        assert_eq!(address("/a").or_in("freezer").0, "freezer:/a");
        assert_eq!(address("2:/a").or_in("freezer").0, "2:/a");
        assert_eq!(path_of("/a:b"), "/a:b");
    }
}
