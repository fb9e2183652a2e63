//! The files of each controller, and the texts to be written to them.

/// A kind of sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// A hierarchy without controllers.
    Named,
    /// A hierarchy without controllers, with many releases.
    Release,
    /// The pids controller.
    Pids,
    /// The freezer.
    Freezer,
    /// cpuset.
    Cpuset,
    /// cpuacct.
    Cpuacct,
}

/// All profiles.
pub const PROFILES: [Profile; 6] =
    [Profile::Named, Profile::Release, Profile::Pids, Profile::Freezer, Profile::Cpuset, Profile::Cpuacct];

/// A file and the texts that it is likely to accept.
pub(super) struct ProfileFile {
    pub(super) name: &'static str,
    pub(super) values: &'static [&'static [u8]],
}

impl Profile {
    /// The name in environment variables and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Named => "named",
            Self::Release => "release",
            Self::Pids => "pids",
            Self::Freezer => "freezer",
            Self::Cpuset => "cpuset",
            Self::Cpuacct => "cpuacct",
        }
    }

    /// The controller of the hierarchy.
    pub fn controller(self) -> Option<&'static str> {
        match self {
            Self::Named | Self::Release => None,
            other => Some(other.name()),
        }
    }

    /// Whether the kernel's answers depend on other cgroups in the hierarchy.
    pub fn must_be_alone(self) -> bool {
        self == Self::Cpuset
    }

    /// Whether the kernel's controller counts and limits zombies too.
    pub(super) fn charges_zombies(self) -> bool {
        self == Self::Pids
    }

    /// The controller's own files.
    pub(super) fn files(self) -> &'static [ProfileFile] {
        match self {
            Self::Named => NAMED,
            Self::Release => RELEASE,
            Self::Pids => PIDS,
            Self::Freezer => FREEZER,
            Self::Cpuset => CPUSET,
            Self::Cpuacct => CPUACCT,
        }
    }
}

const BOOL: &[&[u8]] = &[b"0", b"1", b"0\n", b"1\n"];

/// Files that every group has.
pub(super) const COMMON: &[ProfileFile] = &[
    ProfileFile { name: "notify_on_release", values: BOOL },
    ProfileFile { name: "cgroup.clone_children", values: BOOL },
];

/// Texts that few files accept. They are safe for all files but those that move processes.
pub(super) const JUNK: &[&[u8]] = &[
    b"",
    b"\n",
    b" ",
    b"\0",
    b"1\0x",
    b" 1",
    b"1 ",
    b"1\t\n",
    b"1\n\n",
    b"1\r\n",
    b"-1",
    b"-0",
    b"+1",
    b"0x1",
    b"010",
    b"08",
    b"0x",
    b"2",
    b"10",
    b"4294967295",
    b"4294967296",
    b"9223372036854775807",
    b"9223372036854775808",
    b"18446744073709551615",
    b"18446744073709551616",
    b"99999999999999999999999",
    b"1,2",
    b"1 2",
    b"abc",
    b"1x",
    b"max",
    b"THAWED",
    // partly not UTF-8; to the kernel the no-break space of Latin-1 is a space
    b"\xff\xfe",
    b"/\xff\xc3\x28 \xa0",
    b"1\xff",
    b"1\xa0",
    b"\xa00\n",
    b"0\xa0\n",
    b"\xc2\xa01",
    b"99999999999999999999999\xff",
    b"\xc3\xa9\xc2\xb5",
    b"\xc3\xa9",
    b"1.0",
];

/// Texts for files that move processes, beside an actor's plain number.
pub(super) const MOVES: &[&[u8]] = &[
    b"0",
    b"0\n",
    b"-0",
    b"+0",
    b"0x0",
    b"00",
    b"-1",
    b"",
    b"\n",
    b" ",
    b"\0",
    b"abc",
    b"0x",
    b"2",
    b"99999999",
    b"2147483648",
    b"4294967296",
    b"18446744073709551616",
    b"{root}",
    b"{user}",
    b"\xff",
    b"\xa0{root}",
    b"{user}\xa0\n",
];

/// Forms of an actor's number; `@` stands for its name.
pub(super) const FORMS: &[&str] = &[
    "{@}",
    "{@}",
    "{@}",
    "{@}",
    "{@}\n",
    "{@}\n",
    " {@} ",
    "\n{@}\n\n",
    "+{@}",
    "-{@}",
    "{@:x}",
    "{@:o}",
    "{@}\0x",
    "{@}x",
    "{@} {@}",
    "{@}\n{@}\n",
    "{@},",
    "0x{@}",
    "{@}\u{a0}",
];

const NAMED: &[ProfileFile] = &[
    ProfileFile {
        name: "release_agent",
        values: &[
            b"",
            b"\n",
            b"/nonexistent/agent",
            b" /x y \n",
            b"/a\nb",
            b"/a\xff\xfe\n",
            b"\xa0/\xe9\xa0",
            b"/\0b",
            b"{agent}",
            b"{agent}\n",
        ],
    },
    ProfileFile { name: "cgroup.sane_behavior", values: BOOL },
];

const RELEASE: &[ProfileFile] = &[
    ProfileFile {
        name: "release_agent",
        values: &[b"{agent}", b"{agent}\n", b" {agent} ", b"{agent}", b"\n"],
    },
    ProfileFile { name: "notify_on_release", values: &[b"1", b"1", b"1", b"0"] },
    ProfileFile { name: "notify_on_release", values: &[b"1"] },
];

const PIDS: &[ProfileFile] = &[
    ProfileFile {
        name: "pids.max",
        values: &[
            b"max",
            b"max\n",
            b"0",
            b"1",
            b"2",
            b"3",
            b"4",
            b"5",
            b"6\n",
            b"-1",
            b" 3 ",
            b"+5",
            b"0x4",
            b"010",
            b"-0",
            b"4194304",
            b"4194305",
            b"MAX",
            b"max ",
            b"ma",
            b"3 4",
            b"9223372036854775808",
            b"3\0",
        ],
    },
    ProfileFile { name: "pids.max", values: &[b"1", b"2", b"3", b"4", b"max"] },
    ProfileFile { name: "pids.current", values: BOOL },
    ProfileFile { name: "pids.events", values: BOOL },
    ProfileFile { name: "pids.peak", values: BOOL },
    ProfileFile { name: "pids.events.local", values: BOOL },
];

const FREEZER: &[ProfileFile] = &[
    ProfileFile {
        name: "freezer.state",
        values: &[
            b"FROZEN",
            b"FROZEN\n",
            b"THAWED",
            b"THAWED\n",
            b" THAWED\n",
            b"FREEZING",
            b"frozen",
            b"FROZEN x",
            b"\xa0THAWED",
            b"",
        ],
    },
    ProfileFile { name: "freezer.state", values: &[b"FROZEN", b"THAWED", b"THAWED"] },
    ProfileFile { name: "freezer.self_freezing", values: BOOL },
    ProfileFile { name: "freezer.parent_freezing", values: BOOL },
];

const LIST: &[&[u8]] = &[
    b"0",
    b"1",
    b"0-1",
    b"0,1",
    b"0\n",
    b"0-1\n",
    b"",
    b"\n",
    b" ",
    b",",
    b"0-",
    b"-1",
    b"1-0",
    b"0,,1",
    b" 0 ",
    b"0 1",
    b"0, 1",
    b"0 ,1",
    b"0 - 1",
    b"N",
    b"0-N",
    b"all",
    b"ALL",
    b"all:1/2",
    b"0-1:1/2",
    b"n",
    b"none",
    b"0x1",
    b"+0",
    b"0:1/1",
    b"0-1:0/2",
    b"2",
    b"1023",
    b"1024",
    b"4294967295",
    b"4294967296",
    b"0\0,1",
    b"0,1\n0",
    b"abc",
    b"0\xa0",
    b"0\xa01",
    b"0,\xa01",
    b"0-\xa01",
    b"0\xff",
];

const CPUSET: &[ProfileFile] = &[
    ProfileFile { name: "cpuset.cpus", values: LIST },
    ProfileFile { name: "cpuset.cpus", values: &[b"0", b"1", b"0-1", b"0-1", b"0-1"] },
    ProfileFile { name: "cpuset.mems", values: LIST },
    ProfileFile { name: "cpuset.mems", values: &[b"0", b"0", b"0", b"0\n", b""] },
    ProfileFile { name: "cpuset.effective_cpus", values: BOOL },
    ProfileFile { name: "cpuset.effective_mems", values: BOOL },
    ProfileFile { name: "cpuset.cpu_exclusive", values: BOOL },
    ProfileFile { name: "cpuset.mem_exclusive", values: BOOL },
    ProfileFile { name: "cpuset.mem_hardwall", values: BOOL },
    ProfileFile { name: "cpuset.memory_migrate", values: BOOL },
    ProfileFile { name: "cpuset.memory_pressure", values: BOOL },
    ProfileFile { name: "cpuset.memory_spread_page", values: BOOL },
    ProfileFile { name: "cpuset.memory_spread_slab", values: BOOL },
    ProfileFile { name: "cpuset.sched_load_balance", values: BOOL },
    ProfileFile {
        name: "cpuset.sched_relax_domain_level",
        values: &[b"-1", b"0", b"1", b"2", b"3", b"-2", b"0x1", b" 1", b"1\n"],
    },
];

const CPUACCT: &[ProfileFile] = &[
    ProfileFile { name: "cpuacct.usage", values: &[b"0", b"0\n", b"1", b"00", b"0x0", b" 0"] },
    ProfileFile { name: "cpuacct.stat", values: BOOL },
    ProfileFile { name: "cpuacct.usage_all", values: BOOL },
    ProfileFile { name: "cpuacct.usage_percpu", values: BOOL },
    ProfileFile { name: "cpuacct.usage_percpu_sys", values: BOOL },
    ProfileFile { name: "cpuacct.usage_percpu_user", values: BOOL },
    ProfileFile { name: "cpuacct.usage_sys", values: BOOL },
    ProfileFile { name: "cpuacct.usage_user", values: BOOL },
];
