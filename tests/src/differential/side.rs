//! One of the two sides: a directory, the processes that act on it and those that are moved in it.

use super::cast::{Cast, MOMENT};
use super::data;
use super::operation::{Act, Call, OPERATORS, Operation, Operator};
use super::operator::Order;
use super::outcome::Outcome;
use super::setup::Home;
use super::{process, wire};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::{BTreeSet, HashMap};
use std::fmt::Debug;
use std::fs;
use std::io::{self, BufReader};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A hierarchy that is there to be compared. It goes away when it is dropped.
pub trait Mounted: Debug + Send {
    /// For messages.
    fn name(&self) -> &'static str;
    /// Its root, where the operators and actors that are nowhere else go back to.
    fn root(&self) -> &Path;
    /// Do sequences run in the root itself? If not each gets a fresh child.
    fn is_ours(&self) -> bool;
    /// The controller that it holds, if any.
    fn controller(&self) -> Option<&str>;
    /// What an actor's command line is put behind; empty for nothing.
    fn launcher(&self) -> Vec<PathBuf> {
        vec![]
    }
}

/// Milliseconds after which a file operation does not return any more.
const HANGS_AFTER: u16 = 20_000;

/// A process that performs file operations.
#[derive(Debug)]
struct Hand {
    child: Child,
    orders: ChildStdin,
    outcomes: BufReader<ChildStdout>,
}

impl Hand {
    fn start(helper: &Path, operator: Operator, home: &Path) -> io::Result<Self> {
        let mut child = Command::new(helper)
            .args(["operator", operator.name()])
            .arg(home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let orders = child.stdin.take().expect("stdin is a pipe");
        let outcomes = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        Ok(Self { child, orders, outcomes })
    }

    fn order(&mut self, order: &Order) -> io::Result<Outcome> {
        wire::put(&mut self.orders, order)?;
        let mut fds = [PollFd::new(self.outcomes.get_ref().as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, PollTimeout::from(HANGS_AFTER))? == 0 {
            return Err(io::Error::other(format!("the operator hangs in {order:?}")));
        }
        wire::get(&mut self.outcomes)
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One side.
#[derive(Debug)]
pub struct Side {
    hands: [Hand; 2],
    cast: Cast,
    /// Directory of this sequence.
    root: PathBuf,
    /// Mode and owners of every file of an own root, as it was found.
    found: Vec<(PathBuf, u32, u32, u32)>,
    helper: PathBuf,
    sequence: u32,
    // last: what is mounted goes after those that use it, and is mounted there
    mounted: Box<dyn Mounted>,
    home: Home,
}

impl Side {
    /// A side on what is mounted. `helper` is this package's program `differential`.
    pub fn new(mounted: Box<dyn Mounted>, home: Home, helper: &Path) -> io::Result<Self> {
        let hands = [
            Hand::start(helper, Operator::Root, home.path())?,
            Hand::start(helper, Operator::User, home.path())?,
        ];
        let mut launcher = mounted.launcher();
        launcher.push(helper.into());
        let cast = Cast::new(home.path(), launcher)?;
        let root = mounted.root().to_owned();
        let mut found = vec![];
        if mounted.is_ours() {
            let files = fs::read_dir(&root)?.map(|entry| entry.map(|e| e.path()));
            for path in std::iter::once(Ok(root.clone())).chain(files) {
                let path = path?;
                let meta = fs::metadata(&path)?;
                found.push((path, meta.mode() & 0o7777, meta.uid(), meta.gid()));
            }
        }
        Ok(Self { hands, cast, root, found, helper: helper.into(), sequence: 0, mounted, home })
    }

    /// For messages.
    pub fn name(&self) -> &'static str {
        self.mounted.name()
    }

    /// Leaves out what would end a frozen thread of a process that is not frozen as a whole.
    pub fn spare_frozen(&mut self) {
        self.cast.spare_frozen();
    }

    /// Prepares a fresh directory.
    pub fn begin(&mut self) -> io::Result<()> {
        self.sequence += 1;
        symlink(&self.helper, self.agent())?;
        if !self.mounted.is_ours() {
            self.root = self.mounted.root().join(format!("{}_{}", self.home.unique(), self.sequence));
            fs::create_dir(&self.root)?;
        }
        if self.mounted.controller() == Some("cpuset") {
            for file in ["cpuset.cpus", "cpuset.mems"] {
                fs::write(self.root.join(file), fs::read(self.mounted.root().join(file))?)?;
            }
        }
        let root = self.root.clone();
        self.cast.begin((self.mounted.controller() == Some("freezer")).then(|| root.clone()));
        for hand in &mut self.hands {
            hand.order(&Order::Begin(root.clone()))?;
        }
        if self.mounted.is_ours() {
            for at in 0..self.hands.len() {
                self.enter(self.hands[at].child.id().cast_signed())?;
            }
        }
        Ok(())
    }

    /// Makes a process a member of the directory. In the kernel's root it is that already; penfold learns of it.
    fn enter(&self, pid: i32) -> io::Result<()> {
        let tasks = self.root.join("tasks");
        fs::write(&tasks, pid.to_string())
            .map_err(|e| io::Error::other(format!("{pid} > {}: {e}", tasks.display())))
    }

    fn agent(&self) -> PathBuf {
        self.home.path().join(format!("agent_{}", self.sequence))
    }

    /// Removes all that a sequence left.
    pub fn end(&mut self) -> io::Result<()> {
        let home = self.home.path().to_owned();
        for hand in &mut self.hands {
            hand.order(&Order::Begin(home.clone()))?;
        }
        thaw(&self.root);
        // one that was frozen in a fork has a child that nobody knows of yet
        self.cast.catch_up()?;
        self.cast.clear()?;
        for hand in &self.hands {
            fs::write(self.mounted.root().join("tasks"), hand.child.id().to_string())?;
        }
        if self.mounted.is_ours() {
            fs::write(self.root.join("release_agent"), "\n")?;
            for child in children(&self.root) {
                remove(&child)?;
            }
            for file in ["notify_on_release", "cgroup.clone_children"] {
                fs::write(self.root.join(file), "0")?;
            }
            for (path, mode, uid, gid) in &self.found {
                chown(path, Some(*uid), Some(*gid))?;
                fs::set_permissions(path, fs::Permissions::from_mode(*mode))?;
            }
        } else {
            remove(&self.root)?;
        }
        let _ = fs::remove_file(self.agent());
        Ok(())
    }

    /// Does one thing; an I/O error is one of the test's own.
    pub fn perform(&mut self, operation: &Operation) -> io::Result<Outcome> {
        match operation {
            Operation::Call(operator, call) => self.call(*operator, call),
            Operation::Pass(from, handle) => self.pass(*from, *handle),
            Operation::Act(name, act) => {
                let number = self.cast.number(name);
                let outcome = self.cast.act(name, act)?;
                // A host may learn of a death later than a reader of /proc, but before the parent's wait ends (L1).
                if matches!(act, Act::Exit)
                    && outcome == Outcome::Done
                    && let Some(pid) = number
                {
                    process::wait_until(|| !process::is_listed(&self.root, pid));
                }
                if matches!(act, Act::Start { .. })
                    && let Some(pid) = self.cast.number(name)
                {
                    self.enter(pid)?;
                }
                Ok(outcome)
            }
            Operation::Releases => Ok(Outcome::Done),
        }
    }

    /// What actors that were frozen have done since.
    pub fn catch_up(&mut self) -> io::Result<Vec<String>> {
        self.cast.catch_up()
    }

    fn call(&mut self, operator: Operator, call: &Call) -> io::Result<Outcome> {
        let mut call = call.clone();
        let stay = self.mounted.controller() == Some("freezer");
        let whole: Vec<u8> = call.data_mut().iter().flat_map(|text| text.0.clone()).collect();
        let safe = data::is_safe(&whole, stay);
        let agent = self.agent();
        for text in call.data_mut() {
            *text = data::fill(text, |name| self.number(name), &agent);
        }
        let filled = call.data_mut().iter().map(|text| text.0.len()).sum::<usize>();
        let outcome = self.hands[operator as usize].order(&Order::Perform { call, safe })?;
        // the numbers of the two sides need not have as many digits
        let all = outcome == Outcome::Count(filled as u64);
        Ok(if all { Outcome::Count(whole.len() as u64) } else { outcome })
    }

    fn pass(&mut self, from: Operator, handle: u32) -> io::Result<Outcome> {
        let outcome = self.call(from, &Call::Send { handle })?;
        if outcome != Outcome::Done {
            return Ok(outcome);
        }
        let to = OPERATORS[1 - from as usize];
        self.call(to, &Call::Receive { handle })
    }

    fn number(&self, name: &str) -> Option<i32> {
        let hand = OPERATORS.iter().position(|operator| operator.name() == name);
        hand.map(|at| self.hands[at].child.id().cast_signed()).or_else(|| self.cast.number(name))
    }

    /// Every process number that this side knows, with its name.
    pub fn names(&self) -> HashMap<i32, String> {
        let mut names = self.cast.names();
        for (operator, hand) in OPERATORS.iter().zip(&self.hands) {
            names.insert(hand.child.id().cast_signed(), operator.name().to_owned());
        }
        names
    }

    /// Does the list of the root hold processes that are none of ours?
    pub fn root_is_shared(&self) -> bool {
        self.mounted.is_ours()
    }

    /// The arguments of all calls of the release agent in this sequence, each once.
    pub fn agent_calls(&self) -> BTreeSet<String> {
        let log = format!("{}.log", self.agent().display());
        fs::read_to_string(log).unwrap_or_default().lines().map(str::to_owned).collect()
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        let _ = self.end();
        // what is removed goes offline some time later, and only then can its hierarchy go
        std::thread::sleep(MOMENT);
    }
}

/// The groups right below one.
pub(super) fn children(group: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|t| t.is_dir())).map(|entry| entry.path()).collect()
}

/// Thaws a group, if there is such a thing, and all below.
pub(super) fn thaw(group: &Path) {
    let _ = fs::write(group.join("freezer.state"), "THAWED");
    for child in children(group) {
        thaw(&child);
    }
}

/// Removes a group and all below.
pub(super) fn remove(group: &Path) -> io::Result<()> {
    for child in children(group) {
        remove(&child)?;
    }
    let mut last = Ok(());
    // the last of a group's members may still be on its way out
    process::wait_until(|| {
        last = fs::remove_dir(group);
        last.as_ref().map_or_else(|e| e.kind() == io::ErrorKind::NotFound, |()| true)
    });
    last.map_err(|e| io::Error::other(format!("rmdir {}: {e}", group.display())))
}
