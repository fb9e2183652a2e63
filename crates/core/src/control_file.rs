//! Control files: the table that a subsystem declares, and the dispatch of reads and writes.

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

/// The longest write that a control file takes unless it says otherwise: one page.
pub const PAGE_SIZE: usize = 4096;

/// In which directories a file appears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Visibility {
    /// In every directory.
    #[default]
    Everywhere,
    /// Only in the root of a hierarchy.
    RootOnly,
    /// Everywhere but in the root.
    NotRoot,
}

impl Visibility {
    pub(crate) fn includes(self, root: bool) -> bool {
        match self {
            Visibility::Everywhere => true,
            Visibility::RootOnly => root,
            Visibility::NotRoot => !root,
        }
    }
}

/// A reader of `key value` lines: it calls its last argument once a line.
pub type ReadMap<S> = fn(&mut S, &mut Context<'_, S>, &mut dyn FnMut(&str, u64)) -> Result<()>;

/// How a file is read (D3).
pub enum ReadHandler<S: Subsystem> {
    /// Not at all: `EINVAL`.
    None,
    /// A number, printed as `%llu\n`.
    U64(fn(&mut S, &mut Context<'_, S>) -> Result<u64>),
    /// A signed number, printed as `%lld\n`.
    S64(fn(&mut S, &mut Context<'_, S>) -> Result<i64>),
    /// Lines of `key value`.
    Map(ReadMap<S>),
    /// A string or sequence: free text, with its newlines.
    Text(fn(&mut S, &mut Context<'_, S>, &mut String) -> Result<()>),
}

impl<S: Subsystem> Clone for ReadHandler<S> {
    fn clone(&self) -> ReadHandler<S> {
        *self
    }
}

impl<S: Subsystem> Copy for ReadHandler<S> {}

/// How a file is written (D3). Every write is one command.
pub enum WriteHandler<S: Subsystem> {
    /// Not at all: `EINVAL`.
    None,
    /// A number, parsed as today's kernel does (B3.7).
    U64(fn(&mut S, &mut Context<'_, S>, u64) -> Result<()>),
    /// A signed number, likewise.
    S64(fn(&mut S, &mut Context<'_, S>, i64) -> Result<()>),
    /// Text, white space stripped at both ends.
    Text(fn(&mut S, &mut Context<'_, S>, &str) -> Result<()>),
    /// Any content, only the event counts (B3.6).
    Trigger(fn(&mut S, &mut Context<'_, S>) -> Result<()>),
}

impl<S: Subsystem> Clone for WriteHandler<S> {
    fn clone(&self) -> WriteHandler<S> {
        *self
    }
}

impl<S: Subsystem> Copy for WriteHandler<S> {}

/// One control file of a subsystem.
pub struct ControlFile<S: Subsystem> {
    /// [`ControlFile::new`]
    pub name: Cow<'static, str>,
    /// [`ControlFile::mode`]; `None` for what follows from the handlers.
    pub mode: Option<u32>,
    /// Where it appears.
    pub visibility: Visibility,
    /// [`ControlFile::max_write`]
    pub max_write: usize,
    /// [`ControlFile::not_a_setting`]
    pub not_a_setting: bool,
    /// [`ControlFile::private`]
    pub private: usize,
    /// How it is read.
    pub read: ReadHandler<S>,
    /// How it is written.
    pub write: WriteHandler<S>,
}

impl<S: Subsystem> Clone for ControlFile<S> {
    fn clone(&self) -> ControlFile<S> {
        ControlFile { name: self.name.clone(), ..*self }
    }
}

impl<S: Subsystem> ControlFile<S> {
    /// A file of this name, without the subsystem's prefix. Until it is told how, it can be neither read nor
    /// written.
    pub const fn new(name: &'static str) -> ControlFile<S> {
        ControlFile::named(Cow::Borrowed(name))
    }

    /// The same, of a name that is not known before the program runs.
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

    /// Read as a number.
    #[must_use]
    pub const fn read_u64(mut self, read: fn(&mut S, &mut Context<'_, S>) -> Result<u64>) -> ControlFile<S> {
        self.read = ReadHandler::U64(read);
        self
    }

    /// Read as a signed number.
    #[must_use]
    pub const fn read_s64(mut self, read: fn(&mut S, &mut Context<'_, S>) -> Result<i64>) -> ControlFile<S> {
        self.read = ReadHandler::S64(read);
        self
    }

    /// Read as lines of `key value`.
    #[must_use]
    pub const fn read_map(mut self, read: ReadMap<S>) -> ControlFile<S> {
        self.read = ReadHandler::Map(read);
        self
    }

    /// Read as free text.
    #[must_use]
    pub const fn read_text(
        mut self,
        read: fn(&mut S, &mut Context<'_, S>, &mut String) -> Result<()>,
    ) -> ControlFile<S> {
        self.read = ReadHandler::Text(read);
        self
    }

    /// Written as a number.
    #[must_use]
    pub const fn write_u64(
        mut self,
        write: fn(&mut S, &mut Context<'_, S>, u64) -> Result<()>,
    ) -> ControlFile<S> {
        self.write = WriteHandler::U64(write);
        self
    }

    /// Written as a signed number.
    #[must_use]
    pub const fn write_s64(
        mut self,
        write: fn(&mut S, &mut Context<'_, S>, i64) -> Result<()>,
    ) -> ControlFile<S> {
        self.write = WriteHandler::S64(write);
        self
    }

    /// Written as text.
    #[must_use]
    pub const fn write_text(
        mut self,
        write: fn(&mut S, &mut Context<'_, S>, &str) -> Result<()>,
    ) -> ControlFile<S> {
        self.write = WriteHandler::Text(write);
        self
    }

    /// Written with whatever content.
    #[must_use]
    pub const fn trigger(mut self, write: fn(&mut S, &mut Context<'_, S>) -> Result<()>) -> ControlFile<S> {
        self.write = WriteHandler::Trigger(write);
        self
    }

    /// Only in the root of a hierarchy.
    #[must_use]
    pub const fn root_only(mut self) -> ControlFile<S> {
        self.visibility = Visibility::RootOnly;
        self
    }

    /// Everywhere but in the root.
    #[must_use]
    pub const fn not_on_root(mut self) -> ControlFile<S> {
        self.visibility = Visibility::NotRoot;
        self
    }

    /// Another mode than the one that follows from its handlers (0444 to read plus 0200 to write).
    #[must_use]
    pub const fn mode(mut self, mode: u32) -> ControlFile<S> {
        self.mode = Some(mode);
        self
    }

    /// The longest write in bytes; more is `E2BIG`. One page by default.
    #[must_use]
    pub const fn max_write(mut self, bytes: usize) -> ControlFile<S> {
        self.max_write = bytes;
        self
    }

    /// Reads as something else than what was written, such as a count that a write resets: what it shows is not a
    /// setting to be written back, see [`Engine::is_setting`](crate::Engine::is_setting).
    #[must_use]
    pub const fn not_a_setting(mut self) -> ControlFile<S> {
        self.not_a_setting = true;
        self
    }

    /// A value that the handlers find in [`Context::private`], so that files can share one handler.
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

/// The facts of a file that do not depend on its subsystem's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ControlFileFacts {
    pub(crate) name: Cow<'static, str>,
    pub(crate) mode: u32,
    pub(crate) visibility: Visibility,
    pub(crate) max_write: usize,
    pub(crate) trigger: bool,
    pub(crate) setting: bool,
}
