//! Mount options: the text after `mount -t cgroup -o`, read as by Linux 6.x (A3).

use alloc::borrow::Cow;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::hierarchy::HierarchyFlags;

/// The longest hierarchy name in bytes.
pub(crate) const MAX_NAME: usize = 63;

/// Parsed mount options, with the subsystems as slots.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct MountOptions {
    /// The wanted subsystems, one bit for each slot.
    pub(crate) subsystems: u64,
    /// True if `none` is given.
    pub(crate) none: bool,
    /// The value of `name=`; `None` without the option.
    pub(crate) name: Option<String>,
    /// The value of `release_agent=`; `None` without the option.
    pub(crate) release_agent: Option<Vec<u8>>,
    /// The flags `noprefix`, `xattr`, `cpuset_v2_mode` and `favordynmods`.
    pub(crate) flags: HierarchyFlags,
    /// True if `clone_children` is given.
    pub(crate) clone_children: bool,
}

/// The loaded subsystems, as far as the parser needs them.
pub(crate) struct Known<'a> {
    /// Resolves a name to its slot.
    pub(crate) slot_of: &'a dyn Fn(&str) -> Option<usize>,
    /// All loaded subsystems, one bit for each slot.
    pub(crate) all: u64,
    /// Lists the names of the loaded subsystems, for messages.
    pub(crate) names: &'a dyn Fn() -> String,
}

impl Known<'_> {
    fn nothing_like(&self, word: &str) -> Error {
        let names = (self.names)();
        let loaded =
            if names.is_empty() { "none is loaded".to_owned() } else { format!("loaded are {names}") };
        invalid(word, format!("no such option or subsystem; {loaded}"))
    }
}

// Words that mount(2) itself understands for every file system. They change nothing here.
const IGNORED: [&str; 10] =
    ["ro", "rw", "sync", "async", "dirsync", "lazytime", "nolazytime", "mand", "nomand", ""];
const WITHOUT_VALUE: [&str; 8] = [
    "none",
    "all",
    "noprefix",
    "clone_children",
    "xattr",
    "cpuset_v2_mode",
    "favordynmods",
    "nofavordynmods",
];

const WITH_VALUE: [&str; 2] = ["name", "release_agent"];

/// True for a word that means something else to a mount. A subsystem of that name could never be mounted.
pub(crate) fn is_reserved(word: &str) -> bool {
    IGNORED.contains(&word) || WITHOUT_VALUE.contains(&word) || WITH_VALUE.contains(&word)
}

/// The options one by one, without those for mount(2) itself.
fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b',').filter(|word| !IGNORED.iter().any(|ignored| ignored.as_bytes() == *word))
}

fn invalid(option: &str, reason: impl Into<Cow<'static, str>>) -> Error {
    Error::MountOption { option: option.into(), errno: Errno::EINVAL, reason: reason.into() }
}

impl MountOptions {
    /// The options of the legacy `cpuset` file system type, which takes none in `text` (A7.1).
    pub(crate) fn legacy_cpuset(text: &[u8], cpuset: Option<usize>) -> Result<MountOptions> {
        let Some(slot) = cpuset else {
            return Err(Error::MountOption {
                option: "cpuset".into(),
                errno: Errno::ENODEV,
                reason: "no such subsystem is loaded".into(),
            });
        };
        if let Some(option) = words(text).next() {
            return Err(invalid(&String::from_utf8_lossy(option), "this file system takes no options"));
        }
        Ok(MountOptions {
            subsystems: 1 << slot,
            release_agent: Some("/sbin/cpuset_release_agent".into()),
            flags: HierarchyFlags::NOPREFIX,
            ..MountOptions::default()
        })
    }

    pub(crate) fn parse(text: &[u8], known: &Known<'_>, privileged: bool) -> Result<MountOptions> {
        let mut options = MountOptions::default();
        let mut all = false;
        // Empty words are skipped (A3.1 is the rule of old kernels).
        for bytes in words(text) {
            let word = &*String::from_utf8_lossy(bytes);
            let (key, value) = word.split_once('=').map_or((word, None), |(key, value)| (key, Some(value)));
            if value.is_some() && WITHOUT_VALUE.contains(&key) {
                return Err(invalid(word, "takes no value"));
            }
            match key {
                "none" => options.none = true,
                "all" => all = true,
                "noprefix" => options.flags |= HierarchyFlags::NOPREFIX,
                "clone_children" => options.clone_children = true,
                "xattr" => options.flags |= HierarchyFlags::XATTR,
                "cpuset_v2_mode" => options.flags |= HierarchyFlags::CPUSET_V2_MODE,
                "favordynmods" => options.flags |= HierarchyFlags::FAVOR_DYNAMIC,
                "nofavordynmods" => options.flags -= HierarchyFlags::FAVOR_DYNAMIC,
                "name" => options.set_name(word, value)?,
                "release_agent" => options.set_release_agent(bytes, privileged)?,
                _ => {
                    let slot = (known.slot_of)(key).ok_or_else(|| known.nothing_like(key))?;
                    options.subsystems |= 1 << slot;
                }
            }
        }
        options.complete(&String::from_utf8_lossy(text), all, known)
    }

    fn set_name(&mut self, word: &str, value: Option<&str>) -> Result<()> {
        let name = value.filter(|name| !name.is_empty()).ok_or_else(|| invalid(word, "has no value"))?;
        if name.len() > MAX_NAME {
            return Err(invalid(word, "longer than 63 bytes"));
        }
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)) {
            return Err(invalid(word, "takes letters, digits, '.', '-' and '_'"));
        }
        if self.name.replace(name.into()).is_some() {
            return Err(invalid(word, "given twice"));
        }
        Ok(())
    }

    /// Sets the release agent from the whole word as bytes, since a path need not be UTF-8.
    fn set_release_agent(&mut self, word: &[u8], privileged: bool) -> Result<()> {
        let agent = word.strip_prefix(b"release_agent=").filter(|agent| !agent.is_empty());
        let word = &*String::from_utf8_lossy(word);
        let agent = agent.ok_or_else(|| invalid(word, "has no value"))?;
        if agent.contains(&0) {
            return Err(invalid(word, "has a NUL byte"));
        }
        if self.release_agent.is_some() {
            return Err(invalid(word, "given twice"));
        }
        if !privileged {
            return Err(Error::MountOption {
                option: word.into(),
                errno: Errno::EINVAL,
                reason: "only the administrator may set a release agent".into(),
            });
        }
        self.release_agent = Some(agent.into());
        Ok(())
    }

    /// Checks the options together, and puts in those that follow from the others.
    fn complete(mut self, text: &str, mut all: bool, known: &Known<'_>) -> Result<MountOptions> {
        if self.subsystems == 0 && !self.none && self.name.is_none() {
            all = true;
        }
        if all {
            if self.subsystems != 0 {
                return Err(invalid(text, "'all' and a subsystem exclude each other"));
            }
            self.subsystems = known.all;
        }
        if self.subsystems == 0 && self.name.is_none() {
            return Err(invalid(text, "a hierarchy needs subsystems or a name"));
        }
        let cpuset = (known.slot_of)("cpuset").map_or(0, |slot| 1 << slot);
        if self.flags.contains(HierarchyFlags::NOPREFIX) && self.subsystems & !cpuset != 0 {
            return Err(invalid(text, "only the cpuset subsystem can do without a prefix"));
        }
        if self.subsystems != 0 && self.none {
            return Err(invalid(text, "'none' and a subsystem exclude each other"));
        }
        Ok(self)
    }
}
