//! Makes the description of a subsystem at compile time, so that penfold can read it without running the module.

use std::borrow::Cow;
use std::ffi::c_char;
use std::mem::size_of;

use penfold_core::{
    Errno,
    control_file::{ControlFile, PAGE_SIZE, ReadHandler, Visibility, WriteHandler},
    subsystem::{Callbacks, Resource, Rule, Subsystem},
};

use super::make::Make;
use super::{callbacks, handlers};
use crate::abi;

// The loader accepts no more. Repeated here, because a module is compiled without the loader.
const MAX_FILES: usize = 1024;
const MAX_RULES: usize = 64;
const MAX_WRITE: usize = 1 << 20;

#[cfg(feature = "loader")]
const _: () = assert!(
    MAX_FILES == crate::loader::MAX_FILES as usize
        && MAX_RULES == crate::loader::MAX_RULES as usize
        && MAX_WRITE == crate::loader::MAX_WRITE as usize
);

impl abi::RawFile {
    /// A file without a name or a handler, for an author who fills in a description by hand.
    pub const EMPTY: abi::RawFile = abi::RawFile {
        name: [0; abi::FILE_NAME_SIZE],
        mode: 0,
        place: abi::EVERYWHERE,
        max_write: 0,
        flags: 0,
        private_value: 0,
        read_u64: None,
        read_s64: None,
        read_map: None,
        read_text: None,
        write_u64: None,
        write_s64: None,
        write_text: None,
        trigger: None,
    };
}

/// Returns the description of a subsystem, for [`export!`](crate::export) only, which evaluates it at compile time.
///
/// A description that the binary interface can't hold is a compile error.
pub const fn describe<M: Make>(
    files: &'static [abi::RawFile],
    rules: &'static [abi::RawRule],
    version: &str,
    summary: &str,
) -> abi::RawModule {
    check_name(<M::Subsystem as Subsystem>::NAME);
    check_distinct(files);
    assert!(files.len() <= MAX_FILES, "a module has at most 1024 control files");
    assert!(rules.len() <= MAX_RULES, "a module has at most 64 charge rules");
    let has = <M::Subsystem as Subsystem>::CALLBACKS;
    let attach = has.contains(Callbacks::CAN_ATTACH);
    let fork = has.contains(Callbacks::CAN_FORK);
    let refusing_file =
        text(<M::Subsystem as Subsystem>::REFUSAL_FILE, "REFUSAL_FILE has more than 63 bytes");
    assert!(names_a_file(&refusing_file, files), "REFUSAL_FILE is none of FILES");
    let mut index = 0;
    while index < rules.len() {
        assert!(names_a_file(&rules[index].limit_file, files), "the limit_file of a rule is none of FILES");
        index += 1;
    }
    abi::RawModule {
        abi_version: abi::ABI_VERSION,
        module_size: size_of::<abi::RawModule>() as u32,
        file_size: size_of::<abi::RawFile>() as u32,
        rule_size: size_of::<abi::RawRule>() as u32,
        context_size: size_of::<abi::RawContext>() as u32,
        services_size: size_of::<abi::RawServices>() as u32,
        name: text(<M::Subsystem as Subsystem>::NAME, "the name has more than 32 bytes"),
        version: text(version, "the version of the crate has more than 31 bytes"),
        summary: text(summary, "the description in Cargo.toml has more than 127 bytes"),
        refusing_file,
        files: files.as_ptr(),
        file_count: files.len() as u32,
        rule_count: rules.len() as u32,
        rules: rules.as_ptr(),
        load: Some(callbacks::load::<M>),
        unload: Some(callbacks::unload::<M::Subsystem>),
        create: Some(callbacks::create::<M::Subsystem>),
        destroy: Some(callbacks::destroy::<M::Subsystem>),
        pre_destroy: if has.contains(Callbacks::PRE_DESTROY) {
            Some(callbacks::pre_destroy::<M::Subsystem>)
        } else {
            None
        },
        can_attach: if attach { Some(callbacks::can_attach::<M::Subsystem>) } else { None },
        cancel_attach: if attach { Some(callbacks::cancel_attach::<M::Subsystem>) } else { None },
        attach: if has.contains(Callbacks::ATTACH) { Some(callbacks::attach::<M::Subsystem>) } else { None },
        can_fork: if fork { Some(callbacks::can_fork::<M::Subsystem>) } else { None },
        cancel_fork: if fork { Some(callbacks::cancel_fork::<M::Subsystem>) } else { None },
        fork: if has.contains(Callbacks::FORK) { Some(callbacks::fork::<M::Subsystem>) } else { None },
        exit: if has.contains(Callbacks::EXIT) { Some(callbacks::exit::<M::Subsystem>) } else { None },
        post_clone: if has.contains(Callbacks::POST_CLONE) {
            Some(callbacks::post_clone::<M::Subsystem>)
        } else {
            None
        },
        bind: if has.contains(Callbacks::BIND) { Some(callbacks::bind::<M::Subsystem>) } else { None },
    }
}

/// Returns `S::FILES` in the form of [`abi::RawModule::files`], for [`export!`](crate::export) only.
///
/// `COUNT` must be the length of `S::FILES`. The macro evaluates this at compile time. A file that the binary interface
/// can't hold is a compile error.
pub const fn file_table<S: Subsystem, const COUNT: usize>() -> [abi::RawFile; COUNT] {
    let mut table = [abi::RawFile::EMPTY; COUNT];
    let mut index = 0;
    while index < COUNT {
        table[index] = with_handlers(&S::FILES[index], with_facts(&S::FILES[index], abi::RawFile::EMPTY));
        index += 1;
    }
    table
}

const fn with_facts<S: Subsystem>(file: &ControlFile<S>, entry: abi::RawFile) -> abi::RawFile {
    let name = borrowed(&file.name);
    check_file_name(name);
    assert!(file.max_write > 0 && file.max_write <= MAX_WRITE, "max_write is from 1 to 1 MiB");
    abi::RawFile {
        name: text(name, "the name of a control file has more than 63 bytes"),
        mode: match file.mode {
            // 0 stands for the mode that follows from the handlers
            Some(0) => panic!("the mode of a control file is not 0"),
            Some(mode) if mode & !0o777 == 0 => mode,
            Some(_) => panic!("the mode of a control file is at most 0o777"),
            None => 0,
        },
        place: match file.visibility {
            Visibility::Everywhere => abi::EVERYWHERE,
            Visibility::RootOnly => abi::ROOT_ONLY,
            Visibility::NotRoot => abi::NOT_ON_ROOT,
            _ => panic!("the binary interface has no such visibility"),
        },
        max_write: if file.max_write == PAGE_SIZE { 0 } else { file.max_write as u32 },
        flags: if file.not_a_setting { abi::FILE_COUNTS } else { 0 },
        private_value: file.private as u64,
        ..entry
    }
}

const fn with_handlers<S: Subsystem>(file: &ControlFile<S>, mut entry: abi::RawFile) -> abi::RawFile {
    match file.read {
        ReadHandler::None => {}
        ReadHandler::U64(_) => entry.read_u64 = Some(handlers::read_u64::<S>),
        ReadHandler::S64(_) => entry.read_s64 = Some(handlers::read_s64::<S>),
        ReadHandler::Map(_) => entry.read_map = Some(handlers::read_map::<S>),
        ReadHandler::Text(_) => entry.read_text = Some(handlers::read_text::<S>),
        _ => panic!("the binary interface has no such handler"),
    }
    match file.write {
        WriteHandler::None => {}
        WriteHandler::U64(_) => entry.write_u64 = Some(handlers::write_u64::<S>),
        WriteHandler::S64(_) => entry.write_s64 = Some(handlers::write_s64::<S>),
        WriteHandler::Text(_) => entry.write_text = Some(handlers::write_text::<S>),
        WriteHandler::Trigger(_) => entry.trigger = Some(handlers::trigger::<S>),
        _ => panic!("the binary interface has no such handler"),
    }
    entry
}

/// Returns `S::RULES` in the form of [`abi::RawModule::rules`], for [`export!`](crate::export) only.
///
/// `COUNT` must be the length of `S::RULES`. The macro evaluates this at compile time. A rule that the binary interface
/// can't hold is a compile error.
pub const fn rule_table<S: Subsystem, const COUNT: usize>() -> [abi::RawRule; COUNT] {
    let mut table =
        [abi::RawRule { resource: abi::TASKS, refusal: 0, limit_file: [0; abi::FILE_NAME_SIZE] }; COUNT];
    let mut index = 0;
    while index < COUNT {
        table[index] = rule(&S::RULES[index]);
        index += 1;
    }
    table
}

const fn rule(rule: &Rule) -> abi::RawRule {
    abi::RawRule {
        resource: match rule.resource {
            Resource::Tasks => abi::TASKS,
            Resource::Forks => abi::FORKS,
            Resource::CpuTime => abi::CPU_TIME,
            Resource::Sockets => abi::SOCKETS,
            _ => panic!("the binary interface has no such resource"),
        },
        refusal: match rule.errno {
            Errno::EAGAIN => 0,
            other => other.number(),
        },
        limit_file: text(borrowed(&rule.limit_file), "the limit_file of a rule has more than 63 bytes"),
    }
}

#[expect(clippy::ptr_arg, reason = "a constant can't be dereferenced by `Deref`")]
const fn borrowed<'a>(text: &'a Cow<'static, str>) -> &'a str {
    match text {
        Cow::Borrowed(text) => text,
        Cow::Owned(text) => text.as_str(),
    }
}

/// A text with the NUL that ends it.
const fn text<const SIZE: usize>(text: &str, too_long: &str) -> [c_char; SIZE] {
    let bytes = text.as_bytes();
    assert!(bytes.len() < SIZE, "{}", too_long);
    let mut array = [0; SIZE];
    let mut index = 0;
    while index < bytes.len() {
        assert!(!bytes[index].is_ascii_control(), "a control character in a name, version or description");
        array[index] = bytes[index] as c_char;
        index += 1;
    }
    array
}

const fn check_name(name: &str) {
    let bytes = name.as_bytes();
    assert!(!bytes.is_empty(), "NAME is empty");
    let mut index = 0;
    while index < bytes.len() {
        let legal = bytes[index].is_ascii_alphanumeric() || bytes[index] == b'_' || bytes[index] == b'-';
        assert!(legal, "NAME has letters, digits, '_' and '-' only");
        index += 1;
    }
}

const fn check_file_name(name: &str) {
    let bytes = name.as_bytes();
    assert!(!bytes.is_empty(), "the name of a control file is empty");
    let mut index = 0;
    while index < bytes.len() {
        assert!(
            bytes[index] != b'/' && bytes[index] != b'\n',
            "the name of a control file has a '/' or newline"
        );
        index += 1;
    }
}

const fn names_a_file(name: &[c_char; abi::FILE_NAME_SIZE], files: &[abi::RawFile]) -> bool {
    let mut index = 0;
    while index < files.len() {
        if same(name, &files[index].name) {
            return true;
        }
        index += 1;
    }
    name[0] == 0
}

const fn check_distinct(files: &[abi::RawFile]) {
    let mut first = 0;
    while first < files.len() {
        let mut second = first + 1;
        while second < files.len() {
            assert!(!same(&files[first].name, &files[second].name), "two control files have the same name");
            second += 1;
        }
        first += 1;
    }
}

const fn same(first: &[c_char; abi::FILE_NAME_SIZE], second: &[c_char; abi::FILE_NAME_SIZE]) -> bool {
    let mut index = 0;
    while index < abi::FILE_NAME_SIZE {
        if first[index] != second[index] {
            return false;
        }
        index += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use penfold_core::{Result, subsystem::Context};

    use super::*;

    /// The message of a check that does not pass. The compiler shows the same message.
    fn refused<R>(check: impl FnOnce() -> R + std::panic::UnwindSafe) -> String {
        let payload = catch_unwind(check).err().expect("it is refused");
        let text = payload.downcast_ref::<&str>().map(ToString::to_string);
        text.or_else(|| payload.downcast_ref::<String>().cloned()).expect("with a message")
    }

    struct Any;

    impl Subsystem for Any {
        type State = ();

        const NAME: &'static str = "any";

        fn create(&mut self, _: &mut Context<'_, Self>) -> Result<()> {
            Ok(())
        }

        fn destroy(&mut self, _: &mut Context<'_, Self>) {}
    }

    #[test]
    fn description_that_the_interface_can_not_hold_is_refused() {
        for (name, reason) in [("", "NAME is empty"), ("a b", "letters, digits"), ("a.b", "letters, digits")]
        {
            assert!(refused(|| check_name(name)).contains(reason), "{name:?}");
        }
        check_name("every-thing_1");
        assert_eq!(refused(|| text::<4>("1234", "too long")), "too long");
        assert_eq!(text::<4>("123", "too long").map(c_char::cast_unsigned), *b"123\0");
        assert!(refused(|| text::<8>("a\nb", "")).contains("control character"));

        let facts = |file: ControlFile<Any>| with_facts(&file, abi::RawFile::EMPTY);
        let named = |name: &'static str| facts(ControlFile::new(name));
        assert!(refused(|| named("")).contains("is empty"));
        assert!(refused(|| named("a/b")).contains("has a '/'"));
        assert!(
            refused(|| named("12345678 12345678 12345678 12345678 12345678 12345678 12345678 1"))
                .contains("63 bytes")
        );
        assert!(refused(|| facts(ControlFile::new("a").mode(0))).contains("not 0"));
        assert!(refused(|| facts(ControlFile::new("a").mode(0o4755))).contains("0o777"));
        assert!(refused(|| facts(ControlFile::new("a").max_write(0))).contains("1 MiB"));
        assert!(refused(|| facts(ControlFile::new("a").max_write(MAX_WRITE + 1))).contains("1 MiB"));

        let files = [named("a"), named("b"), named("a")];
        assert!(refused(|| check_distinct(&files)).contains("the same name"));
        check_distinct(&files[..2]);
        let is_there = |name| names_a_file(&text(name, ""), &files);
        assert_eq!([is_there("b"), is_there(""), is_there("c")], [true, true, false]);
    }
}
