//! Random operations. Targets are numbers that are taken modulo what exists, so every sequence means something
//! and stays meaningful when it shrinks.

use proptest::prelude::*;

use super::naive::KINDS;

#[derive(Debug, Clone)]
pub enum ModelOp {
    Mount {
        options: String,
        privileged: bool,
    },
    Remount {
        hierarchy: u8,
        options: String,
    },
    Unmount {
        hierarchy: u8,
    },
    Mkdir {
        at: u16,
        name: &'static str,
        open: bool,
        user: bool,
    },
    Rmdir {
        at: u16,
        user: bool,
    },
    Rename {
        at: u16,
        name: &'static str,
    },
    RenameElsewhere {
        at: u16,
        to: u16,
    },
    Attach {
        at: u16,
        task: u8,
        whole: bool,
        user: bool,
    },
    WriteTask {
        at: u16,
        text: &'static str,
        whole: bool,
        user: bool,
    },
    Spawn {
        user: bool,
    },
    /// A task appears with the css_set of another.
    Join {
        task: u8,
    },
    Pin {
        task: u8,
    },
    Unpin {
        pin: u8,
    },
    Refuse {
        at: u16,
        sub: u8,
        value: bool,
    },
    Fork {
        parent: u8,
        thread: bool,
    },
    Begin {
        parent: u8,
        mark: bool,
    },
    Commit {
        flight: u8,
        thread: bool,
    },
    Cancel {
        flight: u8,
    },
    Exit {
        task: u8,
    },
    Run {
        task: u8,
        cpu: u8,
        user: u16,
        system: u16,
    },
    WriteFlag {
        at: u16,
        clone: bool,
        text: &'static str,
    },
    WriteAgent {
        hierarchy: u8,
        text: &'static str,
    },
    WriteValue {
        at: u16,
        sub: u8,
        text: &'static str,
    },
    Kick {
        at: u16,
        sub: u8,
    },
    Limit {
        at: u16,
        sub: u8,
        rule: u8,
        limit: Option<u8>,
    },
    TakeReleases,
    Load {
        kind: usize,
    },
    Unload {
        kind: usize,
    },
    Fault {
        kind: usize,
        fault: u8,
        value: bool,
    },
    Stale {
        at: u16,
    },
    /// Compares everything.
    Check,
}

pub const NAMES: [&str; 12] =
    ["a", "b", "c", "d", "a", "tasks", "release_agent", "count.usage", "a\nb", "", ".", "x/y"];

pub const NUMBERS: [&str; 14] =
    ["0", "1", "1\n", "2", "0x10", "010", "+1", "", "\n", " 1", "1 ", "-1", "abc", "99999999999999999999"];

const WORDS: [&str; 20] = [
    "none",
    "all",
    "name=x",
    "name=y",
    "name=",
    "name=a/b",
    "name",
    "noprefix",
    "xattr",
    "favordynmods",
    "nofavordynmods",
    "clone_children",
    "release_agent=/agent",
    "release_agent=",
    "foo",
    "",
    "ro",
    "none=1",
    "count=1",
    "CPU",
];

const EXTRAS: [&str; 8] = ["", "", "", "name=x", "name=y", "release_agent=/agent", "clone_children", "xattr"];

/// Often the options of a sensible mount, sometimes junk.
fn options() -> impl Strategy<Value = String> {
    let sensible =
        (prop::bits::u8::between(0, KINDS.len()), prop::sample::subsequence(EXTRAS.to_vec(), 0..3));
    let sensible = sensible.prop_map(|(bits, extras)| {
        let named = (0..KINDS.len()).filter(|bit| bits & 1 << bit != 0).map(|bit| KINDS[bit].name);
        let mut words: Vec<&str> = named.collect();
        if words.is_empty() {
            words.push("none");
        }
        words.extend(extras);
        words.join(",")
    });
    let single = (0..KINDS.len(), 0..EXTRAS.len()).prop_map(|(kind, extra)| {
        [KINDS[kind].name, EXTRAS[extra]]
            .iter()
            .filter(|word| !word.is_empty())
            .copied()
            .collect::<Vec<_>>()
            .join(",")
    });
    let names = KINDS.iter().map(|kind| kind.name);
    let junk: Vec<&str> = WORDS.into_iter().chain(names).collect();
    let junk = prop::collection::vec(prop::sample::select(junk), 0..4).prop_map(|words| words.join(","));
    prop_oneof![5 => single, 3 => sensible, 2 => junk]
}

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(NAMES.to_vec())
}

fn number() -> impl Strategy<Value = &'static str> {
    prop::sample::select(NUMBERS.to_vec())
}

fn rarely() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.1)
}

fn often() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.9)
}

pub fn op() -> impl Strategy<Value = ModelOp> {
    let kind = 0..KINDS.len();
    let agents = prop::sample::select(vec!["/one", " /two \n", "\n", "", "/one"]);
    let structure = prop_oneof![
        8 => (options(), often()).prop_map(|(options, privileged)| ModelOp::Mount { options, privileged }),
        2 => (any::<u8>(), options()).prop_map(|(hierarchy, options)| ModelOp::Remount { hierarchy, options }),
        2 => any::<u8>().prop_map(|hierarchy| ModelOp::Unmount { hierarchy }),
        12 => (any::<u16>(), name(), any::<bool>(), rarely())
            .prop_map(|(at, name, open, user)| ModelOp::Mkdir { at, name, open, user }),
        9 => (any::<u16>(), rarely()).prop_map(|(at, user)| ModelOp::Rmdir { at, user }),
        3 => (any::<u16>(), name()).prop_map(|(at, name)| ModelOp::Rename { at, name }),
        1 => (any::<u16>(), any::<u16>()).prop_map(|(at, to)| ModelOp::RenameElsewhere { at, to }),
        7 => kind.clone().prop_map(|kind| ModelOp::Load { kind }),
        2 => kind.clone().prop_map(|kind| ModelOp::Unload { kind }),
        2 => any::<u16>().prop_map(|at| ModelOp::Stale { at }),
    ];
    let tasks = prop_oneof![
        14 => (any::<u16>(), any::<u8>(), any::<bool>(), rarely())
            .prop_map(|(at, task, whole, user)| ModelOp::Attach { at, task, whole, user }),
        3 => (any::<u16>(), number(), any::<bool>(), any::<bool>())
            .prop_map(|(at, text, whole, user)| ModelOp::WriteTask { at, text, whole, user }),
        4 => any::<bool>().prop_map(|user| ModelOp::Spawn { user }),
        1 => any::<u8>().prop_map(|task| ModelOp::Join { task }),
        2 => any::<u8>().prop_map(|task| ModelOp::Pin { task }),
        2 => any::<u8>().prop_map(|pin| ModelOp::Unpin { pin }),
        6 => (any::<u8>(), any::<bool>()).prop_map(|(parent, thread)| ModelOp::Fork { parent, thread }),
        6 => (any::<u8>(), any::<bool>()).prop_map(|(parent, mark)| ModelOp::Begin { parent, mark }),
        5 => (any::<u8>(), any::<bool>()).prop_map(|(flight, thread)| ModelOp::Commit { flight, thread }),
        3 => any::<u8>().prop_map(|flight| ModelOp::Cancel { flight }),
        6 => any::<u8>().prop_map(|task| ModelOp::Exit { task }),
        4 => (any::<u8>(), 0..2_u8, any::<u16>(), any::<u16>())
            .prop_map(|(task, cpu, user, system)| ModelOp::Run { task, cpu, user, system }),
    ];
    let files = prop_oneof![
        5 => (any::<u16>(), any::<bool>(), number())
            .prop_map(|(at, clone, text)| ModelOp::WriteFlag { at, clone, text }),
        2 => (any::<u8>(), agents).prop_map(|(hierarchy, text)| ModelOp::WriteAgent { hierarchy, text }),
        2 => (any::<u16>(), any::<u8>(), number())
            .prop_map(|(at, sub, text)| ModelOp::WriteValue { at, sub, text }),
        1 => (any::<u16>(), any::<u8>()).prop_map(|(at, sub)| ModelOp::Kick { at, sub }),
        6 => (any::<u16>(), any::<u8>(), 0..3_u8, prop::option::weighted(0.7, 0..6_u8))
            .prop_map(|(at, sub, rule, limit)| ModelOp::Limit { at, sub, rule, limit }),
        1 => (any::<u16>(), any::<u8>(), any::<bool>())
            .prop_map(|(at, sub, value)| ModelOp::Refuse { at, sub, value }),
        3 => Just(ModelOp::TakeReleases),
        3 => (kind, 0..4_u8, any::<bool>()).prop_map(|(kind, fault, value)| ModelOp::Fault { kind, fault, value }),
    ];
    prop_oneof![8 => structure, 12 => tasks, 6 => files, 3 => Just(ModelOp::Check)]
}
