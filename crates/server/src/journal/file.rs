//! The journal's file. Lines are appended, and from time to time the whole file is rewritten.
//!
//! Nothing is synced to disk. Written bytes are in the page cache and survive the end of this process, however it ends.
//! They need not survive the end of the kernel: no process survives that either, so there are no members to restore.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::record::{FORMAT, Record};
use super::snapshot::Snapshot;

const NAME: &str = "journal";
/// The length in bytes below which a rewrite is never worth its cost.
const SMALL: u64 = 1 << 20;

/// A state directory, locked by this process.
#[derive(Debug)]
pub struct Store {
    directory: PathBuf,
    /// `None` after a failure: the file may end in half a line, which only a rewrite repairs.
    file: Option<File>,
    length: u64,
    /// The length after the last rewrite.
    began: u64,
    _lock: File,
}

/// The contents of a journal.
#[derive(Debug, Default)]
pub struct JournalContents {
    /// The state that the readable lines describe; `None` without a journal, or if its first line is unreadable.
    pub snapshot: Option<Snapshot>,
    /// One sentence on the damage; `None` for an intact journal.
    pub damage: Option<String>,
}

impl Store {
    /// Locks a state directory. A missing one is made with mode 0700.
    ///
    /// # Errors
    /// `WouldBlock` when another process has locked it; the errors of mkdir(2), open(2) and flock(2).
    pub fn open(directory: &Path) -> io::Result<Store> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(directory.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let message = format!("{} is in use by another penfold serve", directory.display());
                return Err(io::Error::new(io::ErrorKind::WouldBlock, message));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        Ok(Store { directory: directory.to_owned(), file: None, length: 0, began: 0, _lock: lock })
    }

    fn path(&self) -> PathBuf {
        self.directory.join(NAME)
    }

    /// Reads the journal of an earlier daemon. A copy of a damaged file is kept as `journal.damaged`.
    ///
    /// # Errors
    /// The error of read(2).
    pub fn read(&self) -> io::Result<JournalContents> {
        let bytes = match fs::read(self.path()) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(JournalContents::default()),
            Err(error) => return Err(error),
        };
        let mut found = parse(&bytes);
        if let Some(damage) = &mut found.damage {
            let aside = self.directory.join("journal.damaged");
            if fs::copy(self.path(), &aside).is_ok() {
                *damage = format!("{damage}; the file is kept as {}", aside.display());
            }
        }
        Ok(found)
    }

    /// Replaces the file by one with the records of `snapshot`. The old file stays until the new one is complete.
    ///
    /// # Errors
    /// `ENOSPC` on a full disk; the errors of open(2), write(2) and rename(2). The old file is unchanged then.
    pub fn rewrite(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        self.file = None;
        let new = self.directory.join("journal.new");
        let written = write_all(&new, snapshot).and_then(|(file, length)| {
            fs::rename(&new, self.path())?;
            Ok((file, length))
        });
        match written {
            Ok((file, length)) => {
                (self.file, self.length, self.began) = (Some(file), length, length);
                Ok(())
            }
            Err(error) => {
                // an incomplete file would keep space of a disk that may be full
                let _ = fs::remove_file(&new);
                Err(error)
            }
        }
    }

    /// Appends records, or rewrites the file if it has grown enough. `snapshot` includes `records` already.
    ///
    /// # Errors
    /// As [`Store::rewrite`]. The next call rewrites the file.
    pub fn append(&mut self, records: &[Record], snapshot: &Snapshot) -> io::Result<()> {
        let due = self.length > SMALL.max(4 * self.began);
        let Some(file) = self.file.as_mut().filter(|_| !due) else { return self.rewrite(snapshot) };
        let mut lines = Vec::new();
        for record in records {
            write_line(&mut lines, record)?;
        }
        let written = file.write_all(&lines);
        if written.is_err() {
            self.file = None;
        }
        self.length += lines.len() as u64;
        written
    }

    /// Removes the journal, when the next daemon is to restore nothing.
    ///
    /// # Errors
    /// The error of unlink(2).
    pub fn discard(&mut self) -> io::Result<()> {
        self.file = None;
        match fs::remove_file(self.path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

fn write_line(out: &mut impl Write, record: &Record) -> io::Result<()> {
    serde_json::to_writer(&mut *out, record)?;
    out.write_all(b"\n")
}

fn write_all(path: &Path, snapshot: &Snapshot) -> io::Result<(File, u64)> {
    let _ = fs::remove_file(path);
    let file = OpenOptions::new().create_new(true).append(true).mode(0o600).open(path)?;
    let mut out = BufWriter::new(file);
    for record in snapshot.records() {
        write_line(&mut out, &record)?;
    }
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    let length = file.metadata()?.len();
    Ok((file, length))
}

/// Parses the lines up to the first damaged one. A last line without newline is no damage: the daemon died while it
/// wrote that line.
pub fn parse(bytes: &[u8]) -> JournalContents {
    let mut snapshot = Snapshot::default();
    let mut lines = bytes.split_inclusive(|&byte| byte == b'\n').enumerate();
    let record = |line: &[u8]| serde_json::from_slice::<Record>(line);
    match lines.next().map(|(_, line)| (line.ends_with(b"\n"), record(line))) {
        Some((true, Ok(begin @ Record::Begin { format: FORMAT, .. }))) => snapshot.apply(&begin),
        Some((true, Ok(Record::Begin { format, .. }))) => {
            let damage = format!(
                "the journal has format {format}, which this version does not read: nothing of it is restored"
            );
            return JournalContents { snapshot: None, damage: Some(damage) };
        }
        None => return JournalContents::default(),
        _ => {
            let damage = "the journal is damaged at its first line: nothing of it is restored".to_owned();
            return JournalContents { snapshot: None, damage: Some(damage) };
        }
    }
    for (number, line) in lines {
        if !line.ends_with(b"\n") {
            break;
        }
        match record(line) {
            Ok(record) => snapshot.apply(&record),
            Err(error) => {
                let number = number + 1;
                let damage = format!(
                    "the journal is damaged at line {number} ({error}): what came after it is not restored"
                );
                return JournalContents { snapshot: Some(snapshot), damage: Some(damage) };
            }
        }
    }
    JournalContents { snapshot: Some(snapshot), damage: None }
}
