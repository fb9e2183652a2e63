//! Random file operations.

use super::byte_string::ByteString;
use super::generator::Generator;
use super::operation::{BaseDir, FileCall, NodeKind, Operator, PathAt, SideOperation};
use super::profile::{COMMON, FORMS, JUNK, MOVES};
use nix::libc;

const ORDINARY: &[&[u8]] = &[b"a", b"b", b"c", b"d"];
const ODD: &[&[u8]] = &[
    b"tasks",
    b"cgroup.procs",
    b"notify_on_release",
    b"a\nb",
    b"\n",
    b".",
    b"a/.",
    b"a/..",
    b"b/../c",
    b"%s%\\x",
    b"\xff\xfe",
    b"sp ace",
    b"tasks2",
    b".hidden",
    b"...",
    b"a//b",
    b"a/",
    b"./a",
    b"\xc3\xa9",
    b"{",
    b"a\tb",
    b"cgroup.x",
];
const FILES: &[&[u8]] = &[b"tasks", b"cgroup.procs"];
const MODES: &[u32] = &[0o755, 0o777, 0o700, 0o1777, 0o500, 0o000, 0o2775, 0o644, 0o7777, 0o555, 0o111];
const FILE_MODES: &[u32] = &[0o644, 0o666, 0o600, 0o444, 0o000, 0o222, 0o777, 0o4755];
const SIZES: &[usize] = &[1, 2, 3, 5, 7, 64, 4095, 4096, 4097, 65536];
/// The most directories and open files that are of use.
const DIRECTORIES: usize = 16;
const HELD: usize = 12;

/// A file operation by `by`, or by the operator that has its file open.
pub(super) fn call(g: &mut Generator, by: Operator) -> SideOperation {
    if g.rng.below(100) < 30
        && let Some(operation) = on_held(g)
    {
        return operation;
    }
    let many = g.model.directories.len() > DIRECTORIES;
    let call = match g.rng.below(100) {
        0..14 if !many => FileCall::Mkdir { place: new(g), mode: *g.rng.pick(MODES) },
        0..22 => FileCall::Rmdir { place: if g.rng.once_in(12) { file(g) } else { directory(g) } },
        22..27 => rename(g),
        27..30 => {
            let mode = if g.rng.once_in(2) { 0o755 } else { *g.rng.pick(MODES) };
            FileCall::Chmod { place: directory(g), mode }
        }
        30..32 => FileCall::Chmod { place: file(g), mode: *g.rng.pick(FILE_MODES) },
        32..36 => {
            let place = if g.rng.once_in(2) { file(g) } else { directory(g) };
            let id =
                |g: &mut Generator| [None, Some(0), Some(65534), Some(65534), Some(1000)][g.rng.below(5)];
            FileCall::Chown { place, uid: id(g), gid: id(g) }
        }
        36..38 => FileCall::Access { place: either(g), mode: g.rng.below(8) as i32 },
        38..42 => FileCall::Stat { place: either(g) },
        42..45 => FileCall::List {
            place: directory(g),
            buffer: [if g.penfold { 400 } else { 200 }, 512, 1024, 32768][g.rng.below(4)],
        },
        45..53 => {
            let sizes = (0..=g.rng.below(3)).map(|_| *g.rng.pick(SIZES)).collect();
            FileCall::Read { place: file(g), sizes }
        }
        53..66 => write(g),
        66..78 => membership(g),
        78..86 => open(g),
        86 => FileCall::Unlink { place: either(g) },
        87 => FileCall::Symlink { place: if g.rng.once_in(3) { either(g) } else { new(g) } },
        88 => FileCall::Link { from: either(g), place: new(g) },
        89 => {
            let kind = [NodeKind::Regular, NodeKind::Fifo, NodeKind::Device][g.rng.below(3)];
            FileCall::Mknod { place: if g.rng.once_in(3) { either(g) } else { new(g) }, kind }
        }
        90 => FileCall::Truncate { place: either(g), len: [0, 1, 4096, -1][g.rng.below(4)] },
        91..93 => FileCall::Chdir { place: either(g) },
        93 => FileCall::Umask { mask: [0o022, 0o022, 0o077, 0, 0o777, 0o027][g.rng.below(6)] },
        _ => FileCall::Stat { place: directory(g) },
    };
    SideOperation::Call(by, call)
}

fn on_held(g: &mut Generator) -> Option<SideOperation> {
    let held = g.held()?;
    let handle = held.handle;
    let len = |g: &mut Generator| if g.rng.once_in(12) { 0 } else { *g.rng.pick(SIZES) };
    let full = g.model.held.len() > HELD;
    let call = match g.rng.below(if full { 20 } else { 14 }) {
        // the names of a listing that fails half-way depend on the order (L12)
        0..3 if held.directory => FileCall::HandleList {
            handle,
            buffer: [if g.penfold { 512 } else { 300 }, 32768][g.rng.below(2)],
        },
        0..3 => FileCall::HandleRead { handle, len: len(g) },
        3 => {
            let offset = [0, 0, 1, 2, 5, 4096, 1 << 40, -1][g.rng.below(8)];
            FileCall::HandlePread { handle, len: len(g), offset }
        }
        4..6 => FileCall::HandleWrite { handle, data: data_for(g, &held.place) },
        6 => {
            let data = data_for(g, &held.place);
            FileCall::HandlePwrite { handle, data, offset: [0, 1, 100, -1][g.rng.below(4)] }
        }
        7 => {
            let mut first = data_for(g, &held.place).0;
            let rest = if first.contains(&b'{') { vec![] } else { first.split_off(first.len() / 2) };
            FileCall::HandleWritev { handle, parts: vec![ByteString(first), ByteString(rest)] }
        }
        // offsets in a directory mean nothing outside of the file system
        8..10 if g.penfold && held.directory => FileCall::HandleSeek { handle, offset: 0, whence: 0 },
        8..10 => {
            let whence = g.rng.below(if g.penfold { 2 } else { 3 }) as i32;
            FileCall::HandleSeek { handle, offset: [0, 0, 0, 1, 3, 100, -1][g.rng.below(7)], whence }
        }
        10 => FileCall::HandleStat { handle },
        11 if g.rng.once_in(2) => FileCall::HandleTruncate { handle, len: [0, 5, -1][g.rng.below(3)] },
        11 => FileCall::HandleChmod { handle, mode: *g.rng.pick(FILE_MODES) },
        12 if held.directory => {
            let place = PathAt { at: BaseDir::Handle(handle), path: (*g.rng.pick(ORDINARY)).into() };
            if g.rng.once_in(2) { FileCall::Mkdir { place, mode: 0o755 } } else { FileCall::Stat { place } }
        }
        _ => FileCall::Close { handle },
    };
    Some(SideOperation::Call(held.by, call))
}

fn rename(g: &mut Generator) -> FileCall {
    let from = if g.rng.once_in(8) { file(g) } else { directory(g) };
    let to = match g.rng.below(8) {
        0 => either(g),
        1 => new(g),
        2 => sibling(g, &from, ODD),
        3 => PathAt { at: from.at, path: ByteString([&from.path.0[..], b"/a"].concat()) },
        _ => sibling(g, &from, ORDINARY),
    };
    let flags = if g.rng.once_in(10) { 1 << g.rng.below(3) } else { 0 };
    FileCall::Rename { from, to, flags }
}

fn sibling(g: &mut Generator, of: &PathAt, names: &[&[u8]]) -> PathAt {
    let path = &of.path.0;
    let parent = path.iter().rposition(|b| *b == b'/').map_or(&b""[..], |slash| &path[..=slash]);
    PathAt { at: of.at, path: ByteString([parent, *g.rng.pick(names)].concat()) }
}

fn write(g: &mut Generator) -> FileCall {
    let place = file(g);
    let data = data_for(g, &place);
    let flags = libc::O_WRONLY
        | [0, 0, 0, libc::O_TRUNC, libc::O_CREAT | libc::O_TRUNC, libc::O_APPEND][g.rng.below(6)];
    FileCall::Write { place, flags, data }
}

fn membership(g: &mut Generator) -> FileCall {
    let place = in_directory(g, FILES);
    let data = move_data(g);
    FileCall::Write { place, flags: libc::O_WRONLY, data }
}

fn open(g: &mut Generator) -> FileCall {
    g.handles += 1;
    let access = [libc::O_RDONLY, libc::O_WRONLY, libc::O_RDWR, libc::O_RDWR, libc::O_PATH][g.rng.below(5)];
    let extra = [
        0,
        0,
        0,
        libc::O_TRUNC,
        libc::O_CREAT,
        libc::O_CREAT | libc::O_EXCL,
        libc::O_APPEND,
        libc::O_NONBLOCK,
        libc::O_DIRECTORY,
        libc::O_NOFOLLOW,
        libc::O_DIRECT,
        libc::O_TMPFILE,
        libc::O_SYNC,
        libc::O_NOATIME,
    ][g.rng.below(14)];
    let extra = if g.penfold { extra & !libc::O_APPEND } else { extra };
    if g.rng.once_in(4) {
        let flags = libc::O_RDONLY | libc::O_DIRECTORY;
        return FileCall::Open { handle: g.handles, place: directory(g), flags, mode: 0 };
    }
    let place = if g.rng.once_in(8) { new(g) } else { file(g) };
    FileCall::Open { handle: g.handles, place, flags: access | extra, mode: 0o644 }
}

/// A directory that may be there.
fn directory(g: &mut Generator) -> PathAt {
    let known = &g.model.directories;
    if known.is_empty() || g.rng.once_in(12) {
        return match g.rng.below(4) {
            0 => PathAt { at: BaseDir::Root, path: ".".into() },
            1 => PathAt { at: BaseDir::Cwd, path: ".".into() },
            _ => new(g),
        };
    }
    PathAt { at: BaseDir::Root, path: ByteString(g.rng.pick(known).clone()) }
}

/// A name in a directory. The directory may be missing, the name may be taken.
fn new(g: &mut Generator) -> PathAt {
    let name = match g.rng.below(24) {
        0..4 => g.rng.pick(ODD).to_vec(),
        4 => vec![b'n'; [255, 256, 300, 4000, 4096][g.rng.below(5)]],
        _ => g.rng.pick(ORDINARY).to_vec(),
    };
    match g.rng.below(20) {
        // never with dots, which might lead out of the root
        0 => PathAt { at: BaseDir::Cwd, path: ByteString(g.rng.pick(ORDINARY).to_vec()) },
        1..6 => PathAt { at: BaseDir::Root, path: ByteString(name) },
        _ => {
            let known = &g.model.directories;
            let parent = if known.is_empty() { b"a".to_vec() } else { g.rng.pick(known).clone() };
            let deep = parent.split(|b| *b == b'/').count() > 4;
            let path = if deep { name } else { [&parent[..], b"/", &name].concat() };
            PathAt { at: BaseDir::Root, path: ByteString(path) }
        }
    }
}

fn in_directory(g: &mut Generator, names: &[&[u8]]) -> PathAt {
    let PathAt { at, path } = directory(g);
    PathAt { at, path: ByteString([&path.0[..], b"/", *g.rng.pick(names)].concat()) }
}

/// A control file that may be there.
fn file(g: &mut Generator) -> PathAt {
    let names: Vec<&[u8]> = match g.rng.below(10) {
        0..4 => COMMON.iter().map(|f| f.name.as_bytes()).collect(),
        4..6 => FILES.to_vec(),
        6 if g.rng.once_in(3) => vec![b"nosuch", b"tasks/", b"tasks/x", b"tasks/."],
        _ => g.profile.files().iter().map(|f| f.name.as_bytes()).collect(),
    };
    if g.profile.controller().is_none() && g.rng.once_in(4) {
        return PathAt { at: BaseDir::Root, path: ByteString(g.rng.pick(&names).to_vec()) };
    }
    in_directory(g, &names)
}

fn either(g: &mut Generator) -> PathAt {
    if g.rng.once_in(2) { file(g) } else { directory(g) }
}

/// Something to write to a file.
fn data_for(g: &mut Generator, place: &PathAt) -> ByteString {
    if place.is_membership() {
        return move_data(g);
    }
    let name = place.path.0.rsplit(|b| *b == b'/').next().unwrap_or_default();
    let known: Vec<_> =
        COMMON.iter().chain(g.profile.files()).filter(|file| file.name.as_bytes() == name).collect();
    if !known.is_empty() && !g.rng.once_in(3) {
        let values = g.rng.pick(&known).values;
        return (*g.rng.pick(values)).into();
    }
    if g.rng.once_in(8) {
        let len = [4094, 4095, 4096, 4097, 5000, 8192, 1636, 1637, 6244, 6245][g.rng.below(10)];
        let mut data = vec![*g.rng.pick(b"0 x\n"); len];
        data[0] = *g.rng.pick(b"01 ");
        return ByteString(data);
    }
    (*g.rng.pick(JUNK)).into()
}

/// Something to write to a file that moves processes.
fn move_data(g: &mut Generator) -> ByteString {
    if g.rng.once_in(5) {
        return (*g.rng.pick(MOVES)).into();
    }
    let (form, member) = (*g.rng.pick(FORMS), g.member());
    if g.rng.once_in(40) {
        let spaces = " ".repeat([4000, 4090, 4096, 5000][g.rng.below(4)]);
        return ByteString(format!("{{{member}}}{spaces}").into_bytes());
    }
    ByteString(form.replace('@', &member).into_bytes())
}
