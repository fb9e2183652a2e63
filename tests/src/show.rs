//! The texts of operations and results in transcripts.

use crate::ops::FsOp;
use crate::target::Res;
use nix::fcntl::OFlag;

/// Longer text is shown by its beginning and its length.
const SHOWN: usize = 160;

/// Success or the name of the error.
pub(crate) fn show_result(result: Res<()>) -> String {
    result.map_or_else(|errno| format!("{errno:?}"), |()| "ok".into())
}

/// Text as a Rust literal, cut when long.
pub(crate) fn show(bytes: &[u8]) -> String {
    if bytes.len() <= SHOWN {
        return format!("\"{}\"", bytes.escape_ascii());
    }
    format!("\"{}...\" ({} bytes)", bytes[..8].escape_ascii(), bytes.len())
}

/// An operation as a transcript shows it.
pub(crate) fn describe(op: &FsOp) -> String {
    let name = |path: &String| {
        if path.len() <= SHOWN {
            path.escape_debug().to_string()
        } else {
            format!("{}... ({} bytes)", &path[..8], path.len())
        }
    };
    match op {
        FsOp::Mkdir { path, mode } if *mode == 0o777 => format!("mkdir {}", name(path)),
        FsOp::Mkdir { path, mode } => format!("mkdir {} {mode:o}", name(path)),
        FsOp::Rmdir { path } => format!("rmdir {}", name(path)),
        FsOp::Rename { from, to } => format!("rename {} {}", name(from), name(to)),
        FsOp::Rename2 { from, to, flags } => format!("renameat2 {} {} flags {flags}", name(from), name(to)),
        FsOp::Unlink { path } => format!("unlink {}", name(path)),
        FsOp::Symlink { path } => format!("symlink {}", name(path)),
        FsOp::Link { from, path } => format!("link {} {}", name(from), name(path)),
        FsOp::Fifo { path } => format!("mkfifo {}", name(path)),
        FsOp::Chmod { path, mode } => format!("chmod {} {mode:o}", name(path)),
        FsOp::Chown { path, uid, gid } => format!("chown {} {uid}:{gid}", name(path)),
        FsOp::Truncate { path, len } => format!("truncate {} {len}", name(path)),
        FsOp::Stat { path } => format!("stat {}", name(path)),
        FsOp::ListFiles { path } => format!("list files of {}", name(path)),
        FsOp::List { path } => format!("list {}", name(path)),
        FsOp::Read { path } => format!("read {}", name(path)),
        FsOp::Write { path, data } => format!("write {} {}", name(path), show(data)),
        FsOp::Open { handle, path, flags } => {
            format!("{handle} = open {} {}", name(path), flag_names(*flags))
        }
        FsOp::HandleRead { handle, len } => format!("{handle}: read {len}"),
        FsOp::HandleWrite { handle, data } => format!("{handle}: write {}", show(data)),
        FsOp::HandleWriteAt { handle, data, offset } => format!("{handle}: write {} at {offset}", show(data)),
        FsOp::HandleSeek { handle, offset } => format!("{handle}: seek {offset}"),
        FsOp::Close { handle } => format!("{handle}: close"),
        FsOp::Chdir { path } => format!("chdir {}", name(path)),
        FsOp::Umask { mask } => format!("umask {mask:o}"),
    }
}

fn flag_names(flags: i32) -> String {
    let shown = format!("{:?}", OFlag::from_bits_retain(flags));
    let names = shown.trim_start_matches("OFlag(").trim_end_matches(')');
    if names == "0x0" { "O_RDONLY".into() } else { names.into() }
}
