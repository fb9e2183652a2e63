//! The core and the model side by side: every operation goes to both, and both must answer the same.

use std::collections::BTreeMap;

use penfold_core::{Caller, CgroupId, CssSetId, Errno, ForkCharge, Tid, host::Host as _, subsystem::CpuTime};
use penfold_testkit::SimWorld;

use super::naive::{CoreModel, ErrnoResult, KINDS, Membership, SubsystemKind, is_below, join, parent_of};
use super::op::ModelOp;
use crate::common::{Probe, ProbeHandle, check_message};

const TOO_MANY_TASKS: usize = 40;
const USER: u32 = 1000;

pub struct CoreAndModel {
    pub world: SimWorld,
    pub model: CoreModel,
    pub handles: Vec<ProbeHandle>,
    /// In the order of the model's forks in flight.
    pub flights: Vec<ForkCharge>,
    /// In the order of the model's pins.
    pub pins: Vec<CssSetId>,
    stale: Vec<CgroupId>,
    /// How often each operation got each answer.
    pub seen: BTreeMap<(String, Option<Errno>), u64>,
}

fn pick<T: Clone>(from: &[T], number: impl Into<usize>) -> Option<T> {
    let number = number.into();
    (!from.is_empty()).then(|| from[number % from.len()].clone())
}

fn errno<T>(result: penfold_core::Result<T>) -> ErrnoResult<T> {
    result.map_err(|error| {
        check_message(&error);
        error.errno()
    })
}

/// The number that a number file reads from a text; `None` for no change.
fn number(text: &str) -> ErrnoResult<Option<u64>> {
    match text {
        "" => Ok(None),
        "0" => Ok(Some(0)),
        "1" | "1\n" | "+1" => Ok(Some(1)),
        "2" => Ok(Some(2)),
        "0x10" => Ok(Some(16)),
        "010" => Ok(Some(8)),
        "99999999999999999999" => Err(Errno::ERANGE),
        _ => Err(Errno::EINVAL),
    }
}

/// The number that `tasks` reads from a text.
fn task_number(text: &str) -> ErrnoResult<Option<i32>> {
    match text {
        " 1" | "1 " => Ok(Some(1)),
        other => number(other).map(|number| number.map(|number| number as i32)).map_err(|_| Errno::EINVAL),
    }
}

impl CoreAndModel {
    pub fn new() -> CoreAndModel {
        let handles = KINDS.iter().map(|_| ProbeHandle::default()).collect();
        CoreAndModel {
            world: SimWorld::new(),
            model: CoreModel::new(),
            handles,
            flights: Vec::new(),
            pins: Vec::new(),
            stale: Vec::new(),
            seen: BTreeMap::new(),
        }
    }

    /// The core's id of a cgroup, found anew each time by number and path.
    pub fn id(&self, hierarchy: u32, path: &str) -> CgroupId {
        let root = self.world.engine.tree().hierarchies().find(|tree| tree.id == hierarchy).unwrap().root;
        self.world.engine.lookup(root, path).unwrap()
    }

    fn cgroup(&self, at: u16) -> Option<(u32, String, CgroupId)> {
        let (hierarchy, path) = pick(&self.model.cgroups(), at)?;
        let id = self.id(hierarchy, &path);
        Some((hierarchy, path, id))
    }

    fn hierarchy(&self, number: u8) -> Option<(u32, CgroupId)> {
        let id = pick(&self.model.hierarchies.keys().copied().collect::<Vec<_>>(), number)?;
        Some((id, self.id(id, "/")))
    }

    pub fn task(&self, number: u8) -> Option<i32> {
        pick(&self.model.tasks.keys().copied().collect::<Vec<_>>(), number)
    }

    fn caller(user: bool) -> Caller {
        let caller = if user { Caller::user(Tid(1), USER, USER) } else { Caller::root(Tid(1)) };
        Caller { umask: 0, ..caller }
    }

    /// Does one step on both sides and compares the answers. A step without a target is none.
    pub fn step(&mut self, op: &ModelOp) {
        if let Some((core, model)) =
            self.structural(op).or_else(|| self.of_tasks(op)).or_else(|| self.of_files(op))
        {
            assert_eq!(core, model, "the core's answer and the model's to {op:?}");
            let name = format!("{op:?}").split(' ').next().unwrap_or_default().to_owned();
            *self.seen.entry((name, core.err())).or_default() += 1;
        }
    }

    fn structural(&mut self, op: &ModelOp) -> Option<(ErrnoResult, ErrnoResult)> {
        let CoreAndModel { world, model, .. } = self;
        Some(match *op {
            ModelOp::Mount { ref options, privileged } => {
                let caller = CoreAndModel::caller(!privileged);
                let mounted = world.as_caller(&caller, |world| world.try_mount(options));
                let core = mounted.map(|root| world.engine.tree().hierarchy_of(root).id);
                let expected = model.mount(privileged, options);
                assert_eq!(core, expected, "the hierarchy of {op:?}");
                (core.map(|_| ()), expected.map(|_| ()))
            }
            ModelOp::Remount { hierarchy, ref options } => {
                let (id, root) = self.hierarchy(hierarchy)?;
                (self.world.try_remount(root, options), self.model.remount(id, options))
            }
            ModelOp::Unmount { hierarchy } => {
                let (id, root) = self.hierarchy(hierarchy)?;
                let core = self.world.try_unmount(root);
                let model = self.model.unmount(id);
                if !self.model.hierarchies.contains_key(&id) {
                    self.stale.push(root);
                }
                (core, model)
            }
            ModelOp::Mkdir { at, name, open, user } => {
                let (hierarchy, path, id) = self.cgroup(at)?;
                let mode = if open { 0o777 } else { 0o755 };
                let CoreAndModel { world, model, .. } = self;
                let core = world.as_caller(&CoreAndModel::caller(user), |world| {
                    world.try_mkdir_with_mode(id, name, mode)
                });
                let uid = if user { USER } else { 0 };
                (core.map(|_| ()), model.mkdir(uid, hierarchy, &path, name, mode))
            }
            ModelOp::Rmdir { at, user } => {
                let (hierarchy, path, id) = self.cgroup(at)?;
                let CoreAndModel { world, model, .. } = self;
                let core = world.as_caller(&CoreAndModel::caller(user), |world| world.try_rmdir(id));
                if core.is_ok() {
                    self.stale.push(id);
                }
                (core, model.rmdir(if user { USER } else { 0 }, hierarchy, &path))
            }
            ModelOp::Rename { at, name } => {
                let (hierarchy, path, _) = self.cgroup(at)?;
                let parent = self.id(hierarchy, parent_of(&path)?);
                let old = path.rsplit_once('/')?.1;
                (self.world.try_rename(parent, old, parent, name), self.model.rename(hierarchy, &path, name))
            }
            ModelOp::RenameElsewhere { at, to } => {
                let (hierarchy, path, _) = self.cgroup(at)?;
                let (other, target, to) = self.cgroup(to)?;
                let parent = parent_of(&path)?;
                let model = if other == hierarchy && is_below(&target, &path) {
                    Err(Errno::EINVAL)
                } else if other == hierarchy && is_below(parent, &join(&target, "fresh")) {
                    Err(Errno::ENOTEMPTY)
                } else if (other, &*target) == (hierarchy, parent) {
                    self.model.rename(hierarchy, &path, "fresh")
                } else {
                    Err(Errno::EIO)
                };
                let parent = self.id(hierarchy, parent);
                (self.world.try_rename(parent, path.rsplit_once('/')?.1, to, "fresh"), model)
            }
            ModelOp::Load { kind } => {
                let SubsystemKind { name, callbacks, rules } = &KINDS[kind];
                let probe = Probe::at(&self.handles[kind], name, *callbacks, rules);
                // CPU time that was used before belongs to those that were loaded before.
                self.world.engine.sample_cpu(&mut self.world.host);
                self.world.host.sample_cpu(&mut |_, _, _| {});
                (self.world.try_load(probe), self.model.load(kind))
            }
            ModelOp::Unload { kind } => (world.try_unload(KINDS[kind].name), model.unload(kind)),
            ModelOp::Check => {
                self.check();
                (Ok(()), Ok(()))
            }
            ModelOp::Stale { at } => {
                let id = pick(&self.stale, at)?;
                self.use_stale(id);
                (Ok(()), Ok(()))
            }
            _ => return None,
        })
    }

    /// Whatever is done to a removed cgroup answers that it is gone, and nothing panics.
    fn use_stale(&mut self, id: CgroupId) {
        let world = &mut self.world;
        let task = Tid(self.model.tasks.keys().next().copied().unwrap_or(1));
        assert_eq!(world.try_mkdir(id, "a"), Err(Errno::ENOENT));
        assert_eq!(world.try_rmdir(id), Err(Errno::ENODEV));
        assert_eq!(world.try_attach(id, task), Err(Errno::ENODEV));
        assert_eq!(world.try_read(id, "tasks"), Err(Errno::ENODEV));
        assert_eq!(world.try_write(id, "tasks", "0"), Err(Errno::ENODEV));
        assert_eq!(world.try_remount(id, "all"), Err(Errno::ENODEV));
        assert_eq!(world.try_rename(id, "a", id, "b"), Err(Errno::ENOENT));
        assert_eq!(world.try_unmount(id), Err(Errno::ENODEV));
        assert_eq!(errno(world.engine.files(id)), Err(Errno::ENODEV));
        assert_eq!(errno(world.engine.show_options(id)), Err(Errno::ENODEV));
        assert_eq!(errno(world.engine.lookup(id, "/")), Err(Errno::ENODEV));
    }

    fn of_tasks(&mut self, op: &ModelOp) -> Option<(ErrnoResult, ErrnoResult)> {
        Some(match *op {
            ModelOp::Attach { at, task, whole, user } => {
                let (hierarchy, path, id) = self.cgroup(at)?;
                let task = self.task(task)?;
                self.attach(hierarchy, &path, id, &task.to_string(), whole, user, Ok(Some(task)))
            }
            ModelOp::WriteTask { at, text, whole, user } => {
                let (hierarchy, path, id) = self.cgroup(at)?;
                self.attach(hierarchy, &path, id, text, whole, user, task_number(text))
            }
            ModelOp::Spawn { user } if self.model.tasks.len() < TOO_MANY_TASKS => {
                let uid = if user { USER } else { 0 };
                let task = self.world.host.spawn(&mut self.world.engine, uid);
                self.model.join(task.0, uid, &Membership::new());
                self.model.report_first_place();
                (Ok(()), Ok(()))
            }
            ModelOp::Join { task } if self.model.tasks.len() < TOO_MANY_TASKS => {
                let beside = self.task(task)?;
                let world = &mut self.world;
                let (set, task) = (world.css_set(Tid(beside)), world.host.create(None, 0));
                world.engine.join(&mut world.host, task, set);
                let place = self.model.tasks[&beside].place.clone();
                self.model.join(task.0, 0, &place);
                (Ok(()), Ok(()))
            }
            ModelOp::Pin { task } => {
                let task = self.task(task)?;
                let set = self.world.css_set(Tid(task));
                self.world.engine.pin(set);
                self.pins.push(set);
                self.model.pins.push(self.model.tasks[&task].place.clone());
                (Ok(()), Ok(()))
            }
            ModelOp::Unpin { pin } if !self.pins.is_empty() => {
                let pin = usize::from(pin) % self.pins.len();
                self.world.engine.unpin(self.pins.remove(pin));
                self.model.pins.remove(pin);
                (Ok(()), Ok(()))
            }
            ModelOp::Fork { parent, thread } => {
                let answers = self.begin(parent, false)?;
                if answers.0.is_ok() && answers.1.is_ok() {
                    self.commit(self.flights.len() - 1, thread);
                }
                answers
            }
            ModelOp::Begin { parent, mark } => self.begin(parent, mark)?,
            ModelOp::Commit { flight, thread } if !self.flights.is_empty() => {
                self.commit(usize::from(flight) % self.flights.len(), thread);
                (Ok(()), Ok(()))
            }
            ModelOp::Cancel { flight } if !self.flights.is_empty() => {
                self.cancel(usize::from(flight) % self.flights.len());
                (Ok(()), Ok(()))
            }
            ModelOp::Exit { task } => {
                let task = self.task(task)?;
                self.world.exit(Tid(task));
                self.model.exit(task);
                (Ok(()), Ok(()))
            }
            ModelOp::Run { task, cpu, user, system } => {
                let (task, user, system) = (self.task(task)?, u64::from(user), u64::from(system));
                self.world.host.run(Tid(task), usize::from(cpu), CpuTime { user, system });
                self.model.run(task, usize::from(cpu), user, system);
                (Ok(()), Ok(()))
            }
            _ => return None,
        })
    }

    #[allow(clippy::too_many_arguments)]
    fn attach(
        &mut self,
        hierarchy: u32,
        path: &str,
        id: CgroupId,
        text: &str,
        whole: bool,
        user: bool,
        meant: ErrnoResult<Option<i32>>,
    ) -> (ErrnoResult, ErrnoResult) {
        // By its id: the model has no owners of files, and open(2) would check them.
        let file = if whole {
            penfold_core::control_file::FileId::Procs
        } else {
            penfold_core::control_file::FileId::Tasks
        };
        let CoreAndModel { world, model, .. } = self;
        let core =
            world.as_caller(&CoreAndModel::caller(user), |world| world.try_write_opened(id, file, text));
        let expected = match meant {
            Ok(Some(0)) => model.attach(if user { USER } else { 0 }, hierarchy, path, 1, whole),
            Ok(Some(task)) => model.attach(if user { USER } else { 0 }, hierarchy, path, task, whole),
            Ok(None) => Ok(()),
            Err(errno) => Err(errno),
        };
        (core, expected)
    }

    fn begin(&mut self, parent: u8, mark: bool) -> Option<(ErrnoResult, ErrnoResult)> {
        if self.model.tasks.len() + self.flights.len() >= TOO_MANY_TASKS {
            return None;
        }
        let parent = self.task(parent)?;
        let world = &mut self.world;
        let set = world.css_set(Tid(parent));
        let core = match world.engine.charge_fork(&mut world.host, Tid(parent), set) {
            Ok(charge) => {
                self.flights.push(charge);
                Ok(())
            }
            Err(error) => Err(error.errno()),
        };
        let model = self.model.begin_fork(parent, mark);
        self.mark(parent);
        Some((core, model))
    }

    /// Marks the host's task as forking while a marked fork of it is in flight.
    fn mark(&mut self, task: i32) {
        let forking = self.model.tasks.get(&task).is_some_and(|task| task.forking > 0);
        if let Some(task) = self.world.host.get_mut(Tid(task)) {
            task.facts.forking = forking;
        }
    }

    fn commit(&mut self, flight: usize, thread: bool) {
        let (parent, group, uid) = {
            let flight = &self.model.flights[flight];
            (flight.parent, flight.group, flight.uid)
        };
        let charge = self.flights.remove(flight);
        let world = &mut self.world;
        let child = world.host.create(thread.then_some(Tid(group)), uid);
        let expected = charge.css_set();
        assert_eq!(world.engine.commit_fork(&mut world.host, charge, child), expected);
        self.model.commit_fork(flight, child.0, thread);
        self.mark(parent);
    }

    pub fn cancel(&mut self, flight: usize) {
        let parent = self.model.flights[flight].parent;
        let charge = self.flights.remove(flight);
        self.world.engine.cancel_fork(&mut self.world.host, charge);
        self.model.cancel_fork(flight);
        self.mark(parent);
    }

    fn of_files(&mut self, op: &ModelOp) -> Option<(ErrnoResult, ErrnoResult)> {
        Some(match *op {
            ModelOp::WriteFlag { at, clone, text } => {
                let (hierarchy, path, id) = self.cgroup(at)?;
                let name = if clone { "cgroup.clone_children" } else { "notify_on_release" };
                let group = self.model.group_mut(hierarchy, &path);
                let flag = if clone { &mut group.clone } else { &mut group.notify };
                let model = number(text).map(|number| *flag = number.map_or(*flag, |number| number != 0));
                (self.world.try_write(id, name, text), model)
            }
            ModelOp::WriteAgent { hierarchy, text } => {
                let (number, root) = self.hierarchy(hierarchy)?;
                if !text.is_empty() {
                    self.model.hierarchies.get_mut(&number)?.agent = text.trim().into();
                }
                (self.world.try_write(root, "release_agent", text), Ok(()))
            }
            ModelOp::WriteValue { at, sub, text } => {
                let (path, id, slot, prefix) = self.file_target(at, sub)?;
                let value = &mut self.model.sub_mut(slot).css.get_mut(&path)?.value;
                let model = number(text).map(|number| *value = number.unwrap_or(*value));
                (self.world.try_write(id, &format!("{prefix}value"), text), model)
            }
            ModelOp::Kick { at, sub } => {
                let (path, id, slot, prefix) = self.file_target(at, sub)?;
                self.model.sub_mut(slot).css.get_mut(&path)?.value += 5;
                (self.world.try_write(id, &format!("{prefix}kick"), "whatever"), Ok(()))
            }
            ModelOp::Refuse { at, sub, value } => {
                let (_, id, slot, prefix) = self.file_target(at, sub)?;
                self.model.sub_mut(slot).refusing = value;
                (self.world.try_write(id, &format!("{prefix}refuse"), if value { "1" } else { "0" }), Ok(()))
            }
            ModelOp::Limit { at, sub, rule, limit } => {
                let (path, id, slot, prefix) = self.file_target(at, sub)?;
                let text = limit.map_or("max".into(), |limit| limit.to_string());
                let histories = &mut self.model.sub_mut(slot).css.get_mut(&path)?.histories;
                let model = match histories.get_mut(usize::from(rule)) {
                    Some(history) => {
                        history.limit = limit.map(u64::from);
                        Ok(())
                    }
                    None => Err(Errno::EINVAL),
                };
                (self.world.try_write(id, &format!("{prefix}limit"), format!("{rule} {text}\n")), model)
            }
            ModelOp::TakeReleases => {
                let engine = &mut self.world.engine;
                let mut core: Vec<_> = std::iter::from_fn(|| engine.take_release())
                    .map(|release| {
                        (
                            String::from_utf8(release.agent).unwrap(),
                            String::from_utf8(release.path).unwrap(),
                            release.hierarchy,
                        )
                    })
                    .collect();
                let mut model = self.model.take_releases();
                core.sort();
                model.sort();
                assert_eq!(core, model, "releases");
                *self.seen.entry(("Release".into(), None)).or_default() += core.len() as u64;
                (Ok(()), Ok(()))
            }
            ModelOp::Fault { kind, fault, value } => {
                for faults in [&mut self.model.faults[kind], &mut self.handles[kind].records().faults] {
                    match fault {
                        0 => faults.fail_create = u64::from(value) * 2,
                        1 => faults.veto_attach = value,
                        2 => faults.veto_fork = value,
                        _ => faults.veto_destroy = value,
                    }
                }
                (Ok(()), Ok(()))
            }
            _ => return None,
        })
    }

    /// A cgroup, one of the subsystems bound there, and the prefix of its files.
    fn file_target(&self, at: u16, sub: u8) -> Option<(String, CgroupId, usize, String)> {
        let (hierarchy, path, id) = self.cgroup(at)?;
        let slot = pick(&self.model.bound_to(hierarchy), sub)?;
        let name = KINDS[self.model.slots[slot].as_ref()?.kind].name;
        let bare = self.model.hierarchies[&hierarchy].flags.contains("noprefix");
        Some((path, id, slot, if bare { String::new() } else { format!("{name}.") }))
    }
}
