/*
 * penfold.h: everything that a loadable controller of penfold needs.
 *
 * Generated from crates/module/src/abi.rs by `cargo xtask header`. Do not edit.
 *
 * A module is a shared object that exports one object, `penfold_module`. The object holds constants only, so that
 * penfold can read it from the file without running any code of the module:
 *
 *     #include "penfold.h"
 *
 *     static int create(struct penfold_context *ctx, void **state)
 *     {
 *         (void)ctx;
 *         *state = calloc(1, sizeof(uint64_t));
 *         return *state ? 0 : -ENOMEM;
 *     }
 *
 *     static void destroy(struct penfold_context *ctx)
 *     {
 *         free(ctx->state);
 *     }
 *
 *     static int value_read(struct penfold_context *ctx, uint64_t *value)
 *     {
 *         *value = *(uint64_t *)ctx->state;
 *         return 0;
 *     }
 *
 *     static const struct penfold_file files[] = {
 *         { .name = "value", .read_u64 = value_read },
 *     };
 *
 *     const struct penfold_module penfold_module = {
 *         PENFOLD_MODULE_HEADER,
 *         .name = "example",
 *         .version = "0.1.0",
 *         .summary = "one number in every cgroup",
 *         .files = files,
 *         .file_count = sizeof files / sizeof *files,
 *         .create = create,
 *         .destroy = destroy,
 *     };
 *
 *     cc -std=c99 -shared -fPIC -o example.so example.c
 *     penfold module load ./example.so
 *
 * The callbacks of a module run one at a time, so a module needs no locks. Each callback runs on the thread of the
 * program that needs it, which may be another thread each time. A callback must not wait.
 *
 * A callback gets a `struct penfold_context`, valid until the callback returns, and calls the services of
 * `struct penfold_services` through it. Outside of a callback, and on other threads, the services refuse.
 *
 * A callback that can fail returns 0 or a negative errno. A callback that fails must have changed nothing.
 * `penfold_error` gives the reason in words. All text is UTF-8.
 *
 * A module that makes a pthread key has to delete the key in `unload`. Otherwise the module stays mapped.
 */

#ifndef PENFOLD_H
#define PENFOLD_H

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct penfold_caller;
struct penfold_context;
struct penfold_counter;
struct penfold_cpu_time;
struct penfold_file;
struct penfold_migration;
struct penfold_module;
struct penfold_rule;
struct penfold_services;
struct penfold_task_facts;

/** The version of this interface. Penfold refuses a module of another version. */
#define PENFOLD_ABI_VERSION 1

/** The size of `penfold_module.name` in bytes, with the NUL that ends the text. */
#define PENFOLD_NAME_SIZE 33

/** The size of `penfold_module.version` in bytes, with the NUL. */
#define PENFOLD_VERSION_SIZE 32

/** The size of `penfold_module.summary` in bytes, with the NUL. */
#define PENFOLD_SUMMARY_SIZE 128

/** The size of `penfold_file.name`, `penfold_rule.limit_file` and `penfold_module.refusing_file`, with the NUL. */
#define PENFOLD_FILE_NAME_SIZE 64

/** Returned by `services->parent` for the root of a hierarchy. */
#define PENFOLD_NO_CSS UINT32_MAX

/** `penfold_counter.limit` of a counter without a limit. */
#define PENFOLD_UNLIMITED UINT64_MAX

/** `penfold_file.place`: the file is in every directory. */
#define PENFOLD_EVERYWHERE 0

/** `penfold_file.place`: the file is only in the root of a hierarchy. */
#define PENFOLD_ROOT_ONLY 1

/** `penfold_file.place`: the file is in every directory but the root. */
#define PENFOLD_NOT_ON_ROOT 2

/** `penfold_file.flags`: the content read is not the content written, such as a count that a write resets. */
#define PENFOLD_FILE_COUNTS 1

/** `penfold_rule.resource`: living tasks. Charged before a fork, moved by an attach, given back at exit. */
#define PENFOLD_TASKS 0

/** `penfold_rule.resource`: forks ever made. Charged before a fork, given back only if that fork fails. */
#define PENFOLD_FORKS 1

/** `penfold_rule.resource`: CPU time in nanoseconds. A charge is never refused. */
#define PENFOLD_CPU_TIME 2

/** `penfold_rule.resource`: sockets created. Only hosts that see socket(2) execute the rule. */
#define PENFOLD_SOCKETS 3

/** `services->require`: refuse a fork before the child exists. */
#define PENFOLD_NEED_FORK_VETO 0

/** `services->require`: set the CPU affinity of tasks, and clamp the affinity that they set themselves. */
#define PENFOLD_NEED_AFFINITY 1

/** `services->require`: bind the memory of tasks to nodes. */
#define PENFOLD_NEED_MEMORY_NODES 2

/** `services->require`: stop tasks so that neither they nor their parents notice. */
#define PENFOLD_NEED_FREEZE 3

/** `services->require`: mark the sockets of tasks with a class. */
#define PENFOLD_NEED_SOCKET_CLASS 4

/** The task that reads or writes a control file, makes a directory or attaches tasks. */
struct penfold_caller {
    /** The thread id of the caller. */
    int32_t task;
    /** The effective user id of the caller. */
    uint32_t uid;
    /** The effective group id of the caller. */
    uint32_t gid;
    /** The umask of the caller: the permission bits that mkdir(2) clears. */
    uint32_t umask;
    /** 1 if the caller has the administrator's capabilities. */
    uint32_t privileged;
};

/** The counter of one css for one charge rule. */
struct penfold_counter {
    /** The amount that is charged now, with the descendants' charges, in units of the rule's resource. */
    uint64_t usage;
    /** The highest usage that a charge may reach; `PENFOLD_UNLIMITED` for none. */
    uint64_t limit;
    /** The highest usage ever seen. */
    uint64_t peak;
    /** The number of charges that this counter's limit refused. */
    uint64_t failures;
    /** The number of charges that began here and were refused, whichever ancestor's limit refused them. */
    uint64_t refused;
};

/** CPU time in nanoseconds. */
struct penfold_cpu_time {
    /** The CPU time in user mode, in nanoseconds. */
    uint64_t user;
    /** The CPU time in the kernel, in nanoseconds. */
    uint64_t system;
};

/** Facts of a living task. */
struct penfold_task_facts {
    /** The thread group (process) of the task, by the thread id of its leader. */
    int32_t group;
    /** The real user id of the task. */
    uint32_t real_uid;
    /** The saved user id of the task. */
    uint32_t saved_uid;
    /** 0 for a task that may never move. */
    uint32_t movable;
    /** 1 while the task is exiting. */
    uint32_t exiting;
    /** 1 while a fork of the task is in flight. */
    uint32_t forking;
};

/**
 * The services that a callback can call, always with the context that the callback was given.
 *
 * A css may be none of the module's, or not alive any more. A service answers for such a css as if the css had
 * nothing, or with `-EINVAL`. A NULL for a pointer that the service needs is `-EFAULT`.
 *
 * A service that gives a list writes at most `capacity` entries into `list` and returns the length of the whole
 * list.
 */
struct penfold_services {
    /** The pointer that `penfold_module.create` stored for a css. */
    void *(*state)(struct penfold_context *ctx, uint32_t css);
    /** The parent of a css; `PENFOLD_NO_CSS` for the root of a hierarchy. */
    uint32_t (*parent)(struct penfold_context *ctx, uint32_t css);
    /** The children of a css, in the order of their creation. */
    size_t (*children)(struct penfold_context *ctx, uint32_t css, uint32_t *list, size_t capacity);
    /** The tasks that are members of the css's cgroup itself, ascending. */
    size_t (*tasks)(struct penfold_context *ctx, uint32_t css, int32_t *list, size_t capacity);
    /** 1 if the css's cgroup itself has any member. */
    int (*has_tasks)(struct penfold_context *ctx, uint32_t css);
    /** The path of the css's cgroup from the root of the hierarchy, as bytes without a NUL. */
    size_t (*path)(struct penfold_context *ctx, uint32_t css, char *text, size_t capacity);
    /** The mount flags of the hierarchy: 1 `noprefix`, 2 `xattr`, 4 `cpuset_v2_mode`, 8 `favordynmods`. */
    uint32_t (*hierarchy_flags)(struct penfold_context *ctx, uint32_t css);
    /** Stores the counter of a css for the module's rule number `rule`. */
    int (*counter)(struct penfold_context *ctx, uint32_t css, uint32_t rule, struct penfold_counter *counter);
    /**
     * Sets the limit of a css's counter for the rule number `rule`. The usage may already exceed the limit.
     * `-EOPNOTSUPP` if the host can't enforce it.
     */
    int (*set_limit)(struct penfold_context *ctx, uint32_t css, uint32_t rule, uint64_t limit);
    /** Sets the peak of a css's counter for the rule number `rule` back to its usage. */
    int (*reset_peak)(struct penfold_context *ctx, uint32_t css, uint32_t rule);
    /**
     * Announces whether the module's `can_fork` may refuse from now on; after load it may not. `-EOPNOTSUPP` if the
     * host can't refuse forks.
     */
    int (*set_refusing)(struct penfold_context *ctx, int refusing);
    /** The CPU time charged to a css and its descendants, for each CPU. */
    size_t (*cpu_usage)(struct penfold_context *ctx,
                        uint32_t css,
                        struct penfold_cpu_time *list,
                        size_t capacity);
    /** Forgets the CPU time charged to a css. The times of its parent and children stay. */
    int (*reset_cpu_usage)(struct penfold_context *ctx, uint32_t css);
    /** Stores the caller of the operation and returns 1. Returns 0 in `fork`, `exit` and `bind`: they have none. */
    int (*caller)(struct penfold_context *ctx, struct penfold_caller *caller);
    /** The supplementary groups of the caller. */
    size_t (*caller_groups)(struct penfold_context *ctx, uint32_t *list, size_t capacity);
    /**
     * Can the host do this (`PENFOLD_NEED_...`)? 0 if it can. Otherwise `-EOPNOTSUPP`, and the host's reason is the
     * explanation of a callback that returns this error.
     */
    int (*require)(struct penfold_context *ctx, uint32_t need);
    /** Stores the facts of a task. `-ESRCH` for a task that does not live. */
    int (*task)(struct penfold_context *ctx, int32_t task, struct penfold_task_facts *facts);
    /** The threads of a process that are not exiting, the leader first. */
    size_t (*threads)(struct penfold_context *ctx, int32_t group, int32_t *list, size_t capacity);
    /** The time of a clock that never goes back, in nanoseconds. */
    uint64_t (*now)(struct penfold_context *ctx);
    /** The CPUs that are online, as words of a bit mask, lowest first. */
    size_t (*cpus)(struct penfold_context *ctx, uint64_t *list, size_t capacity);
    /** The memory nodes that are online, as words of a bit mask, lowest first. */
    size_t (*memory_nodes)(struct penfold_context *ctx, uint64_t *list, size_t capacity);
    /** One more than the highest CPU number that a list may name. */
    size_t (*cpu_limit)(struct penfold_context *ctx);
    /** One more than the highest node number that a list may name. */
    size_t (*node_limit)(struct penfold_context *ctx);
    /** Restricts a task to the CPUs of a mask of `words` words. */
    int (*set_affinity)(struct penfold_context *ctx, int32_t task, const uint64_t *cpus, size_t words);
    /**
     * Binds the future memory of a task to the nodes `to`. With `migrate`, also moves the memory that the task has
     * on the nodes `from`.
     */
    int (*set_memory_nodes)(struct penfold_context *ctx,
                            int32_t task,
                            const uint64_t *from,
                            size_t from_words,
                            const uint64_t *to,
                            size_t to_words,
                            int migrate);
    /** Begins to stop a task. A second call for the same task is harmless. */
    void (*freeze)(struct penfold_context *ctx, int32_t task);
    /** Lets a frozen task go on. */
    void (*thaw)(struct penfold_context *ctx, int32_t task);
    /** 1 once a task that `freeze` was called for can't run any more. */
    int (*is_frozen)(struct penfold_context *ctx, int32_t task);
    /**
     * Gives a class to the sockets of a task: those that exist and those that the task will make. Class 0 means
     * unclassified.
     */
    int (*set_socket_class)(struct penfold_context *ctx, int32_t task, uint32_t class_id);
    /** Sends a signal to one task. */
    int (*signal)(struct penfold_context *ctx, int32_t task, int signal);
    /** In `read_text`: adds text to the content of the file. */
    void (*put)(struct penfold_context *ctx, const char *text, size_t length);
    /** In `read_map`: adds a line to the content of the file. `key` ends with a NUL. */
    void (*put_line)(struct penfold_context *ctx, const char *key, uint64_t value);
    /** Gives the reason for the error that the callback is going to return. */
    void (*explain)(struct penfold_context *ctx, const char *text, size_t length);
    /** Writes a line to the log of the program that has loaded the module, under the module's name. */
    void (*log)(struct penfold_context *ctx, const char *text, size_t length);
    /**
     * Reports a failure that the module's author did not intend, such as a panic. The log names the module, and the
     * callback fails with `-EIO` if it can fail.
     */
    void (*failed)(struct penfold_context *ctx, const char *text, size_t length);
};

/** The subject of one callback. Valid until the callback returns. The module must not change any member. */
struct penfold_context {
    /** The services that the callback can call. */
    const struct penfold_services *services;
    /** For the loader only. */
    void *engine;
    /** The pointer that `penfold_module.load` stored. */
    void *module;
    /** The pointer that `penfold_module.create` stored for `ctx->css`; NULL in `create` itself. */
    void *state;
    /**
     * The css (the module's state in one cgroup) that the callback is about. In `can_attach`, `cancel_attach` and
     * `attach`: the css that the first task goes to.
     */
    uint32_t css;
    /** In a handler of a control file: the index of the file in `penfold_module.files`. */
    uint32_t file;
    /** In a handler of a control file: `penfold_file.private_value` of the file. */
    uint64_t private_value;
};

/**
 * One control file. One write is one command.
 *
 * At most one `read_...` member may be set, and at most one of the `write_...` members and `trigger`. A file without
 * a reader can't be read, and a file without a writer can't be written: both fail with `EINVAL`.
 */
struct penfold_file {
    /** The name of the file without the module's prefix. */
    char name[PENFOLD_FILE_NAME_SIZE];
    /**
     * Permission bits as in chmod(2), at most 0777. 0 stands for the default, by the handlers: 0444 for a reader
     * plus 0200 for a writer or trigger.
     */
    uint32_t mode;
    /** The directories that have the file: `PENFOLD_EVERYWHERE`, `PENFOLD_ROOT_ONLY` or `PENFOLD_NOT_ON_ROOT`. */
    uint32_t place;
    /** The longest write in bytes; 0 for one page. A longer write fails with `E2BIG`. */
    uint32_t max_write;
    /** Flags of the file: `PENFOLD_FILE_COUNTS` or 0. */
    uint32_t flags;
    /** A value that the handlers find in `ctx->private_value`, so that files can share a handler. */
    uint64_t private_value;
    /** Reads the file as a number. */
    int (*read_u64)(struct penfold_context *ctx, uint64_t *value);
    /** Reads the file as a signed number. */
    int (*read_s64)(struct penfold_context *ctx, int64_t *value);
    /** Reads the file as lines of `key value`. The handler gives each line to `services->put_line`. */
    int (*read_map)(struct penfold_context *ctx);
    /** Reads the file as text. The handler gives the text to `services->put` in any number of pieces. */
    int (*read_text)(struct penfold_context *ctx);
    /** Takes a number, which the user wrote in decimal, with 0x or in octal. */
    int (*write_u64)(struct penfold_context *ctx, uint64_t value);
    /** Takes a signed number, which the user wrote in decimal, with 0x or in octal. */
    int (*write_s64)(struct penfold_context *ctx, int64_t value);
    /** Takes a text without the white space at both ends. A NUL follows after `length` bytes. */
    int (*write_text)(struct penfold_context *ctx, const char *text, size_t length);
    /** Takes a write of any content, which the handler does not see. */
    int (*trigger)(struct penfold_context *ctx);
};

/** One task that moves from one css to another. */
struct penfold_migration {
    /** The task, by its thread id (tid). */
    int32_t task;
    /** The css that the task is in. */
    uint32_t from;
    /** The css that the task goes to. */
    uint32_t to;
};

/**
 * A charge rule. The rule gives every css one counter, which is charged up the hierarchy. The engine executes the
 * rule, not the module.
 */
struct penfold_rule {
    /** The resource that the rule counts: `PENFOLD_TASKS`, `PENFOLD_FORKS`, `PENFOLD_CPU_TIME` or `PENFOLD_SOCKETS`. */
    uint32_t resource;
    /** The errno, as a positive number, of an operation that a limit refuses; 0 for `EAGAIN`. */
    int32_t refusal;
    /** The name of the control file that sets the limit, for messages; may be empty. */
    char limit_file[PENFOLD_FILE_NAME_SIZE];
};

/**
 * The description of a module. `create` and `destroy` are mandatory. Every other callback may be NULL, and then
 * costs nothing.
 */
struct penfold_module {
    /** The version of the interface that the module was compiled for: `PENFOLD_ABI_VERSION`. */
    uint32_t abi_version;
    /** The size of the description in bytes: `sizeof(struct penfold_module)`. */
    uint32_t module_size;
    /** The size of an entry of `files` in bytes: `sizeof(struct penfold_file)`. */
    uint32_t file_size;
    /** The size of an entry of `rules` in bytes: `sizeof(struct penfold_rule)`. */
    uint32_t rule_size;
    /** The size of a context in bytes: `sizeof(struct penfold_context)`. */
    uint32_t context_size;
    /** The size of the table of services in bytes: `sizeof(struct penfold_services)`. */
    uint32_t services_size;
    /** The name of the controller, and the prefix of its files: 1 to 32 letters, digits, `_` and `-`. */
    char name[PENFOLD_NAME_SIZE];
    /** The module's own version, for people. */
    char version[PENFOLD_VERSION_SIZE];
    /** The purpose of the module in one line. */
    char summary[PENFOLD_SUMMARY_SIZE];
    /** The name of the control file that makes `can_fork` refuse, for events; may be empty. */
    char refusing_file[PENFOLD_FILE_NAME_SIZE];
    /** The control files; may be NULL if there are none. */
    const struct penfold_file *files;
    /** The number of control files. */
    uint32_t file_count;
    /** The number of charge rules. */
    uint32_t rule_count;
    /** The charge rules; may be NULL if there are none. */
    const struct penfold_rule *rules;
    /**
     * Called before every other callback. Stores the data that all cgroups share; `ctx->module` has the
     * pointer.
     */
    int (*load)(void **module);
    /** Called after every other callback, with the pointer that `load` stored. */
    void (*unload)(void *module);
    /** Makes the state of a new cgroup. At load: makes the state of the root, which has no parent. */
    int (*create)(struct penfold_context *ctx, void **state);
    /** Frees a state: after rmdir(2), after a mkdir(2) that failed elsewhere, and at unload. */
    void (*destroy)(struct penfold_context *ctx);
    /**
     * Called before rmdir(2), and for the last state before unload. The operation fails with the error that is
     * returned. May run more than once for a state.
     */
    int (*pre_destroy)(struct penfold_context *ctx);
    /**
     * Called before tasks move. 0 agrees, a negative errno refuses the whole move. An agreement stays valid until
     * `attach` or `cancel_attach` is called. Not called for a fork.
     */
    int (*can_attach)(struct penfold_context *ctx, const struct penfold_migration *tasks, size_t count);
    /** Called if a move that `can_attach` agreed to does not happen. */
    void (*cancel_attach)(struct penfold_context *ctx, const struct penfold_migration *tasks, size_t count);
    /**
     * Called after tasks have moved. Can't refuse any more.
     *
     * A controller without `fork` also gets every task that the host launches or adopts, and at load those that the
     * host supervises. Then `from` and `to` are the same css, and `can_attach` was not called. The child of a member
     * inherits from its parent and is not reported.
     */
    void (*attach)(struct penfold_context *ctx, const struct penfold_migration *tasks, size_t count);
    /**
     * Called before `parent` (a thread id) forks. 0 agrees, a negative errno refuses the fork. A module that may
     * refuse announces that with `services->set_refusing`.
     */
    int (*can_fork)(struct penfold_context *ctx, int32_t parent);
    /** Called if a fork that `can_fork` agreed to does not happen. */
    void (*cancel_fork)(struct penfold_context *ctx);
    /**
     * Called when `child` (a thread id) is a member of `ctx->css` and has not run yet.
     *
     * Also called once at load for every task that the host supervises, and for a task that it launches or adopts.
     */
    void (*fork)(struct penfold_context *ctx, int32_t child);
    /**
     * Called when a task has died. `task` is its thread id at death.
     *
     * A thread that calls execve(2) takes over the thread id of the leader. `exit` has been called for the old
     * leader, `fork` is not called again, and the former thread id is never reported.
     */
    void (*exit)(struct penfold_context *ctx, int32_t task);
    /** Called after `create` where the parent has `cgroup.clone_children` set. */
    void (*post_clone)(struct penfold_context *ctx);
    /**
     * Called when the controller has moved to another hierarchy, or back to where unbound controllers are.
     * `ctx->css` is the new root.
     */
    void (*bind)(struct penfold_context *ctx);
};

#if defined(__GNUC__)
#define PENFOLD_EXPORT __attribute__((visibility("default")))
#define PENFOLD_FORMAT(position, first) __attribute__((format(printf, position, first)))
#else
#define PENFOLD_EXPORT
#define PENFOLD_FORMAT(position, first)
#endif

/**
 * The first members of `penfold_module`: the version of the interface that the module was compiled for. A loader of
 * another version refuses the module and names both versions. (In C++ designated initializers need C++20.)
 */
#define PENFOLD_MODULE_HEADER                                                                                       \
    .abi_version = PENFOLD_ABI_VERSION, .module_size = sizeof(struct penfold_module),                               \
    .file_size = sizeof(struct penfold_file), .rule_size = sizeof(struct penfold_rule),                             \
    .context_size = sizeof(struct penfold_context), .services_size = sizeof(struct penfold_services)

#ifdef __cplusplus
extern "C" {
#endif

/** The description, which the module defines. This declaration exports it with -fvisibility=hidden too. */
extern PENFOLD_EXPORT const struct penfold_module penfold_module;

#ifdef __cplusplus
}
#endif

/** Formats a text and gives it to one of the services that take text. Up to 255 bytes need no heap. */
PENFOLD_FORMAT(3, 0)
static inline int penfold_format(struct penfold_context *ctx,
                                 void (*take)(struct penfold_context *ctx, const char *text, size_t length),
                                 const char *format, va_list arguments)
{
    char small[256];
    char *text = small;
    va_list again;
    int length;

    va_copy(again, arguments);
    length = vsnprintf(small, sizeof small, format, arguments);
    if (length >= (int)sizeof small) {
        text = (char *)malloc((size_t)length + 1);
        length = text != NULL ? vsnprintf(text, (size_t)length + 1, format, again) : -ENOMEM;
    } else if (length < 0) {
        length = -EINVAL;
    }
    va_end(again);
    if (length >= 0)
        take(ctx, text, (size_t)length);
    if (text != small)
        free(text);
    return length < 0 ? length : 0;
}

/** In `read_text`: adds text that ends with a NUL. */
static inline void penfold_puts(struct penfold_context *ctx, const char *text)
{
    ctx->services->put(ctx, text, strlen(text));
}

/** In `read_text`: adds text, formatted as by printf(3). Returns 0, `-ENOMEM`, or `-EINVAL` for a wrong format. */
PENFOLD_FORMAT(2, 3)
static inline int penfold_printf(struct penfold_context *ctx, const char *format, ...)
{
    va_list arguments;
    int result;

    va_start(arguments, format);
    result = penfold_format(ctx, ctx->services->put, format, arguments);
    va_end(arguments);
    return result;
}

/** Writes a line to the log of the program that has loaded the module. Returns the same as `penfold_printf`. */
PENFOLD_FORMAT(2, 3)
static inline int penfold_log(struct penfold_context *ctx, const char *format, ...)
{
    va_list arguments;
    int result;

    va_start(arguments, format);
    result = penfold_format(ctx, ctx->services->log, format, arguments);
    va_end(arguments);
    return result;
}

/**
 * Explains why a callback fails: `return penfold_error(ctx, EINVAL, "takes 0 to %d", HIGHEST);`. Returns the negative
 * of `error`, even if there is no memory for the explanation.
 */
PENFOLD_FORMAT(3, 4)
static inline int penfold_error(struct penfold_context *ctx, int error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)penfold_format(ctx, ctx->services->explain, format, arguments);
    va_end(arguments);
    return -error;
}

#endif /* PENFOLD_H */
