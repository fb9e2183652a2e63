//! A loaded module as a subsystem, so that the engine treats it like any other.

use std::borrow::Cow;
use std::ffi::{c_char, c_int};
use std::path::Path;
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use penfold_core::{
    Errno, Error, Result, Tid,
    control_file::{ControlFile, Visibility},
    subsystem::{Callbacks, Context, Migration, Rule, Subsystem},
};

use super::call_frame::{CallOutput, Subject};
use super::description::{FileDescription, ModuleDescription, RuleDescription};
use super::error::LoadError;
use super::loaded_module::{LoadedModule, Tables};
use super::module_call::ModuleCall;
use super::module_file::ModuleFile;
use super::source::ModuleSource;
use crate::abi;
use crate::answer::{code, errno_of};

/// A loaded module, as an argument for [`Engine::load`](penfold_core::Engine::load).
///
/// [`Engine::unload`](penfold_core::Engine::unload) drops the controller. The drop calls the module's `unload` and
/// unmaps the module's file. The module's code runs on the thread that calls the controller.
pub struct Controller {
    module: LoadedModule,
}

type Ctx<'a> = Context<'a, Controller>;

/// Calls a function of a module's table, if the module has it.
macro_rules! call {
    ($table:expr, $function:ident $(, $argument:expr)*) => {{
        // SAFETY: the module has given a function of this type for this purpose. The arguments are those of the
        // interface: the context of this callback, pointers to things that outlive the call, and true lengths.
        $table.$function.map(|function| unsafe { function($($argument),*) })
    }};
}

/// The answer in place of a missing handler: the file is not of this kind.
const NO_HANDLER: c_int = code(Errno::EINVAL);

impl Controller {
    /// Loads the module in a file: runs its constructors and its `load`.
    ///
    /// Does not check the file's owner and permissions. To check them, give the result of
    /// [`ModuleFile::read_trusted`] to [`Controller::load`].
    ///
    /// # Errors
    /// [`LoadError`]; nothing of the module is left then.
    pub fn open(path: &Path) -> Result<Controller, LoadError> {
        Controller::load(ModuleFile::read(path)?)
    }

    /// Loads the module in a file that was read before: the bytes that were read, whatever the file contains now.
    ///
    /// # Errors
    /// [`LoadError`]; nothing of the module is left then.
    pub fn load(file: ModuleFile) -> Result<Controller, LoadError> {
        Ok(Controller { module: LoadedModule::load(ModuleSource::File(file))? })
    }

    /// Loads a module whose description and code are part of this program.
    ///
    /// # Errors
    /// [`LoadError`]; nothing of the module is left then.
    pub fn from_static(module: &'static abi::RawModule) -> Result<Controller, LoadError> {
        Ok(Controller { module: LoadedModule::load(ModuleSource::Static(module))? })
    }

    /// The module's description of itself.
    pub fn description(&self) -> &ModuleDescription {
        self.module.description()
    }

    /// Sets how long a callback may take: 100 ms unless changed. The log names the module of a callback that takes
    /// longer.
    pub fn set_budget(&mut self, budget: Duration) {
        self.module.record().set_budget(budget);
    }

    /// A function that returns the number of callbacks that took longer than the budget. It can be called after the
    /// controller was moved into an engine.
    pub fn overruns(&self) -> impl Fn() -> u64 + Send + Sync + use<> {
        let record = Arc::clone(self.module.record());
        move || record.overruns()
    }

    /// Calls a callback that can't fail, about the css of a context.
    fn notify(
        &mut self,
        call: ModuleCall,
        ctx: &mut Ctx<'_>,
        callback: impl FnOnce(&abi::RawModule, *mut abi::RawContext),
    ) {
        let subject = Subject::css(ctx.css());
        self.module.invoke(call, subject, ctx.host(), |tables, ctx| callback(tables.module, ctx));
    }

    /// Calls a callback that can fail, about the css of a context. `callback` returns `None` if the module does not
    /// have it.
    fn attempt(
        &mut self,
        call: ModuleCall,
        ctx: &mut Ctx<'_>,
        callback: impl FnOnce(&abi::RawModule, *mut abi::RawContext) -> Option<c_int>,
    ) -> Result<()> {
        let subject = Subject::css(ctx.css());
        let callback = |tables: Tables<'_>, ctx| callback(tables.module, ctx).unwrap_or(0);
        let (code, output) = self.module.invoke(call, subject, ctx.host(), callback);
        result_of(code, output, Error::refused).map(drop)
    }

    /// Calls a handler of the control file that a context is about.
    fn handle(
        &mut self,
        ctx: &mut Ctx<'_>,
        handler: impl FnOnce(&abi::RawFile, *mut abi::RawContext) -> Option<c_int>,
    ) -> Result<CallOutput> {
        let file = ctx.private();
        let private = self.module.tables().files[file].private_value;
        let subject = Subject { css: ctx.css(), file: file as u32, private };
        let handler = |tables: Tables<'_>, ctx| handler(&tables.files[file], ctx).unwrap_or(NO_HANDLER);
        let (code, output) =
            self.module.invoke(ModuleCall::of_file(file as u32), subject, ctx.host(), handler);
        result_of(code, output, Error::value).map(|output| output.map(|output| *output).unwrap_or_default())
    }
}

/// The result that a callback's answer stands for. A number that is no errno is a fault of the module, and an `EINVAL`.
fn result_of(
    code: c_int,
    mut output: Option<Box<CallOutput>>,
    error: impl Fn(Errno, Cow<'static, str>) -> Error,
) -> Result<Option<Box<CallOutput>>> {
    if let Some(failure) = output.as_mut().and_then(|output| output.failure.take()) {
        return Err(error(Errno::EIO, format!("the module failed: {failure}").into()));
    }
    if code == 0 {
        return Ok(output);
    }
    let Some(errno) = errno_of(code) else {
        let reason =
            format!("the module answered {code}, which is neither 0 nor a negative errno that penfold knows");
        return Err(error(Errno::EINVAL, reason.into()));
    };
    let output = output.map(|output| *output).unwrap_or_default();
    Err(match (output.explanation, output.error) {
        (Some(reason), _) => error(errno, reason.into()),
        (None, Some(service)) if service.errno() == errno => service,
        (None, _) => error(errno, errno.text().into()),
    })
}

fn text(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|_| Error::value(Errno::EIO, "the module gave a text that is not UTF-8"))
}

fn read_u64(controller: &mut Controller, ctx: &mut Ctx<'_>) -> Result<u64> {
    let mut value = 0;
    controller.handle(ctx, |file, ctx| call!(file, read_u64, ctx, &raw mut value))?;
    Ok(value)
}

fn read_s64(controller: &mut Controller, ctx: &mut Ctx<'_>) -> Result<i64> {
    let mut value = 0;
    controller.handle(ctx, |file, ctx| call!(file, read_s64, ctx, &raw mut value))?;
    Ok(value)
}

fn read_map(controller: &mut Controller, ctx: &mut Ctx<'_>, line: &mut dyn FnMut(&str, u64)) -> Result<()> {
    let output = controller.handle(ctx, |file, ctx| call!(file, read_map, ctx))?;
    for (key, value) in output.lines {
        line(&text(key)?, value);
    }
    Ok(())
}

fn read_text(controller: &mut Controller, ctx: &mut Ctx<'_>, out: &mut String) -> Result<()> {
    let output = controller.handle(ctx, |file, ctx| call!(file, read_text, ctx))?;
    out.push_str(&text(output.text)?);
    Ok(())
}

fn write_u64(controller: &mut Controller, ctx: &mut Ctx<'_>, value: u64) -> Result<()> {
    controller.handle(ctx, |file, ctx| call!(file, write_u64, ctx, value)).map(drop)
}

fn write_s64(controller: &mut Controller, ctx: &mut Ctx<'_>, value: i64) -> Result<()> {
    controller.handle(ctx, |file, ctx| call!(file, write_s64, ctx, value)).map(drop)
}

fn write_text(controller: &mut Controller, ctx: &mut Ctx<'_>, text: &str) -> Result<()> {
    // C expects a NUL after the text
    let ended = format!("{text}\0");
    let first = ended.as_ptr().cast::<c_char>();
    controller.handle(ctx, |file, ctx| call!(file, write_text, ctx, first, text.len())).map(drop)
}

fn trigger(controller: &mut Controller, ctx: &mut Ctx<'_>) -> Result<()> {
    controller.handle(ctx, |file, ctx| call!(file, trigger, ctx)).map(drop)
}

fn file_of(number: usize, described: &FileDescription) -> ControlFile<Controller> {
    let file = ControlFile::named(Cow::Owned(described.name.clone()))
        .private(number)
        .mode(described.mode)
        .max_write(described.max_write);
    let file = match described.read {
        "u64" => file.read_u64(read_u64),
        "s64" => file.read_s64(read_s64),
        "map" => file.read_map(read_map),
        "text" => file.read_text(read_text),
        _ => file,
    };
    let file = match described.write {
        "u64" => file.write_u64(write_u64),
        "s64" => file.write_s64(write_s64),
        "text" => file.write_text(write_text),
        "trigger" => file.trigger(trigger),
        _ => file,
    };
    let file = if described.not_a_setting { file.not_a_setting() } else { file };
    match described.visibility {
        Visibility::RootOnly => file.root_only(),
        Visibility::NotRoot => file.not_on_root(),
        _ => file,
    }
}

fn migrations(tasks: &[Migration]) -> Vec<abi::RawMigration> {
    let number = |migration: &Migration| abi::RawMigration {
        task: migration.task.0,
        from: migration.from.number(),
        to: migration.to.number(),
    };
    tasks.iter().map(number).collect()
}

impl Subsystem for Controller {
    /// The module itself keeps the states.
    type State = ();

    const NAME: &'static str = "";

    fn name(&self) -> &str {
        &self.description().name
    }

    fn callbacks(&self) -> Callbacks {
        self.description().callbacks
    }

    fn rules(&self) -> Vec<Rule> {
        let rule = |rule: &RuleDescription| Rule {
            resource: rule.resource,
            errno: rule.refusal,
            limit_file: Cow::Owned(rule.limit_file.clone()),
        };
        self.description().rules.iter().map(rule).collect()
    }

    fn refusal_file(&self) -> Cow<'static, str> {
        Cow::Owned(self.description().refusing_file.clone())
    }

    fn files(&self) -> Vec<ControlFile<Controller>> {
        self.description().files.iter().enumerate().map(|(number, file)| file_of(number, file)).collect()
    }

    fn create(&mut self, ctx: &mut Ctx<'_>) -> Result<()> {
        let css = ctx.css();
        let mut state = ptr::null_mut();
        let (code, output) =
            self.module.invoke(ModuleCall::CREATE, Subject::css(css), ctx.host(), |tables, ctx| {
                call!(tables.module, create, ctx, &raw mut state).unwrap_or(NO_HANDLER)
            });
        if code == 0 {
            self.module.set_state(css, state);
            // The engine takes a failure for a refusal and never destroys the new state, so it is destroyed here.
            if output.as_ref().is_some_and(|output| output.failure.is_some()) {
                self.destroy(ctx);
            }
        }
        result_of(code, output, Error::refused).map(drop)
    }

    fn destroy(&mut self, ctx: &mut Ctx<'_>) {
        self.notify(ModuleCall::DESTROY, ctx, |module, ctx| {
            call!(module, destroy, ctx);
        });
        self.module.clear_state(ctx.css());
    }

    fn pre_destroy(&mut self, ctx: &mut Ctx<'_>) -> Result<()> {
        self.attempt(ModuleCall::PRE_DESTROY, ctx, |module, ctx| call!(module, pre_destroy, ctx))
    }

    fn can_attach(&mut self, ctx: &mut Ctx<'_>, tasks: &[Migration]) -> Result<()> {
        let tasks = migrations(tasks);
        self.attempt(ModuleCall::CAN_ATTACH, ctx, |module, ctx| {
            call!(module, can_attach, ctx, tasks.as_ptr(), tasks.len())
        })
    }

    fn cancel_attach(&mut self, ctx: &mut Ctx<'_>, tasks: &[Migration]) {
        let tasks = migrations(tasks);
        self.notify(ModuleCall::CANCEL_ATTACH, ctx, |module, ctx| {
            call!(module, cancel_attach, ctx, tasks.as_ptr(), tasks.len());
        });
    }

    fn attach(&mut self, ctx: &mut Ctx<'_>, tasks: &[Migration]) {
        let tasks = migrations(tasks);
        self.notify(ModuleCall::ATTACH, ctx, |module, ctx| {
            call!(module, attach, ctx, tasks.as_ptr(), tasks.len());
        });
    }

    fn can_fork(&mut self, ctx: &mut Ctx<'_>, parent: Tid) -> Result<()> {
        self.attempt(ModuleCall::CAN_FORK, ctx, |module, ctx| call!(module, can_fork, ctx, parent.0))
    }

    fn cancel_fork(&mut self, ctx: &mut Ctx<'_>) {
        self.notify(ModuleCall::CANCEL_FORK, ctx, |module, ctx| {
            call!(module, cancel_fork, ctx);
        });
    }

    fn fork(&mut self, ctx: &mut Ctx<'_>, child: Tid) {
        self.notify(ModuleCall::FORK, ctx, |module, ctx| {
            call!(module, fork, ctx, child.0);
        });
    }

    /// Calls `fork` for all tasks within one invocation: there may be a million tasks.
    fn replay_tasks(&mut self, ctx: &mut Ctx<'_>, tasks: &[Tid]) {
        self.notify(ModuleCall::FORK, ctx, |module, ctx| {
            for task in tasks {
                call!(module, fork, ctx, task.0);
            }
        });
    }

    fn exit(&mut self, ctx: &mut Ctx<'_>, task: Tid) {
        self.notify(ModuleCall::EXIT, ctx, |module, ctx| {
            call!(module, exit, ctx, task.0);
        });
    }

    fn post_clone(&mut self, ctx: &mut Ctx<'_>) {
        self.notify(ModuleCall::POST_CLONE, ctx, |module, ctx| {
            call!(module, post_clone, ctx);
        });
    }

    fn bind(&mut self, ctx: &mut Ctx<'_>) {
        self.notify(ModuleCall::BIND, ctx, |module, ctx| {
            call!(module, bind, ctx);
        });
    }
}
