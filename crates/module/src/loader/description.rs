//! The description of a module in checked form. A [`ModuleDescription`] can be relied on, whatever is in the file.

use core::ffi::c_char;

use penfold_core::{
    Errno,
    control_file::{PAGE_SIZE, Visibility},
    internal::MAX_SUBSYSTEM_NAME,
    subsystem::{Callbacks, Resource},
};

use super::fault::Fault;
use crate::abi;

/// The highest number of control files that a module may have.
pub const MAX_FILES: u32 = 1024;
/// The highest number of charge rules that a module may have.
pub const MAX_RULES: u32 = 64;
/// The highest `max_write` of a control file, in bytes.
pub const MAX_WRITE: u32 = 1 << 20;

/// The description of a module, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleDescription {
    /// The name of the controller, and the prefix of its files.
    pub name: String,
    /// The module's own version, for people.
    pub version: String,
    /// The purpose of the module in one line.
    pub summary: String,
    /// The version of the binary interface that the module was compiled for.
    pub abi_version: u32,
    /// The optional callbacks that the module has.
    pub callbacks: Callbacks,
    /// The control files, in the order of their numbers.
    pub files: Vec<FileDescription>,
    /// The charge rules, in the order of their numbers.
    pub rules: Vec<RuleDescription>,
    /// The name of the control file that makes `can_fork` refuse, without prefix; may be empty.
    pub refusing_file: String,
}

/// The description of one control file, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDescription {
    /// The name of the file without the module's prefix.
    pub name: String,
    /// Permission bits. Where the module gives none: the bits that follow from the handlers.
    pub mode: u32,
    /// The directories that have the file.
    pub visibility: Visibility,
    /// The longest write to the file, in bytes.
    pub max_write: usize,
    /// True if the content read is not the content written.
    pub not_a_setting: bool,
    /// The kind of reader: `u64`, `s64`, `map`, `text` or `none`.
    pub read: &'static str,
    /// The kind of writer: `u64`, `s64`, `text`, `trigger` or `none`.
    pub write: &'static str,
}

/// The description of one charge rule, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleDescription {
    /// The resource that the rule counts.
    pub resource: Resource,
    /// The error of an operation that the limit refuses.
    pub refusal: Errno,
    /// The name of the control file that sets the rule's limit, without prefix; may be empty.
    pub limit_file: String,
}

/// The count of the numbers that a description begins with in every version of the interface: the version and five
/// sizes. They have to be checked before the rest is read or taken for a [`abi::RawModule`].
pub(super) const HEAD: usize = 6;

/// Checks that a description which begins with these numbers is a [`abi::RawModule`] as this program knows it.
///
/// # Errors
/// [`Fault::Version`] and [`Fault::Size`].
pub(super) fn check_head(head: [u32; HEAD]) -> Result<(), Fault> {
    if head[0] != abi::ABI_VERSION {
        return Err(Fault::Version { theirs: head[0] });
    }
    let sizes = [
        ("module", size_of::<abi::RawModule>()),
        ("file", size_of::<abi::RawFile>()),
        ("rule", size_of::<abi::RawRule>()),
        ("context", size_of::<abi::RawContext>()),
        ("services", size_of::<abi::RawServices>()),
    ];
    for ((what, ours), &theirs) in sizes.into_iter().zip(&head[1..]) {
        if theirs as usize != ours {
            return Err(Fault::Size { what, theirs, ours });
        }
    }
    Ok(())
}

/// The numbers of files and of rules in the tables of a description.
///
/// # Errors
/// [`Fault::Number`] for more than [`MAX_FILES`] or [`MAX_RULES`], [`Fault::Table`] for a pointer that is NULL or not
/// aligned.
pub(super) fn check_tables(module: &abi::RawModule) -> Result<(usize, usize), Fault> {
    let files = check_table("files", module.file_count, MAX_FILES, module.files)?;
    let rules = check_table("rules", module.rule_count, MAX_RULES, module.rules)?;
    Ok((files, rules))
}

fn check_table<T>(what: &'static str, count: u32, most: u32, table: *const T) -> Result<usize, Fault> {
    if count > most {
        let field = format!("number of {what}");
        return Err(Fault::Number { field, value: count.to_string(), allowed: format!("0 to {most}") });
    }
    let problem = match count {
        0 => None,
        _ if table.is_null() => Some("NULL"),
        _ if !table.is_aligned() => Some("an address that is not aligned"),
        _ => None,
    };
    match problem {
        Some(problem) => Err(Fault::Table { what, count, problem }),
        None => Ok(count as usize),
    }
}

impl ModuleDescription {
    /// True if a charge rule of the module counts this resource.
    pub fn has_rule_on(&self, resource: Resource) -> bool {
        self.rules.iter().any(|rule| rule.resource == resource)
    }

    /// Checks a description and its tables. The head and the pointers to the tables have been checked before.
    ///
    /// # Errors
    /// The first [`Fault`] that is found.
    pub(super) fn of(
        module: &abi::RawModule,
        files: &[abi::RawFile],
        rules: &[abi::RawRule],
    ) -> Result<ModuleDescription, Fault> {
        let name = name_of(module)?;
        let description = ModuleDescription {
            version: line(&module.version, "version")?,
            summary: line(&module.summary, "summary")?,
            abi_version: module.abi_version,
            callbacks: callbacks_of(module)?,
            files: files_of(files)?,
            rules: rules
                .iter()
                .enumerate()
                .map(|(number, rule)| rule_of(number, rule))
                .collect::<Result<_, _>>()?,
            refusing_file: line(&module.refusing_file, "refusing_file")?,
            name,
        };
        let named = description
            .rules
            .iter()
            .enumerate()
            .map(|(number, rule)| (format!("rule {number} (limit_file)"), &rule.limit_file));
        for (field, file) in named.chain([("refusing_file".to_owned(), &description.refusing_file)]) {
            if !file.is_empty() && !description.files.iter().any(|other| other.name == *file) {
                return Err(Fault::NoFile { field, file: file.clone() });
            }
        }
        Ok(description)
    }
}

fn name_of(module: &abi::RawModule) -> Result<String, Fault> {
    let name = text(&module.name, "name")?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if name.is_empty() || name.len() > MAX_SUBSYSTEM_NAME || !name.bytes().all(legal) {
        let problem = "is not 1 to 32 letters, digits, '_' and '-'";
        return Err(Fault::Text { field: format!("name {name:?}"), problem });
    }
    Ok(name)
}

fn callbacks_of(module: &abi::RawModule) -> Result<Callbacks, Fault> {
    if module.create.is_none() {
        return Err(Fault::Missing("create"));
    }
    if module.destroy.is_none() {
        return Err(Fault::Missing("destroy"));
    }
    let has = [
        (Callbacks::PRE_DESTROY, module.pre_destroy.is_some()),
        (Callbacks::CAN_ATTACH, module.can_attach.is_some() || module.cancel_attach.is_some()),
        (Callbacks::ATTACH, module.attach.is_some()),
        (Callbacks::CAN_FORK, module.can_fork.is_some() || module.cancel_fork.is_some()),
        (Callbacks::FORK, module.fork.is_some()),
        (Callbacks::EXIT, module.exit.is_some()),
        (Callbacks::POST_CLONE, module.post_clone.is_some()),
        (Callbacks::BIND, module.bind.is_some()),
    ];
    Ok(has.into_iter().filter(|(_, has)| *has).map(|(callback, _)| callback).collect())
}

fn files_of(files: &[abi::RawFile]) -> Result<Vec<FileDescription>, Fault> {
    let mut described: Vec<FileDescription> = Vec::with_capacity(files.len());
    for (number, file) in files.iter().enumerate() {
        let file = file_of(number, file)?;
        if described.iter().any(|other| other.name == file.name) {
            return Err(Fault::Twice(file.name));
        }
        described.push(file);
    }
    Ok(described)
}

fn file_of(number: usize, file: &abi::RawFile) -> Result<FileDescription, Fault> {
    let name = line(&file.name, &format!("file {number} (name)"))?;
    if name.is_empty() || name.contains('/') {
        let problem = "is empty or has a '/'";
        return Err(Fault::Text { field: format!("file {number} (name {name:?})"), problem });
    }
    let wrong = |what: &str, value: String, allowed: &str| Fault::Number {
        field: format!("file {name:?} ({what})"),
        value,
        allowed: allowed.to_owned(),
    };
    let visibility = match file.place {
        abi::EVERYWHERE => Visibility::Everywhere,
        abi::ROOT_ONLY => Visibility::RootOnly,
        abi::NOT_ON_ROOT => Visibility::NotRoot,
        other => return Err(wrong("place", other.to_string(), "0 to 2")),
    };
    if file.mode & !0o777 != 0 {
        return Err(wrong("mode", format!("{:#o}", file.mode), "0 to 0777"));
    }
    if file.flags & !abi::FILE_COUNTS != 0 {
        return Err(wrong("flags", format!("{:#x}", file.flags), "0 and 1"));
    }
    if file.max_write > MAX_WRITE {
        return Err(wrong("max_write", file.max_write.to_string(), &format!("0 to {MAX_WRITE}")));
    }
    let readers = [
        ("u64", file.read_u64.is_some()),
        ("s64", file.read_s64.is_some()),
        ("map", file.read_map.is_some()),
        ("text", file.read_text.is_some()),
    ];
    let writers = [
        ("u64", file.write_u64.is_some()),
        ("s64", file.write_s64.is_some()),
        ("text", file.write_text.is_some()),
        ("trigger", file.trigger.is_some()),
    ];
    let read = one_of(&name, "read", readers)?;
    let write = one_of(&name, "write", writers)?;
    let readable = if read == "none" { 0 } else { 0o444 };
    let writable = if write == "none" { 0 } else { 0o200 };
    let mode = if file.mode == 0 { readable | writable } else { file.mode };
    let max_write = if file.max_write == 0 { PAGE_SIZE } else { file.max_write as usize };
    Ok(FileDescription {
        mode,
        visibility,
        max_write,
        not_a_setting: file.flags & abi::FILE_COUNTS != 0,
        read,
        write,
        name,
    })
}

fn one_of(
    file: &str,
    what: &'static str,
    handlers: [(&'static str, bool); 4],
) -> Result<&'static str, Fault> {
    let mut given = handlers.into_iter().filter(|(_, given)| *given);
    let kind = given.next().map_or("none", |(kind, _)| kind);
    match given.count() {
        0 => Ok(kind),
        more => Err(Fault::Handlers { file: file.to_owned(), what, count: more + 1 }),
    }
}

fn rule_of(number: usize, rule: &abi::RawRule) -> Result<RuleDescription, Fault> {
    let wrong = |what: &str, value: String, allowed: &str| Fault::Number {
        field: format!("rule {number} ({what})"),
        value,
        allowed: allowed.to_owned(),
    };
    let resource = match rule.resource {
        abi::TASKS => Resource::Tasks,
        abi::FORKS => Resource::Forks,
        abi::CPU_TIME => Resource::CpuTime,
        abi::SOCKETS => Resource::Sockets,
        other => return Err(wrong("resource", other.to_string(), "0 to 3")),
    };
    let refusal = match rule.refusal {
        0 => Errno::EAGAIN,
        given => Errno::from_number(given)
            .ok_or_else(|| wrong("refusal", given.to_string(), "0 and positive errnos that penfold knows"))?,
    };
    let limit_file = line(&rule.limit_file, &format!("rule {number} (limit_file)"))?;
    Ok(RuleDescription { resource, refusal, limit_file })
}

/// A text without control characters, so that a terminal can show it.
fn line(field: &[c_char], what: &str) -> Result<String, Fault> {
    let text = text(field, what)?;
    if text.contains(char::is_control) {
        return Err(Fault::Text { field: what.to_owned(), problem: "has control characters" });
    }
    Ok(text)
}

fn text(field: &[c_char], what: &str) -> Result<String, Fault> {
    let bytes: Vec<u8> =
        field.iter().map(|&byte| byte.cast_unsigned()).take_while(|&byte| byte != 0).collect();
    let wrong = |problem| Fault::Text { field: what.to_owned(), problem };
    if bytes.len() == field.len() {
        return Err(wrong("is too long: there is no NUL in its field"));
    }
    String::from_utf8(bytes).map_err(|_| wrong("is not UTF-8"))
}
