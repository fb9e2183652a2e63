//! Control files: the table that a subsystem declares, and the dispatch of reads and writes.

use core::fmt::Write as _;

use alloc::borrow::Cow;
use alloc::string::String;

use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::number::{parse_s64, parse_u64};
use crate::subsystem::{Context, Subsystem};
use crate::text::{digits_of, is_space, text_of};

/// The longest write that a control file takes unless it says otherwise: one page.
pub const PAGE_SIZE: usize = 4096;

/// In which directories a file appears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Place {
    /// In every directory.
    #[default]
    Everywhere,
    /// Only in the root of a hierarchy.
    RootOnly,
    /// Everywhere but in the root.
    NotRoot,
}

impl Place {
    pub(crate) fn includes(self, root: bool) -> bool {
        match self {
            Place::Everywhere => true,
            Place::RootOnly => root,
            Place::NotRoot => !root,
        }
    }
}

/// A reader of `key value` lines: it calls its last argument once a line.
pub type ReadMap<S> = fn(&mut S, &mut Context<'_, S>, &mut dyn FnMut(&str, u64)) -> Result<()>;

/// How a file is read (D3).
pub enum Read<S: Subsystem> {
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

impl<S: Subsystem> Clone for Read<S> {
    fn clone(&self) -> Read<S> {
        *self
    }
}

impl<S: Subsystem> Copy for Read<S> {}

/// How a file is written (D3). Every write is one command.
pub enum Write<S: Subsystem> {
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

impl<S: Subsystem> Clone for Write<S> {
    fn clone(&self) -> Write<S> {
        *self
    }
}

impl<S: Subsystem> Copy for Write<S> {}

/// One control file of a subsystem.
pub struct File<S: Subsystem> {
    /// [`File::new`]
    pub name: Cow<'static, str>,
    /// [`File::mode`]; `None` for what follows from the handlers.
    pub mode: Option<u32>,
    /// Where it appears.
    pub place: Place,
    /// [`File::max_write`]
    pub max_write: usize,
    /// [`File::counts`]
    pub counts: bool,
    /// [`File::private`]
    pub private: usize,
    /// How it is read.
    pub read: Read<S>,
    /// How it is written.
    pub write: Write<S>,
}

impl<S: Subsystem> Clone for File<S> {
    fn clone(&self) -> File<S> {
        File { name: self.name.clone(), ..*self }
    }
}

impl<S: Subsystem> File<S> {
    /// A file of this name, without the subsystem's prefix. Until it is told how, it can be neither read nor
    /// written.
    pub const fn new(name: &'static str) -> File<S> {
        File::named(Cow::Borrowed(name))
    }

    /// The same, of a name that is not known before the program runs.
    pub const fn named(name: Cow<'static, str>) -> File<S> {
        File {
            name,
            mode: None,
            place: Place::Everywhere,
            max_write: PAGE_SIZE,
            counts: false,
            private: 0,
            read: Read::None,
            write: Write::None,
        }
    }

    /// Read as a number.
    #[must_use]
    pub const fn read_u64(mut self, read: fn(&mut S, &mut Context<'_, S>) -> Result<u64>) -> File<S> {
        self.read = Read::U64(read);
        self
    }

    /// Read as a signed number.
    #[must_use]
    pub const fn read_s64(mut self, read: fn(&mut S, &mut Context<'_, S>) -> Result<i64>) -> File<S> {
        self.read = Read::S64(read);
        self
    }

    /// Read as lines of `key value`.
    #[must_use]
    pub const fn read_map(mut self, read: ReadMap<S>) -> File<S> {
        self.read = Read::Map(read);
        self
    }

    /// Read as free text.
    #[must_use]
    pub const fn read_text(
        mut self,
        read: fn(&mut S, &mut Context<'_, S>, &mut String) -> Result<()>,
    ) -> File<S> {
        self.read = Read::Text(read);
        self
    }

    /// Written as a number.
    #[must_use]
    pub const fn write_u64(mut self, write: fn(&mut S, &mut Context<'_, S>, u64) -> Result<()>) -> File<S> {
        self.write = Write::U64(write);
        self
    }

    /// Written as a signed number.
    #[must_use]
    pub const fn write_s64(mut self, write: fn(&mut S, &mut Context<'_, S>, i64) -> Result<()>) -> File<S> {
        self.write = Write::S64(write);
        self
    }

    /// Written as text.
    #[must_use]
    pub const fn write_text(mut self, write: fn(&mut S, &mut Context<'_, S>, &str) -> Result<()>) -> File<S> {
        self.write = Write::Text(write);
        self
    }

    /// Written with whatever content.
    #[must_use]
    pub const fn trigger(mut self, write: fn(&mut S, &mut Context<'_, S>) -> Result<()>) -> File<S> {
        self.write = Write::Trigger(write);
        self
    }

    /// Only in the root of a hierarchy.
    #[must_use]
    pub const fn root_only(mut self) -> File<S> {
        self.place = Place::RootOnly;
        self
    }

    /// Everywhere but in the root.
    #[must_use]
    pub const fn not_on_root(mut self) -> File<S> {
        self.place = Place::NotRoot;
        self
    }

    /// Another mode than the one that follows from its handlers (0444 to read plus 0200 to write).
    #[must_use]
    pub const fn mode(mut self, mode: u32) -> File<S> {
        self.mode = Some(mode);
        self
    }

    /// The longest write in bytes; more is `E2BIG`. One page by default.
    #[must_use]
    pub const fn max_write(mut self, bytes: usize) -> File<S> {
        self.max_write = bytes;
        self
    }

    /// Reads as something else than what was written, such as a count that a write resets: what it shows is not a
    /// setting to be written back, see [`Engine::is_setting`](crate::Engine::is_setting).
    #[must_use]
    pub const fn counts(mut self) -> File<S> {
        self.counts = true;
        self
    }

    /// A value that the handlers find in [`Context::private`], so that files can share one handler.
    #[must_use]
    pub const fn private(mut self, private: usize) -> File<S> {
        self.private = private;
        self
    }

    pub(crate) fn describe(&self) -> FileFacts {
        let readable = if matches!(self.read, Read::None) { 0 } else { 0o444 };
        let writable = if matches!(self.write, Write::None) { 0 } else { 0o200 };
        FileFacts {
            name: self.name.clone(),
            mode: self.mode.unwrap_or(readable | writable),
            place: self.place,
            max_write: self.max_write,
            trigger: matches!(self.write, Write::Trigger(_)),
            setting: !self.counts
                && !matches!(self.read, Read::None)
                && !matches!(self.write, Write::None | Write::Trigger(_)),
        }
    }

    pub(crate) fn read_into(
        &self,
        subsystem: &mut S,
        ctx: &mut Context<'_, S>,
        out: &mut String,
    ) -> Result<()> {
        match self.read {
            Read::None => return Err(Error::value(Errno::EINVAL, "this file can't be read")),
            Read::U64(read) => {
                let value = read(subsystem, ctx)?;
                let _ = writeln!(out, "{value}");
            }
            Read::S64(read) => {
                let value = read(subsystem, ctx)?;
                let _ = writeln!(out, "{value}");
            }
            Read::Map(read) => read(subsystem, ctx, &mut |key, value| {
                let _ = writeln!(out, "{key} {value}");
            })?,
            Read::Text(read) => read(subsystem, ctx, out)?,
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
            Write::None => Err(Error::value(Errno::EINVAL, "this file can't be written")),
            Write::U64(write) => write(subsystem, ctx, parse_u64(&digits_of(content))?),
            Write::S64(write) => write(subsystem, ctx, parse_s64(&digits_of(content))?),
            Write::Text(write) => write(subsystem, ctx, text_of(content)?.trim_matches(is_space)),
            Write::Trigger(write) => write(subsystem, ctx),
        }
    }
}

/// The facts of a file that do not depend on its subsystem's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileFacts {
    pub(crate) name: Cow<'static, str>,
    pub(crate) mode: u32,
    pub(crate) place: Place,
    pub(crate) max_write: usize,
    pub(crate) trigger: bool,
    pub(crate) setting: bool,
}
