//! A subsystem together with the states of all its cgroups.

use alloc::string::String;
use alloc::vec::Vec;

use crate::control_file::ControlFile;
use crate::error::Result;
use crate::ids::Css;
use crate::services::Services;
use crate::subsystem::{Context, Migration, Subsystem};
use crate::task::Tid;

/// A [`Subsystem`] and its states, one for each css. The engine keeps one in every slot; a module keeps its own.
pub struct Loaded<S: Subsystem> {
    subsystem: S,
    files: Vec<ControlFile<S>>,
    states: Vec<Option<S::State>>,
}

impl<S: Subsystem> Loaded<S> {
    /// Without any state.
    pub fn new(subsystem: S) -> Loaded<S> {
        Loaded { files: subsystem.files(), states: Vec::new(), subsystem }
    }

    /// The subsystem itself.
    pub fn subsystem(&self) -> &S {
        &self.subsystem
    }

    /// Its control files, by number.
    pub fn files(&self) -> &[ControlFile<S>] {
        &self.files
    }

    /// Calls a callback that is about a css.
    pub fn with<R>(
        &mut self,
        services: &mut dyn Services,
        css: Css,
        callback: impl FnOnce(&mut S, &mut Context<'_, S>) -> R,
    ) -> R {
        callback(&mut self.subsystem, &mut Context { states: &mut self.states, css, private: 0, services })
    }

    /// Calls a handler of control file number `file`.
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

    /// Makes and keeps the state of a new css.
    ///
    /// # Errors
    /// Those of [`Subsystem::create`]; then there is no state.
    pub fn create(&mut self, services: &mut dyn Services, css: Css) -> Result<()> {
        let state = self.with(services, css, S::create)?;
        let index = css.0 as usize;
        if self.states.len() <= index {
            self.states.resize_with(index + 1, || None);
        }
        self.states[index] = Some(state);
        Ok(())
    }

    /// Takes leave of a state and drops it.
    pub fn destroy(&mut self, services: &mut dyn Services, css: Css) {
        self.with(services, css, S::destroy);
        self.states[css.0 as usize] = None;
    }
}

/// The css that an attach is about: where the first task goes.
pub fn destination(tasks: &[Migration]) -> Css {
    tasks.first().map_or(Css(0), |first| first.to)
}

/// A [`Loaded`] behind one type.
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
