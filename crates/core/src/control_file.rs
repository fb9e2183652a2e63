//! Control files: the table that a subsystem declares, and the files of a directory.
//!
//! The author of a controller lists [`ControlFile`]s in [`Subsystem::FILES`]. Core adds prefix and permissions, parses
//! a write and formats a read as today's kernel does, and calls the handler. A front end lists a directory with
//! [`Engine::files`](crate::Engine::files), as [`FileEntry`]s, and names a file by its [`FileId`]. Begin with
//! [`ControlFile::new`]. The parsers of numbers are here for handlers that take text.

use core::fmt::Write as _;

use alloc::borrow::Cow;
use alloc::string::String;

use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::subsystem::{Context, Subsystem};
use crate::text::{digits_of, is_space, text_of};

pub use crate::control::FileEntry;
pub use crate::ids::FileId;
pub use crate::number::{parse_s32, parse_s64, parse_u64};

/// The longest write in bytes that a control file takes by default: one page. [`ControlFile::max_write`] changes it.
pub const PAGE_SIZE: usize = 4096;

/// The directories in which a control file appears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Visibility {
    /// Every directory.
    #[default]
    Everywhere,
    /// The root of a hierarchy alone.
    RootOnly,
    /// Every directory but the root.
    NotRoot,
}

impl Visibility {
    /// The name in words: `everywhere`, `root only` or `not in the root`.
    pub const fn name(self) -> &'static str {
        match self {
            Visibility::Everywhere => "everywhere",
            Visibility::RootOnly => "root only",
            Visibility::NotRoot => "not in the root",
        }
    }

    pub(crate) fn includes(self, root: bool) -> bool {
        match self {
            Visibility::Everywhere => true,
            Visibility::RootOnly => root,
            Visibility::NotRoot => !root,
        }
    }
}

/// A handler for a file of `key value` lines. It calls its last argument with key and value, once for each line.
pub type ReadMap<S> = fn(&mut S, &mut Context<'_, S>, &mut dyn FnMut(&str, u64)) -> Result<()>;

/// The handler that makes the content of a control file for a read (D3).
#[non_exhaustive]
pub enum ReadHandler<S: Subsystem> {
    /// The file can't be read: `EINVAL`.
    None,
    /// Returns a number, which core prints as `%llu\n`.
    U64(fn(&mut S, &mut Context<'_, S>) -> Result<u64>),
    /// Returns a signed number, which core prints as `%lld\n`.
    S64(fn(&mut S, &mut Context<'_, S>) -> Result<i64>),
    /// Gives keys and values, which core prints as lines `key value`.
    Map(ReadMap<S>),
    /// Appends free text, with its newlines, which core does not change.
    Text(fn(&mut S, &mut Context<'_, S>, &mut String) -> Result<()>),
}

impl<S: Subsystem> Clone for ReadHandler<S> {
    fn clone(&self) -> ReadHandler<S> {
        *self
    }
}

impl<S: Subsystem> Copy for ReadHandler<S> {}

/// The handler that carries out a write to a control file (D3). Every write is one command.
#[non_exhaustive]
pub enum WriteHandler<S: Subsystem> {
    /// The file can't be written: `EINVAL`.
    None,
    /// Takes a number, parsed as by [`parse_u64`] (B3.7).
    U64(fn(&mut S, &mut Context<'_, S>, u64) -> Result<()>),
    /// Takes a signed number, parsed as by [`parse_s64`] (B3.7).
    S64(fn(&mut S, &mut Context<'_, S>, i64) -> Result<()>),
    /// Takes text, without white space at both ends. `EINVAL` for content that is not UTF-8.
    Text(fn(&mut S, &mut Context<'_, S>, &str) -> Result<()>),
    /// Takes no value: a write of any content, of any length, is the event itself (B3.6).
    Trigger(fn(&mut S, &mut Context<'_, S>) -> Result<()>),
}

impl<S: Subsystem> Clone for WriteHandler<S> {
    fn clone(&self) -> WriteHandler<S> {
        *self
    }
}

impl<S: Subsystem> Copy for WriteHandler<S> {}

/// One control file of a subsystem: an entry of [`Subsystem::FILES`].
///
/// The methods are meant for a constant table: `ControlFile::new("max").not_on_root().read_u64(max_of)`.
pub struct ControlFile<S: Subsystem> {
    /// The name without the subsystem's prefix: `max` for `pids.max`.
    pub name: Cow<'static, str>,
    /// The permission bits; `None` for those that follow from the handlers, see [`ControlFile::mode`].
    pub mode: Option<u32>,
    /// The directories in which the file appears.
    pub visibility: Visibility,
    /// The longest write in bytes; a longer one is `E2BIG`.
    pub max_write: usize,
    /// True if the content is no setting to write back, see [`ControlFile::not_a_setting`].
    pub not_a_setting: bool,
    /// The value of [`Context::private`] in the handlers.
    pub private: usize,
    /// The handler of reads.
    pub read: ReadHandler<S>,
    /// The handler of writes.
    pub write: WriteHandler<S>,
}

impl<S: Subsystem> Clone for ControlFile<S> {
    fn clone(&self) -> ControlFile<S> {
        ControlFile { name: self.name.clone(), ..*self }
    }
}

impl<S: Subsystem> ControlFile<S> {
    /// A file of the name `name`, without the subsystem's prefix. The file has no handlers yet, so every read and write
    /// is `EINVAL`.
    pub const fn new(name: &'static str) -> ControlFile<S> {
        ControlFile::named(Cow::Borrowed(name))
    }

    /// A file as from [`ControlFile::new`], for a name that is known only when the program runs.
    pub const fn named(name: Cow<'static, str>) -> ControlFile<S> {
        ControlFile {
            name,
            mode: None,
            visibility: Visibility::Everywhere,
            max_write: PAGE_SIZE,
            not_a_setting: false,
            private: 0,
            read: ReadHandler::None,
            write: WriteHandler::None,
        }
    }

    /// Sets a read handler that returns an unsigned number. Core prints the number in decimal and a newline.
    #[must_use]
    pub const fn read_u64(mut self, read: fn(&mut S, &mut Context<'_, S>) -> Result<u64>) -> ControlFile<S> {
        self.read = ReadHandler::U64(read);
        self
    }

    /// Sets a read handler that returns a signed number. Core prints the number in decimal and a newline.
    #[must_use]
    pub const fn read_s64(mut self, read: fn(&mut S, &mut Context<'_, S>) -> Result<i64>) -> ControlFile<S> {
        self.read = ReadHandler::S64(read);
        self
    }

    /// Sets a read handler that gives keys and values. Core prints each pair as a line `key value`.
    #[must_use]
    pub const fn read_map(mut self, read: ReadMap<S>) -> ControlFile<S> {
        self.read = ReadHandler::Map(read);
        self
    }

    /// Sets a read handler that appends the content to a `String`, newlines included.
    #[must_use]
    pub const fn read_text(
        mut self,
        read: fn(&mut S, &mut Context<'_, S>, &mut String) -> Result<()>,
    ) -> ControlFile<S> {
        self.read = ReadHandler::Text(read);
        self
    }

    /// Sets a write handler that takes an unsigned number in the format of [`parse_u64`] (B3.7).
    ///
    /// Core parses the text. A write of any other text fails with `EINVAL` or `ERANGE`, and the handler does not run.
    /// An error of the handler becomes the error of the write.
    #[must_use]
    pub const fn write_u64(
        mut self,
        write: fn(&mut S, &mut Context<'_, S>, u64) -> Result<()>,
    ) -> ControlFile<S> {
        self.write = WriteHandler::U64(write);
        self
    }

    /// Sets a write handler that takes a signed number in the format of [`parse_s64`] (B3.7).
    ///
    /// Core parses the text. A write of any other text fails with `EINVAL` or `ERANGE`, and the handler does not run.
    /// An error of the handler becomes the error of the write.
    #[must_use]
    pub const fn write_s64(
        mut self,
        write: fn(&mut S, &mut Context<'_, S>, i64) -> Result<()>,
    ) -> ControlFile<S> {
        self.write = WriteHandler::S64(write);
        self
    }

    /// Sets a write handler that takes text. Core takes the white space at both ends away.
    ///
    /// Text that is not UTF-8 fails with `EINVAL`, and the handler does not run.
    #[must_use]
    pub const fn write_text(
        mut self,
        write: fn(&mut S, &mut Context<'_, S>, &str) -> Result<()>,
    ) -> ControlFile<S> {
        self.write = WriteHandler::Text(write);
        self
    }

    /// Sets a write handler that runs at every write, whatever the content (B3.6).
    #[must_use]
    pub const fn trigger(mut self, write: fn(&mut S, &mut Context<'_, S>) -> Result<()>) -> ControlFile<S> {
        self.write = WriteHandler::Trigger(write);
        self
    }

    /// Makes the file appear in the root of a hierarchy alone.
    #[must_use]
    pub const fn root_only(mut self) -> ControlFile<S> {
        self.visibility = Visibility::RootOnly;
        self
    }

    /// Makes the file appear in every directory but the root.
    #[must_use]
    pub const fn not_on_root(mut self) -> ControlFile<S> {
        self.visibility = Visibility::NotRoot;
        self
    }

    /// Sets the permission bits. By default they follow from the handlers: 0444 to read plus 0200 to write (B2.1).
    #[must_use]
    pub const fn mode(mut self, mode: u32) -> ControlFile<S> {
        self.mode = Some(mode);
        self
    }

    /// Sets the longest write in bytes; a longer one is `E2BIG`. The default is [`PAGE_SIZE`]. A trigger has no limit.
    #[must_use]
    pub const fn max_write(mut self, bytes: usize) -> ControlFile<S> {
        self.max_write = bytes;
        self
    }

    /// Marks a file that shows something else than the last write, such as a count that a write resets.
    ///
    /// The content is then no setting that a journal writes back, see
    /// [`Engine::is_setting`](crate::Engine::is_setting).
    #[must_use]
    pub const fn not_a_setting(mut self) -> ControlFile<S> {
        self.not_a_setting = true;
        self
    }

    /// Sets the value that the handlers find in [`Context::private`], so that files can share one handler.
    #[must_use]
    pub const fn private(mut self, private: usize) -> ControlFile<S> {
        self.private = private;
        self
    }

    pub(crate) fn describe(&self) -> ControlFileFacts {
        let readable = if matches!(self.read, ReadHandler::None) { 0 } else { 0o444 };
        let writable = if matches!(self.write, WriteHandler::None) { 0 } else { 0o200 };
        ControlFileFacts {
            name: self.name.clone(),
            mode: self.mode.unwrap_or(readable | writable),
            visibility: self.visibility,
            max_write: self.max_write,
            trigger: matches!(self.write, WriteHandler::Trigger(_)),
            setting: !self.not_a_setting
                && !matches!(self.read, ReadHandler::None)
                && !matches!(self.write, WriteHandler::None | WriteHandler::Trigger(_)),
        }
    }

    pub(crate) fn read_into(
        &self,
        subsystem: &mut S,
        ctx: &mut Context<'_, S>,
        out: &mut String,
    ) -> Result<()> {
        match self.read {
            ReadHandler::None => return Err(Error::value(Errno::EINVAL, "can't be read")),
            ReadHandler::U64(read) => {
                let value = read(subsystem, ctx)?;
                let _ = writeln!(out, "{value}");
            }
            ReadHandler::S64(read) => {
                let value = read(subsystem, ctx)?;
                let _ = writeln!(out, "{value}");
            }
            ReadHandler::Map(read) => read(subsystem, ctx, &mut |key, value| {
                let _ = writeln!(out, "{key} {value}");
            })?,
            ReadHandler::Text(read) => read(subsystem, ctx, out)?,
        }
        Ok(())
    }

    pub(crate) fn write_from(
        &self,
        subsystem: &mut S,
        ctx: &mut Context<'_, S>,
        content: &[u8],
    ) -> Result<()> {
        match self.write {
            WriteHandler::None => Err(Error::value(Errno::EINVAL, "can't be written")),
            WriteHandler::U64(write) => write(subsystem, ctx, parse_u64(&digits_of(content))?),
            WriteHandler::S64(write) => write(subsystem, ctx, parse_s64(&digits_of(content))?),
            WriteHandler::Text(write) => write(subsystem, ctx, text_of(content)?.trim_matches(is_space)),
            WriteHandler::Trigger(write) => write(subsystem, ctx),
        }
    }
}

/// The facts of a control file without the type of its subsystem, for the slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ControlFileFacts {
    pub(crate) name: Cow<'static, str>,
    pub(crate) mode: u32,
    pub(crate) visibility: Visibility,
    pub(crate) max_write: usize,
    pub(crate) trigger: bool,
    pub(crate) setting: bool,
}
