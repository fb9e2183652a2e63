//! Random file operations.

use super::generator::Generator;
use super::operation::{At, Call, NodeKind, Operation, Operator, Place};
use super::profile::{COMMON, FORMS, JUNK, MOVES};
use super::text::Text;
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
/// More than this many directories or open files are not of use.
const DIRECTORIES: usize = 16;
const HELD: usize = 12;

/// A file operation by `by`, or by whoever holds the file that it is about.
pub(super) fn call(g: &mut Generator, by: Operator) -> Operation {
    if g.dice.roll(100) < 30
        && let Some(operation) = on_held(g)
    {
        return operation;
    }
    let many = g.shadow.directories.len() > DIRECTORIES;
    let call = match g.dice.roll(100) {
        0..14 if !many => Call::Mkdir { place: new(g), mode: *g.dice.pick(MODES) },
        0..22 => Call::Rmdir { place: if g.dice.once_in(12) { file(g) } else { directory(g) } },
        22..27 => rename(g),
        27..30 => {
            let mode = if g.dice.once_in(2) { 0o755 } else { *g.dice.pick(MODES) };
            Call::Chmod { place: directory(g), mode }
        }
        30..32 => Call::Chmod { place: file(g), mode: *g.dice.pick(FILE_MODES) },
        32..36 => {
            let place = if g.dice.once_in(2) { file(g) } else { directory(g) };
            let id =
                |g: &mut Generator| [None, Some(0), Some(65534), Some(65534), Some(1000)][g.dice.roll(5)];
            Call::Chown { place, uid: id(g), gid: id(g) }
        }
        36..38 => Call::Access { place: either(g), mode: g.dice.roll(8) as i32 },
        38..42 => Call::Stat { place: either(g) },
        42..45 => Call::List {
            place: directory(g),
            buffer: [if g.penfold { 400 } else { 200 }, 512, 1024, 32768][g.dice.roll(4)],
        },
        45..53 => {
            let sizes = (0..=g.dice.roll(3)).map(|_| *g.dice.pick(SIZES)).collect();
            Call::Read { place: file(g), sizes }
        }
        53..66 => write(g),
        66..78 => membership(g),
        78..86 => open(g),
        86 => Call::Unlink { place: either(g) },
        87 => Call::Symlink { place: if g.dice.once_in(3) { either(g) } else { new(g) } },
        88 => Call::Link { from: either(g), place: new(g) },
        89 => {
            let kind = [NodeKind::Regular, NodeKind::Fifo, NodeKind::Device][g.dice.roll(3)];
            Call::Mknod { place: if g.dice.once_in(3) { either(g) } else { new(g) }, kind }
        }
        90 => Call::Truncate { place: either(g), len: [0, 1, 4096, -1][g.dice.roll(4)] },
        91..93 => Call::Chdir { place: either(g) },
        93 => Call::Umask { mask: [0o022, 0o022, 0o077, 0, 0o777, 0o027][g.dice.roll(6)] },
        _ => Call::Stat { place: directory(g) },
    };
    Operation::Call(by, call)
}

fn on_held(g: &mut Generator) -> Option<Operation> {
    let held = g.held()?;
    let handle = held.handle;
    let len = |g: &mut Generator| if g.dice.once_in(12) { 0 } else { *g.dice.pick(SIZES) };
    let full = g.shadow.held.len() > HELD;
    let call = match g.dice.roll(if full { 20 } else { 14 }) {
        // of a listing that fails half-way what was seen depends on the order (L12)
        0..3 if held.directory => {
            Call::HandleList { handle, buffer: [if g.penfold { 512 } else { 300 }, 32768][g.dice.roll(2)] }
        }
        0..3 => Call::HandleRead { handle, len: len(g) },
        3 => {
            let offset = [0, 0, 1, 2, 5, 4096, 1 << 40, -1][g.dice.roll(8)];
            Call::HandlePread { handle, len: len(g), offset }
        }
        4..6 => Call::HandleWrite { handle, data: data_for(g, &held.place) },
        6 => {
            let data = data_for(g, &held.place);
            Call::HandlePwrite { handle, data, offset: [0, 1, 100, -1][g.dice.roll(4)] }
        }
        7 => {
            let mut first = data_for(g, &held.place).0;
            let rest = if first.contains(&b'{') { vec![] } else { first.split_off(first.len() / 2) };
            Call::HandleWritev { handle, parts: vec![Text(first), Text(rest)] }
        }
        // offsets in a directory are the file system's own affair
        8..10 if g.penfold && held.directory => Call::HandleSeek { handle, offset: 0, whence: 0 },
        8..10 => {
            let whence = g.dice.roll(if g.penfold { 2 } else { 3 }) as i32;
            Call::HandleSeek { handle, offset: [0, 0, 0, 1, 3, 100, -1][g.dice.roll(7)], whence }
        }
        10 => Call::HandleStat { handle },
        11 if g.dice.once_in(2) => Call::HandleTruncate { handle, len: [0, 5, -1][g.dice.roll(3)] },
        11 => Call::HandleChmod { handle, mode: *g.dice.pick(FILE_MODES) },
        12 if held.directory => {
            let place = Place { at: At::Handle(handle), path: (*g.dice.pick(ORDINARY)).into() };
            if g.dice.once_in(2) { Call::Mkdir { place, mode: 0o755 } } else { Call::Stat { place } }
        }
        _ => Call::Close { handle },
    };
    Some(Operation::Call(held.by, call))
}

fn rename(g: &mut Generator) -> Call {
    let from = if g.dice.once_in(8) { file(g) } else { directory(g) };
    let to = match g.dice.roll(8) {
        0 => either(g),
        1 => new(g),
        2 => sibling(g, &from, ODD),
        3 => Place { at: from.at, path: Text([&from.path.0[..], b"/a"].concat()) },
        _ => sibling(g, &from, ORDINARY),
    };
    let flags = if g.dice.once_in(10) { 1 << g.dice.roll(3) } else { 0 };
    Call::Rename { from, to, flags }
}

fn sibling(g: &mut Generator, of: &Place, names: &[&[u8]]) -> Place {
    let path = &of.path.0;
    let parent = path.iter().rposition(|b| *b == b'/').map_or(&b""[..], |slash| &path[..=slash]);
    Place { at: of.at, path: Text([parent, *g.dice.pick(names)].concat()) }
}

fn write(g: &mut Generator) -> Call {
    let place = file(g);
    let data = data_for(g, &place);
    let flags = libc::O_WRONLY
        | [0, 0, 0, libc::O_TRUNC, libc::O_CREAT | libc::O_TRUNC, libc::O_APPEND][g.dice.roll(6)];
    Call::Write { place, flags, data }
}

fn membership(g: &mut Generator) -> Call {
    let place = in_directory(g, FILES);
    let data = move_data(g);
    Call::Write { place, flags: libc::O_WRONLY, data }
}

fn open(g: &mut Generator) -> Call {
    g.handles += 1;
    let access = [libc::O_RDONLY, libc::O_WRONLY, libc::O_RDWR, libc::O_RDWR, libc::O_PATH][g.dice.roll(5)];
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
    ][g.dice.roll(14)];
    let extra = if g.penfold { extra & !libc::O_APPEND } else { extra };
    if g.dice.once_in(4) {
        let flags = libc::O_RDONLY | libc::O_DIRECTORY;
        return Call::Open { handle: g.handles, place: directory(g), flags, mode: 0 };
    }
    let place = if g.dice.once_in(8) { new(g) } else { file(g) };
    Call::Open { handle: g.handles, place, flags: access | extra, mode: 0o644 }
}

/// A directory that may be there.
fn directory(g: &mut Generator) -> Place {
    let known = &g.shadow.directories;
    if known.is_empty() || g.dice.once_in(12) {
        return match g.dice.roll(4) {
            0 => Place { at: At::Root, path: ".".into() },
            1 => Place { at: At::Cwd, path: ".".into() },
            _ => new(g),
        };
    }
    Place { at: At::Root, path: Text(g.dice.pick(known).clone()) }
}

/// A name in a directory that may be there; it may be taken.
fn new(g: &mut Generator) -> Place {
    let name = match g.dice.roll(24) {
        0..4 => g.dice.pick(ODD).to_vec(),
        4 => vec![b'n'; [255, 256, 300, 4000, 4096][g.dice.roll(5)]],
        _ => g.dice.pick(ORDINARY).to_vec(),
    };
    match g.dice.roll(20) {
        // never with dots, which might lead out of the root
        0 => Place { at: At::Cwd, path: Text(g.dice.pick(ORDINARY).to_vec()) },
        1..6 => Place { at: At::Root, path: Text(name) },
        _ => {
            let known = &g.shadow.directories;
            let parent = if known.is_empty() { b"a".to_vec() } else { g.dice.pick(known).clone() };
            let deep = parent.split(|b| *b == b'/').count() > 4;
            let path = if deep { name } else { [&parent[..], b"/", &name].concat() };
            Place { at: At::Root, path: Text(path) }
        }
    }
}

fn in_directory(g: &mut Generator, names: &[&[u8]]) -> Place {
    let Place { at, path } = directory(g);
    Place { at, path: Text([&path.0[..], b"/", *g.dice.pick(names)].concat()) }
}

/// A control file that may be there.
fn file(g: &mut Generator) -> Place {
    let names: Vec<&[u8]> = match g.dice.roll(10) {
        0..4 => COMMON.iter().map(|f| f.name.as_bytes()).collect(),
        4..6 => FILES.to_vec(),
        6 if g.dice.once_in(3) => vec![b"nosuch", b"tasks/", b"tasks/x", b"tasks/."],
        _ => g.profile.files().iter().map(|f| f.name.as_bytes()).collect(),
    };
    if g.profile.controller().is_none() && g.dice.once_in(4) {
        return Place { at: At::Root, path: Text(g.dice.pick(&names).to_vec()) };
    }
    in_directory(g, &names)
}

fn either(g: &mut Generator) -> Place {
    if g.dice.once_in(2) { file(g) } else { directory(g) }
}

/// Something to write to a file.
fn data_for(g: &mut Generator, place: &Place) -> Text {
    if place.is_membership() {
        return move_data(g);
    }
    let name = place.path.0.rsplit(|b| *b == b'/').next().unwrap_or_default();
    let known: Vec<_> =
        COMMON.iter().chain(g.profile.files()).filter(|file| file.name.as_bytes() == name).collect();
    if !known.is_empty() && !g.dice.once_in(3) {
        let values = g.dice.pick(&known).values;
        return (*g.dice.pick(values)).into();
    }
    if g.dice.once_in(8) {
        let len = [4094, 4095, 4096, 4097, 5000, 8192, 1636, 1637, 6244, 6245][g.dice.roll(10)];
        let mut data = vec![*g.dice.pick(b"0 x\n"); len];
        data[0] = *g.dice.pick(b"01 ");
        return Text(data);
    }
    (*g.dice.pick(JUNK)).into()
}

/// Something to write to a file that moves processes.
fn move_data(g: &mut Generator) -> Text {
    if g.dice.once_in(5) {
        return (*g.dice.pick(MOVES)).into();
    }
    let (form, member) = (*g.dice.pick(FORMS), g.member());
    if g.dice.once_in(40) {
        let spaces = " ".repeat([4000, 4090, 4096, 5000][g.dice.roll(4)]);
        return Text(format!("{{{member}}}{spaces}").into_bytes());
    }
    Text(form.replace('@', &member).into_bytes())
}
