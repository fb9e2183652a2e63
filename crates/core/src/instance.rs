//! A subsystem together with the states of all its cgroups.

use alloc::string::String;
use alloc::vec::Vec;

use crate::control_file::ControlFile;
use crate::error::Result;
use crate::ids::Css;
use crate::services::Services;
use crate::subsystem::{Context, Migration, Subsystem};
use crate::task::Tid;

/// A [`Subsystem`] with its states, one for each css.
///
/// The engine keeps one in every slot. A module keeps its own subsystem in one, on its side of the binary interface.
pub struct Loaded<S: Subsystem> {
    subsystem: S,
    files: Vec<ControlFile<S>>,
    states: Vec<Option<S::State>>,
}

impl<S: Subsystem> Loaded<S> {
    /// Takes a subsystem, and makes no state yet.
    pub fn new(subsystem: S) -> Loaded<S> {
        Loaded { files: subsystem.files(), states: Vec::new(), subsystem }
    }

    /// The subsystem itself.
    pub fn subsystem(&self) -> &S {
        &self.subsystem
    }

    /// The control files; the place of a file in the slice is its number.
    pub fn files(&self) -> &[ControlFile<S>] {
        &self.files
    }

    /// Runs `callback` with the subsystem and a context for `css`, and returns the answer.
    pub fn with<R>(
        &mut self,
        services: &mut dyn Services,
        css: Css,
        callback: impl FnOnce(&mut S, &mut Context<'_, S>) -> R,
    ) -> R {
        callback(&mut self.subsystem, &mut Context { states: &mut self.states, css, private: 0, services })
    }

    /// Runs `handler` with control file number `file`, the subsystem and a context for `css`, and returns the answer.
    pub fn with_file<R>(
        &mut self,
        services: &mut dyn Services,
        css: Css,
        file: usize,
        handler: impl FnOnce(&ControlFile<S>, &mut S, &mut Context<'_, S>) -> R,
    ) -> R {
        let Loaded { subsystem, files, states } = self;
        let file = &files[file];
        handler(file, subsystem, &mut Context { states, css, private: file.private, services })
    }

    /// Calls [`Subsystem::create`] for a new css and keeps the state.
    ///
    /// # Errors
    /// Those of [`Subsystem::create`]. The css has no state then.
    pub fn create(&mut self, services: &mut dyn Services, css: Css) -> Result<()> {
        let state = self.with(services, css, S::create)?;
        let index = css.0 as usize;
        if self.states.len() <= index {
            self.states.resize_with(index + 1, || None);
        }
        self.states[index] = Some(state);
        Ok(())
    }

    /// Calls [`Subsystem::destroy`] for a css and drops its state.
    pub fn destroy(&mut self, services: &mut dyn Services, css: Css) {
        self.with(services, css, S::destroy);
        self.states[css.0 as usize] = None;
    }
}

/// The css that an attach is about: the destination of the first task, which all tasks share.
pub fn destination(tasks: &[Migration]) -> Css {
    tasks.first().map_or(Css(0), |first| first.to)
}

/// A [`Loaded`] with the type of its subsystem erased, so that slots can hold subsystems of all types.
pub(crate) trait Instance: Send {
    fn create(&mut self, services: &mut dyn Services, css: Css) -> Result<()>;
    fn destroy(&mut self, services: &mut dyn Services, css: Css);
    fn pre_destroy(&mut self, services: &mut dyn Services, css: Css) -> Result<()>;
    fn can_attach(&mut self, services: &mut dyn Services, tasks: &[Migration]) -> Result<()>;
    fn cancel_attach(&mut self, services: &mut dyn Services, tasks: &[Migration]);
    fn attach(&mut self, services: &mut dyn Services, tasks: &[Migration]);
    fn can_fork(&mut self, services: &mut dyn Services, css: Css, parent: Tid) -> Result<()>;
    fn cancel_fork(&mut self, services: &mut dyn Services, css: Css);
    fn fork(&mut self, services: &mut dyn Services, css: Css, child: Tid);
    fn replay_tasks(&mut self, services: &mut dyn Services, css: Css, tasks: &[Tid]);
    fn exit(&mut self, services: &mut dyn Services, css: Css, task: Tid);
    fn post_clone(&mut self, services: &mut dyn Services, css: Css);
    fn bind(&mut self, services: &mut dyn Services, css: Css);
    fn read(&mut self, services: &mut dyn Services, css: Css, file: usize, out: &mut String) -> Result<()>;
    fn write(&mut self, services: &mut dyn Services, css: Css, file: usize, content: &[u8]) -> Result<()>;
}

impl<S: Subsystem> Instance for Loaded<S> {
    fn create(&mut self, services: &mut dyn Services, css: Css) -> Result<()> {
        Loaded::create(self, services, css)
    }

    fn destroy(&mut self, services: &mut dyn Services, css: Css) {
        Loaded::destroy(self, services, css);
    }

    fn pre_destroy(&mut self, services: &mut dyn Services, css: Css) -> Result<()> {
        self.with(services, css, S::pre_destroy)
    }

    fn can_attach(&mut self, services: &mut dyn Services, tasks: &[Migration]) -> Result<()> {
        self.with(services, destination(tasks), |subsystem, ctx| subsystem.can_attach(ctx, tasks))
    }

    fn cancel_attach(&mut self, services: &mut dyn Services, tasks: &[Migration]) {
        self.with(services, destination(tasks), |subsystem, ctx| subsystem.cancel_attach(ctx, tasks));
    }

    fn attach(&mut self, services: &mut dyn Services, tasks: &[Migration]) {
        self.with(services, destination(tasks), |subsystem, ctx| subsystem.attach(ctx, tasks));
    }

    fn can_fork(&mut self, services: &mut dyn Services, css: Css, parent: Tid) -> Result<()> {
        self.with(services, css, |subsystem, ctx| subsystem.can_fork(ctx, parent))
    }

    fn cancel_fork(&mut self, services: &mut dyn Services, css: Css) {
        self.with(services, css, S::cancel_fork);
    }

    fn fork(&mut self, services: &mut dyn Services, css: Css, child: Tid) {
        self.with(services, css, |subsystem, ctx| subsystem.fork(ctx, child));
    }

    fn replay_tasks(&mut self, services: &mut dyn Services, css: Css, tasks: &[Tid]) {
        self.with(services, css, |subsystem, ctx| subsystem.replay_tasks(ctx, tasks));
    }

    fn exit(&mut self, services: &mut dyn Services, css: Css, task: Tid) {
        self.with(services, css, |subsystem, ctx| subsystem.exit(ctx, task));
    }

    fn post_clone(&mut self, services: &mut dyn Services, css: Css) {
        self.with(services, css, S::post_clone);
    }

    fn bind(&mut self, services: &mut dyn Services, css: Css) {
        self.with(services, css, S::bind);
    }

    fn read(&mut self, services: &mut dyn Services, css: Css, file: usize, out: &mut String) -> Result<()> {
        self.with_file(services, css, file, |file, subsystem, ctx| file.read_into(subsystem, ctx, out))
    }

    fn write(&mut self, services: &mut dyn Services, css: Css, file: usize, content: &[u8]) -> Result<()> {
        self.with_file(services, css, file, |file, subsystem, ctx| file.write_from(subsystem, ctx, content))
    }
}
