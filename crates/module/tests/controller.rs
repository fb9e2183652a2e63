//! The loader with a description written by hand, as in C: answers of callbacks, services, and wrong arguments.
#![cfg(feature = "loader")]

use std::ffi::{c_char, c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

use penfold_core::{Errno, Tid};
use penfold_module::abi::{self, RawContext, RawFile, RawModule};
use penfold_module::loader::{Controller, LoadError};
use penfold_testkit::SimWorld;

const fn chars<const N: usize>(text: &str) -> [c_char; N] {
    let (mut field, bytes, mut at) = ([0; N], text.as_bytes(), 0);
    while at < bytes.len() {
        field[at] = bytes[at].cast_signed();
        at += 1;
    }
    field
}

/// The state of a cgroup: the numbers of its forks and exits.
struct CounterState {
    forks: u64,
    exits: u64,
}

unsafe fn services<'a>(ctx: *mut RawContext) -> &'a abi::RawServices {
    // SAFETY: the loader passes a context with services.
    unsafe { &*(*ctx).services }
}

unsafe fn state<'a>(ctx: *mut RawContext) -> &'a mut CounterState {
    // SAFETY: the state that `create` stored.
    unsafe { &mut *(*ctx).state.cast() }
}

unsafe extern "C" fn create(_: *mut RawContext, state: *mut *mut c_void) -> c_int {
    // SAFETY: the loader has memory for a pointer there.
    unsafe { *state = Box::into_raw(Box::new(CounterState { forks: 0, exits: 0 })).cast() };
    0
}

unsafe extern "C" fn destroy(ctx: *mut RawContext) {
    // SAFETY: the state that `create` stored.
    drop(unsafe { Box::from_raw((*ctx).state.cast::<CounterState>()) });
}

unsafe extern "C" fn fork(ctx: *mut RawContext, _: i32) {
    // SAFETY: as `state`.
    unsafe { state(ctx).forks += 1 };
}

unsafe extern "C" fn exit(ctx: *mut RawContext, _: i32) {
    // SAFETY: as `state`.
    unsafe { state(ctx).exits += 1 };
}

unsafe extern "C" fn counts(ctx: *mut RawContext) -> c_int {
    // SAFETY: as `state` and `services`.
    unsafe {
        let CounterState { forks, exits } = *state(ctx);
        (services(ctx).put_line)(ctx, c"forks".as_ptr(), forks);
        (services(ctx).put_line)(ctx, c"exits".as_ptr(), exits);
        let tasks = (services(ctx).tasks)(ctx, (*ctx).css, ptr::null_mut(), 0);
        (services(ctx).put_line)(ctx, c"tasks".as_ptr(), tasks as u64);
    }
    0
}

/// Returns the number that was written.
unsafe extern "C" fn answer(_: *mut RawContext, value: i64) -> c_int {
    value as c_int
}

unsafe extern "C" fn explained(ctx: *mut RawContext, text: *const c_char, length: usize) -> c_int {
    // SAFETY: as `services`.
    unsafe { (services(ctx).explain)(ctx, text, length) };
    -Errno::ERANGE.number()
}

/// Calls services with css, rules and pointers that the module does not have.
unsafe extern "C" fn garbage(ctx: *mut RawContext) -> c_int {
    // SAFETY: as `services`. The services take wrong numbers and NULL.
    unsafe {
        let services = services(ctx);
        for css in [77, u32::MAX - 1, abi::NO_CSS] {
            assert_eq!((services.parent)(ctx, css), abi::NO_CSS);
            assert_eq!((services.children)(ctx, css, ptr::null_mut(), 10), 0);
            assert_eq!((services.tasks)(ctx, css, ptr::null_mut(), 10), 0);
            assert_eq!((services.cpu_usage)(ctx, css, ptr::null_mut(), 10), 0);
            assert_eq!((services.reset_cpu_usage)(ctx, css), -Errno::EINVAL.number());
            assert_eq!((services.set_limit)(ctx, css, 0, 1), -Errno::EINVAL.number());
            assert!((services.state)(ctx, css).is_null());
        }
        let mut counter = abi::RawCounter::default();
        assert_eq!(
            (services.counter)(ctx, (*ctx).css, 0, &raw mut counter),
            -Errno::EINVAL.number(),
            "no rule"
        );
        assert_eq!((services.counter)(ctx, (*ctx).css, 0, ptr::null_mut()), -Errno::EFAULT.number());
        assert_eq!((services.require)(ctx, 99), -Errno::EINVAL.number());
        assert_eq!((services.task)(ctx, 12345, ptr::null_mut()), -Errno::EFAULT.number());
        assert_eq!((services.set_affinity)(ctx, 1, ptr::null(), 1), -Errno::EFAULT.number());
        assert_eq!((services.now)(ptr::null_mut()), 0, "a NULL context");
        (services.put)(ctx, ptr::null(), 10);
        (services.put)(ctx, [0xff_u8, 0xfe].as_ptr().cast(), 2);
    }
    0
}

static FILES: [RawFile; 4] = [
    RawFile { name: chars("counts"), read_map: Some(counts), ..RawFile::EMPTY },
    RawFile { name: chars("answer"), write_s64: Some(answer), ..RawFile::EMPTY },
    RawFile { name: chars("explained"), write_text: Some(explained), ..RawFile::EMPTY },
    RawFile { name: chars("garbage"), read_text: Some(garbage), ..RawFile::EMPTY },
];

const MODULE: RawModule = RawModule {
    abi_version: abi::ABI_VERSION,
    module_size: size_of::<RawModule>() as u32,
    file_size: size_of::<RawFile>() as u32,
    rule_size: size_of::<abi::RawRule>() as u32,
    context_size: size_of::<RawContext>() as u32,
    services_size: size_of::<abi::RawServices>() as u32,
    name: chars("probe"),
    version: chars("1.2"),
    summary: chars("for tests"),
    refusing_file: chars(""),
    files: FILES.as_ptr(),
    file_count: 4,
    rule_count: 0,
    rules: ptr::null(),
    load: None,
    unload: None,
    create: Some(create),
    destroy: Some(destroy),
    pre_destroy: None,
    can_attach: None,
    cancel_attach: None,
    attach: None,
    can_fork: None,
    cancel_fork: None,
    fork: Some(fork),
    exit: Some(exit),
    post_clone: None,
    bind: None,
};

static PROBE: RawModule = MODULE;

/// A world with one task, the probe loaded afterwards and mounted.
fn mounted() -> (SimWorld, Tid) {
    let mut world = SimWorld::new();
    let task = world.spawn();
    world.mount_controller(Controller::from_static(&PROBE).unwrap(), "probe");
    (world, task)
}

#[test]
fn callbacks_are_called_and_may_call_services() {
    let (mut world, task) = mounted();
    let counts = |world: &mut SimWorld| world.read(world.top, "counts");
    assert_eq!(counts(&mut world), "forks 1\nexits 0\ntasks 1\n", "told at load");
    let child = world.fork(task);
    assert_eq!(counts(&mut world), "forks 2\nexits 0\ntasks 2\n");
    world.exit(child);
    assert_eq!(counts(&mut world), "forks 2\nexits 1\ntasks 1\n");
}

#[test]
fn answer_that_is_no_errno_is_an_error() {
    let (mut world, _) = mounted();
    assert_eq!(world.try_write(world.top, "answer", "0"), Ok(()));
    assert_eq!(world.try_write(world.top, "answer", "-28"), Err(Errno::ENOSPC));
    assert_eq!(world.last_error().to_string(), "probe.answer: No space left on device");
    for garbage in ["1", "5", "-4096", "-2147483648", "2147483647"] {
        assert_eq!(world.try_write(world.top, "answer", garbage), Err(Errno::EINVAL));
        assert!(world.last_error().to_string().contains(garbage), "{}", world.last_error());
    }
}

#[test]
fn explanation_is_the_reason_of_the_error() {
    let (mut world, _) = mounted();
    assert_eq!(world.try_write(world.top, "explained", "too far"), Err(Errno::ERANGE));
    assert_eq!(world.last_error().to_string(), "probe.explained: too far");
}

#[test]
fn services_survive_wrong_numbers_and_null() {
    let (mut world, _) = mounted();
    assert_eq!(world.try_read(world.top, "garbage"), Err(Errno::EIO), "not UTF-8");
}

#[test]
fn refusal_of_another_version_names_both_versions() {
    static OTHER: RawModule = RawModule { abi_version: 7, ..MODULE };
    static SMALLER: RawModule = RawModule { services_size: 8, ..MODULE };
    let refusal = |module| match Controller::from_static(module) {
        Ok(_) => panic!("loaded"),
        Err(error) => (error.errno(), error.to_string()),
    };
    let (errno, text) = refusal(&OTHER);
    assert!(errno == Errno::ENOEXEC && text.contains("version 7") && text.contains("version 1"), "{text}");
    let (errno, text) = refusal(&SMALLER);
    assert!(errno == Errno::ENOEXEC && text.contains("penfold_services has 8 bytes"), "{text}");
}

#[test]
fn load_that_fails_leaves_nothing() {
    unsafe extern "C" fn refuse(_: *mut *mut c_void) -> c_int {
        -Errno::ENOMEM.number()
    }
    static REFUSING: RawModule = RawModule { load: Some(refuse), ..MODULE };
    let Err(error) = Controller::from_static(&REFUSING) else { panic!("loaded") };
    assert!(matches!(error, LoadError::Refused { errno: Errno::ENOMEM, .. }), "{error}");
}

#[test]
fn create_that_reports_a_failure_leaves_no_state() {
    static DESTROYED: AtomicU32 = AtomicU32::new(0);
    unsafe extern "C" fn failing(ctx: *mut RawContext, state: *mut *mut c_void) -> c_int {
        // SAFETY: as `services`.
        unsafe {
            (services(ctx).failed)(ctx, c"oops".as_ptr(), 4);
            create(ctx, state)
        }
    }
    unsafe extern "C" fn counting(ctx: *mut RawContext) {
        DESTROYED.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as `destroy`.
        unsafe { destroy(ctx) };
    }
    static FAILING: RawModule = RawModule { create: Some(failing), destroy: Some(counting), ..MODULE };
    let mut world = SimWorld::new();
    assert_eq!(world.try_load(Controller::from_static(&FAILING).unwrap()), Err(Errno::EIO));
    assert!(world.last_error().to_string().contains("oops"), "{}", world.last_error());
    assert_eq!(DESTROYED.load(Ordering::Relaxed), 1);
}
