//! A subsystem that counts and logs its callbacks, and that fails where a test wants it to.

use std::sync::{Arc, Mutex, MutexGuard};

use penfold_core::{
    Errno, Error, Result, Tid,
    control_file::ControlFile,
    subsystem::{Callbacks, Context, EngineView, Migration, Resource, Rule, Subsystem, UNLIMITED},
};

/// How often each callback ran, and how many states are alive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallCounts {
    pub create: u64,
    pub destroy: u64,
    pub pre_destroy: u64,
    pub can_attach: u64,
    pub cancel_attach: u64,
    /// The number of tasks, not of calls.
    pub attach: u64,
    pub can_fork: u64,
    pub cancel_fork: u64,
    pub fork: u64,
    pub exit: u64,
    pub post_clone: u64,
    pub bind: u64,
    /// States created and not yet dropped.
    pub alive: u64,
}

/// The failures that a test sets.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// The n-th create from now fails with `ENOMEM`; 0 for none.
    pub fail_create: u64,
    pub veto_attach: bool,
    pub veto_fork: bool,
    pub veto_destroy: bool,
    /// `create()` says that `can_fork` may refuse.
    pub refuse_at_create: bool,
    /// `create()` sets this limit on rule 0.
    pub limit_at_create: Option<u64>,
}

#[derive(Debug, Default)]
pub struct ProbeRecords {
    pub counts: CallCounts,
    pub faults: Faults,
}

/// A test's access to a probe, during its life and after its unloading.
#[derive(Debug, Clone, Default)]
pub struct ProbeHandle {
    records: Arc<Mutex<ProbeRecords>>,
    log: Arc<Mutex<Vec<String>>>,
}

impl ProbeHandle {
    pub fn records(&self) -> MutexGuard<'_, ProbeRecords> {
        self.records.lock().unwrap()
    }

    pub fn counts(&self) -> CallCounts {
        self.records().counts.clone()
    }

    /// Another handle that writes to the same log.
    pub fn with_same_log(&self) -> ProbeHandle {
        ProbeHandle { records: Arc::default(), log: self.log.clone() }
    }

    pub fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().unwrap())
    }

    fn note(&self, text: String) {
        self.log.lock().unwrap().push(text);
    }
}

/// Counts itself while it lives.
struct Alive(ProbeHandle);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.records().counts.alive -= 1;
    }
}

/// A probe's state in one cgroup.
pub struct ProbeState {
    pub value: u64,
    signed: i64,
    text: String,
    _alive: Alive,
}

/// A subsystem for tests.
pub struct Probe {
    pub name: String,
    pub callbacks: Callbacks,
    pub rules: Vec<Rule>,
    pub handle: ProbeHandle,
    /// Names of more files, which can be neither read nor written.
    pub more_files: Vec<&'static str>,
}

impl Probe {
    pub fn new(name: &str, callbacks: Callbacks, resources: &[Resource]) -> (Probe, ProbeHandle) {
        let handle = ProbeHandle::default();
        (Probe::at(&handle, name, callbacks, resources), handle)
    }

    pub fn at(handle: &ProbeHandle, name: &str, callbacks: Callbacks, resources: &[Resource]) -> Probe {
        let rules = resources.iter().map(|&resource| Rule::new(resource)).collect();
        Probe { name: name.into(), callbacks, rules, handle: handle.clone(), more_files: Vec::new() }
    }

    pub fn plain(name: &str) -> Probe {
        Probe::new(name, Callbacks::empty(), &[]).0
    }

    fn note(&self, callback: &str, detail: impl std::fmt::Display) {
        self.handle.note(format!("{}.{callback} {detail}", self.name));
    }
}

type Ctx<'a> = Context<'a, Probe>;

fn usage_read(probe: &mut Probe, ctx: &mut Ctx<'_>, out: &mut String) -> Result<()> {
    use std::fmt::Write as _;
    for (rule, declared) in probe.rules.iter().enumerate() {
        let counter = ctx.counter(ctx.css(), rule);
        let limit = if counter.limit == UNLIMITED { -1 } else { counter.limit.cast_signed() };
        let (usage, peak, failures, refused) =
            (counter.usage, counter.peak, counter.failures, counter.refused);
        writeln!(out, "{usage} {limit} {peak} {failures} {refused}").unwrap();
        if declared.resource == Resource::CpuTime {
            for cpu in 0..2 {
                let time = ctx.cpu_usage(ctx.css()).on(cpu);
                writeln!(out, "cpu{cpu} {} {}", time.user, time.system).unwrap();
            }
        }
    }
    Ok(())
}

fn limit_write(probe: &mut Probe, ctx: &mut Ctx<'_>, text: &str) -> Result<()> {
    let bad = || Error::value(Errno::EINVAL, "takes a rule and a limit or 'max'");
    let (rule, limit) = text.split_once(' ').ok_or_else(bad)?;
    let rule = rule.parse().ok().filter(|&rule: &usize| rule < probe.rules.len()).ok_or_else(bad)?;
    let limit = if limit == "max" { UNLIMITED } else { limit.parse().map_err(|_| bad())? };
    ctx.set_limit(ctx.css(), rule, limit)
}

fn map_read(_: &mut Probe, ctx: &mut Ctx<'_>, line: &mut dyn FnMut(&str, u64)) -> Result<()> {
    line("value", ctx.state().value);
    line("tasks", ctx.tasks_of(ctx.css()).len() as u64);
    Ok(())
}

impl Subsystem for Probe {
    type State = ProbeState;

    const NAME: &'static str = "";

    fn name(&self) -> &str {
        &self.name
    }

    fn callbacks(&self) -> Callbacks {
        self.callbacks
    }

    fn rules(&self) -> Vec<Rule> {
        self.rules.clone()
    }

    fn files(&self) -> Vec<ControlFile<Probe>> {
        let mut files: Vec<ControlFile<Probe>> = vec![
            ControlFile::new("value").read_u64(|_, ctx: &mut Ctx<'_>| Ok(ctx.state().value)).write_u64(
                |_, ctx: &mut Ctx<'_>, value| {
                    ctx.state_mut().value = value;
                    Ok(())
                },
            ),
            ControlFile::new("signed").read_s64(|_, ctx: &mut Ctx<'_>| Ok(ctx.state().signed)).write_s64(
                |_, ctx: &mut Ctx<'_>, value| {
                    ctx.state_mut().signed = value;
                    Ok(())
                },
            ),
            ControlFile::new("text")
                .read_text(|_, ctx: &mut Ctx<'_>, out| {
                    out.push_str(&ctx.state().text);
                    Ok(())
                })
                .write_text(|_, ctx: &mut Ctx<'_>, text| {
                    ctx.state_mut().text = text.into();
                    Ok(())
                })
                .max_write(16),
            ControlFile::new("map").read_map(map_read),
            ControlFile::new("kick").private(5).trigger(|_, ctx: &mut Ctx<'_>| {
                ctx.state_mut().value += ctx.private() as u64;
                Ok(())
            }),
            ControlFile::new("usage").read_text(usage_read),
            ControlFile::new("limit").write_text(limit_write),
            ControlFile::new("refuse")
                .write_u64(|_, ctx: &mut Ctx<'_>, value| ctx.set_may_refuse_fork(value != 0)),
            ControlFile::new("top").root_only().read_u64(|_, _| Ok(1)),
            ControlFile::new("below").not_on_root().mode(0o600).read_u64(|_, _| Ok(2)),
        ];
        files.extend(self.more_files.iter().map(|&name| ControlFile::new(name)));
        files
    }

    fn create(&mut self, ctx: &mut Ctx<'_>) -> Result<ProbeState> {
        self.note("create", ctx.path_of(ctx.css()));
        let mut records = self.handle.records();
        records.counts.create += 1;
        if let Some(limit) = records.faults.limit_at_create {
            ctx.set_limit(ctx.css(), 0, limit)?;
        }
        if records.faults.refuse_at_create {
            ctx.set_may_refuse_fork(true)?;
        }
        if records.faults.fail_create > 0 {
            records.faults.fail_create -= 1;
            if records.faults.fail_create == 0 {
                return Err(Error::refused(Errno::ENOMEM, "told to fail"));
            }
        }
        records.counts.alive += 1;
        drop(records);
        Ok(ProbeState { value: 0, signed: 0, text: String::new(), _alive: Alive(self.handle.clone()) })
    }

    fn destroy(&mut self, ctx: &mut Ctx<'_>) {
        // Reads the state: it must still be there.
        self.note("destroy", ctx.state().value);
        self.handle.records().counts.destroy += 1;
    }

    fn pre_destroy(&mut self, ctx: &mut Ctx<'_>) -> Result<()> {
        self.note("pre_destroy", ctx.path_of(ctx.css()));
        let mut records = self.handle.records();
        records.counts.pre_destroy += 1;
        if records.faults.veto_destroy { Err(Error::refused(Errno::EIO, "told to")) } else { Ok(()) }
    }

    fn can_attach(&mut self, ctx: &mut Ctx<'_>, tasks: &[Migration]) -> Result<()> {
        self.note("can_attach", format_args!("{} {}", ctx.path_of(ctx.css()), tasks.len()));
        let mut records = self.handle.records();
        records.counts.can_attach += 1;
        if records.faults.veto_attach { Err(Error::refused(Errno::ENOSPC, "told to")) } else { Ok(()) }
    }

    fn cancel_attach(&mut self, ctx: &mut Ctx<'_>, tasks: &[Migration]) {
        self.note("cancel_attach", format_args!("{} {}", ctx.path_of(ctx.css()), tasks.len()));
        self.handle.records().counts.cancel_attach += 1;
    }

    fn attach(&mut self, ctx: &mut Ctx<'_>, tasks: &[Migration]) {
        for moved in tasks {
            let (from, to) = (ctx.path_of(moved.from), ctx.path_of(moved.to));
            assert!(ctx.tasks_of(moved.to).contains(&moved.task), "attach runs after the commit point");
            self.note("attach", format_args!("{} {from} {to}", moved.task));
        }
        self.handle.records().counts.attach += tasks.len() as u64;
    }

    fn can_fork(&mut self, _: &mut Ctx<'_>, parent: Tid) -> Result<()> {
        self.note("can_fork", parent);
        let mut records = self.handle.records();
        records.counts.can_fork += 1;
        if records.faults.veto_fork { Err(Error::refused(Errno::ENOMEM, "told to")) } else { Ok(()) }
    }

    fn cancel_fork(&mut self, ctx: &mut Ctx<'_>) {
        self.note("cancel_fork", ctx.path_of(ctx.css()));
        self.handle.records().counts.cancel_fork += 1;
    }

    fn fork(&mut self, ctx: &mut Ctx<'_>, child: Tid) {
        assert!(ctx.is_root() || ctx.tasks_of(ctx.css()).contains(&child), "a child is a member before");
        self.note("fork", child);
        self.handle.records().counts.fork += 1;
    }

    fn exit(&mut self, _: &mut Ctx<'_>, task: Tid) {
        self.note("exit", task);
        self.handle.records().counts.exit += 1;
    }

    fn post_clone(&mut self, ctx: &mut Ctx<'_>) {
        let parent = ctx.parent().expect("a clone has a parent");
        ctx.state_mut().value = ctx.state_of(parent).value.wrapping_add(1);
        self.note("post_clone", ctx.path_of(ctx.css()));
        self.handle.records().counts.post_clone += 1;
    }

    fn bind(&mut self, ctx: &mut Ctx<'_>) {
        assert!(ctx.is_root());
        let EngineView { tree, cgroup, .. } = ctx.engine_view().unwrap();
        let hierarchy = tree.hierarchy_of(cgroup).id;
        self.note("bind", hierarchy);
        self.handle.records().counts.bind += 1;
    }
}
