//! One of the two sides: a directory, the processes that act on it and the processes that are moved in it.

use super::actor_pool::{ActorPool, MOMENT};
use super::data;
use super::operation::{Act, FileCall, OPERATORS, Operator, SideOperation};
use super::operator::OperatorOrder;
use super::outcome::OperationOutcome;
use super::setup::WorkDir;
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

/// A hierarchy of one side, which is unmounted on drop.
pub trait SideMount: Debug + Send {
    /// The name in messages.
    fn name(&self) -> &'static str;
    /// The root, to which operators and actors without another cgroup go back.
    fn root(&self) -> &Path;
    /// Whether sequences run in the root itself, or else each in a fresh child.
    fn is_ours(&self) -> bool;
    /// The controller of the hierarchy, if it has one.
    fn controller(&self) -> Option<&str>;
    /// The words before an actor's command line; may be empty.
    fn launcher(&self) -> Vec<PathBuf> {
        vec![]
    }
}

/// The milliseconds after which a file operation counts as hanging.
const HANGS_AFTER: u16 = 20_000;

/// A process that performs file operations.
#[derive(Debug)]
struct OperatorProcess {
    child: Child,
    orders: ChildStdin,
    outcomes: BufReader<ChildStdout>,
}

impl OperatorProcess {
    fn start(helper: &Path, operator: Operator, work_dir: &Path) -> io::Result<Self> {
        let mut child = Command::new(helper)
            .args(["operator", operator.name()])
            .arg(work_dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let orders = child.stdin.take().expect("stdin is a pipe");
        let outcomes = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        Ok(Self { child, orders, outcomes })
    }

    fn order(&mut self, order: &OperatorOrder) -> io::Result<OperationOutcome> {
        wire::put(&mut self.orders, order)?;
        let mut fds = [PollFd::new(self.outcomes.get_ref().as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, PollTimeout::from(HANGS_AFTER))? == 0 {
            return Err(io::Error::other(format!("the operator hangs in {order:?}")));
        }
        wire::get(&mut self.outcomes)
    }
}

impl Drop for OperatorProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One side.
#[derive(Debug)]
pub struct Side {
    operators: [OperatorProcess; 2],
    pool: ActorPool,
    /// The directory of this sequence.
    root: PathBuf,
    /// Mode and owners of every file of a root of the side's own, from before the first sequence.
    found: Vec<(PathBuf, u32, u32, u32)>,
    helper: PathBuf,
    sequence: u32,
    // the last fields: the mount is dropped after its users, and before the directory that it is in
    mounted: Box<dyn SideMount>,
    work_dir: WorkDir,
}

impl Side {
    /// A side on a mounted hierarchy. `helper` is this package's program `differential`.
    pub fn new(mounted: Box<dyn SideMount>, work_dir: WorkDir, helper: &Path) -> io::Result<Self> {
        let operators = [
            OperatorProcess::start(helper, Operator::Root, work_dir.path())?,
            OperatorProcess::start(helper, Operator::User, work_dir.path())?,
        ];
        let mut launcher = mounted.launcher();
        launcher.push(helper.into());
        let pool = ActorPool::new(work_dir.path(), launcher)?;
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
        Ok(Self { operators, pool, root, found, helper: helper.into(), sequence: 0, mounted, work_dir })
    }

    /// The name in messages.
    pub fn name(&self) -> &'static str {
        self.mounted.name()
    }

    /// From now on skips acts that would end a frozen thread of a process that is not frozen as a whole.
    pub fn spare_frozen(&mut self) {
        self.pool.spare_frozen();
    }

    /// Prepares a fresh directory.
    pub fn begin(&mut self) -> io::Result<()> {
        self.sequence += 1;
        symlink(&self.helper, self.agent())?;
        if !self.mounted.is_ours() {
            self.root = self.mounted.root().join(format!("{}_{}", self.work_dir.unique(), self.sequence));
            fs::create_dir(&self.root)?;
        }
        if self.mounted.controller() == Some("cpuset") {
            for file in ["cpuset.cpus", "cpuset.mems"] {
                fs::write(self.root.join(file), fs::read(self.mounted.root().join(file))?)?;
            }
        }
        let root = self.root.clone();
        self.pool.begin((self.mounted.controller() == Some("freezer")).then(|| root.clone()));
        for operator_process in &mut self.operators {
            operator_process.order(&OperatorOrder::Begin(root.clone()))?;
        }
        if self.mounted.is_ours() {
            for at in 0..self.operators.len() {
                self.enter(self.operators[at].child.id().cast_signed())?;
            }
        }
        Ok(())
    }

    /// Makes a process a member of the directory. In the kernel's root every process is one; penfold adopts the
    /// process.
    fn enter(&self, pid: i32) -> io::Result<()> {
        let tasks = self.root.join("tasks");
        fs::write(&tasks, pid.to_string())
            .map_err(|e| io::Error::other(format!("{pid} > {}: {e}", tasks.display())))
    }

    fn agent(&self) -> PathBuf {
        self.work_dir.path().join(format!("agent_{}", self.sequence))
    }

    /// Removes everything that a sequence has left.
    pub fn end(&mut self) -> io::Result<()> {
        let work_dir = self.work_dir.path().to_owned();
        for operator_process in &mut self.operators {
            operator_process.order(&OperatorOrder::Begin(work_dir.clone()))?;
        }
        thaw(&self.root);
        // an actor that was frozen in a fork has a child that is not in the pool yet
        self.pool.catch_up()?;
        self.pool.clear()?;
        for operator_process in &self.operators {
            fs::write(self.mounted.root().join("tasks"), operator_process.child.id().to_string())?;
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

    /// Performs one operation. An I/O error is an error of the test itself.
    pub fn perform(&mut self, operation: &SideOperation) -> io::Result<OperationOutcome> {
        match operation {
            SideOperation::Call(operator, call) => self.call(*operator, call),
            SideOperation::Pass(from, handle) => self.pass(*from, *handle),
            SideOperation::Act(name, act) => {
                let number = self.pool.number(name);
                let outcome = self.pool.act(name, act)?;
                // A host may learn of a death later than a reader of /proc, but before the parent's wait ends (L1).
                if matches!(act, Act::Exit)
                    && outcome == OperationOutcome::Done
                    && let Some(pid) = number
                {
                    process::comes(|| !process::is_listed(&self.root, pid));
                }
                if matches!(act, Act::Start { .. })
                    && let Some(pid) = self.pool.number(name)
                {
                    self.enter(pid)?;
                }
                Ok(outcome)
            }
            SideOperation::Releases => Ok(OperationOutcome::Done),
        }
    }

    /// Finishes the pending acts of actors that were frozen, and returns a line for each.
    pub fn catch_up(&mut self) -> io::Result<Vec<String>> {
        self.pool.catch_up()
    }

    fn call(&mut self, operator: Operator, call: &FileCall) -> io::Result<OperationOutcome> {
        let mut call = call.clone();
        let stay = self.mounted.controller() == Some("freezer");
        let whole: Vec<u8> = call.data_mut().iter().flat_map(|text| text.0.clone()).collect();
        let safe = data::is_safe(&whole, stay);
        let agent = self.agent();
        for text in call.data_mut() {
            *text = data::fill(text, |name| self.number(name), &agent);
        }
        let filled = call.data_mut().iter().map(|text| text.0.len()).sum::<usize>();
        let outcome = self.operators[operator as usize].order(&OperatorOrder::Perform { call, safe })?;
        // the numbers of the two sides need not have as many digits
        let all = outcome == OperationOutcome::Count(filled as u64);
        Ok(if all { OperationOutcome::Count(whole.len() as u64) } else { outcome })
    }

    fn pass(&mut self, from: Operator, handle: u32) -> io::Result<OperationOutcome> {
        let outcome = self.call(from, &FileCall::Send { handle })?;
        if outcome != OperationOutcome::Done {
            return Ok(outcome);
        }
        let to = OPERATORS[1 - from as usize];
        self.call(to, &FileCall::Receive { handle })
    }

    fn number(&self, name: &str) -> Option<i32> {
        let operator_process = OPERATORS.iter().position(|operator| operator.name() == name);
        operator_process
            .map(|at| self.operators[at].child.id().cast_signed())
            .or_else(|| self.pool.number(name))
    }

    /// Every process number that this side knows, with its name.
    pub fn names(&self) -> HashMap<i32, String> {
        let mut names = self.pool.names();
        for (operator, operator_process) in OPERATORS.iter().zip(&self.operators) {
            names.insert(operator_process.child.id().cast_signed(), operator.name().to_owned());
        }
        names
    }

    /// Whether the list of the root holds processes of other programs.
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
        // removed groups go offline some time later, and only then can their hierarchy go
        std::thread::sleep(MOMENT);
    }
}

/// The groups directly below one.
pub(super) fn children(group: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|t| t.is_dir())).map(|entry| entry.path()).collect()
}

/// Thaws a group and all below it, if they have a freezer.
pub(super) fn thaw(group: &Path) {
    let _ = fs::write(group.join("freezer.state"), "THAWED");
    for child in children(group) {
        thaw(&child);
    }
}

/// Removes a group and all below it.
pub(super) fn remove(group: &Path) -> io::Result<()> {
    for child in children(group) {
        remove(&child)?;
    }
    let mut last = Ok(());
    // the last member of the group may still be exiting
    process::comes(|| {
        last = fs::remove_dir(group);
        last.as_ref().map_or_else(|e| e.kind() == io::ErrorKind::NotFound, |()| true)
    });
    last.map_err(|e| io::Error::other(format!("rmdir {}: {e}", group.display())))
}
