/*
 * penfold.h: what a loadable controller of penfold needs, and all that it needs.
 *
 * Made from crates/module/src/abi.rs by `cargo xtask header`. Do not edit.
 *
 * A module is a shared object with one exported object, `penfold_module`. It holds constants only, so that it can be
 * read from the file without running anything of it:
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
 * Callbacks run one at a time, each on the thread of the program that needs it, which may be another one each time: a
 * module needs no locks, and must not wait. A callback gets a `struct penfold_context`, valid until it returns, through
 * which it asks for what `struct penfold_services` offers; outside of a callback, and on other threads, services refuse.
 * Callbacks that can fail return 0 or a negative errno, and must then have changed nothing; `penfold_error` says why. All
 * text is UTF-8. A pthread key that a module makes it has to delete in `unload`, or it stays mapped.
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

/** The version of this interface. A module of another version is not loaded. */
#define PENFOLD_ABI_VERSION 1

/** The size of `penfold_module.name` with the NUL that ends it. */
#define PENFOLD_NAME_SIZE 33

/** The size of `penfold_module.version` with its NUL. */
#define PENFOLD_VERSION_SIZE 32

/** The size of `penfold_module.summary` with its NUL. */
#define PENFOLD_SUMMARY_SIZE 128

/** The size of `penfold_file.name`, `penfold_rule.limit_file` and `penfold_module.refusing_file` with their NUL. */
#define PENFOLD_FILE_NAME_SIZE 64

/** `services->parent` of the root of a hierarchy. */
#define PENFOLD_NO_CSS UINT32_MAX

/** `penfold_counter.limit`: none. */
#define PENFOLD_UNLIMITED UINT64_MAX

/** `penfold_file.place`: in every directory. */
#define PENFOLD_EVERYWHERE 0

/** `penfold_file.place`: only in the root of a hierarchy. */
#define PENFOLD_ROOT_ONLY 1

/** `penfold_file.place`: everywhere but in the root. */
#define PENFOLD_NOT_ON_ROOT 2

/** `penfold_file.flags`: reads as something else than what was written, such as a count that a write resets. */
#define PENFOLD_FILE_COUNTS 1

/** `penfold_rule.resource`: living tasks; charged before a fork, moved by an attach, given back at exit. */
#define PENFOLD_TASKS 0

/** `penfold_rule.resource`: forks ever made; charged before a fork, never given back but for one that fails. */
#define PENFOLD_FORKS 1

/** `penfold_rule.resource`: CPU time in nanoseconds. Never refused. */
#define PENFOLD_CPU_TIME 2

/** `penfold_rule.resource`: sockets created. Only hosts that see socket(2) execute it. */
#define PENFOLD_SOCKETS 3

/** `services->require`: refuse a fork before the child exists. */
#define PENFOLD_NEED_FORK_VETO 0

/** `services->require`: set the CPU affinity of tasks and clamp what they set themselves. */
#define PENFOLD_NEED_AFFINITY 1

/** `services->require`: bind the memory of tasks to nodes. */
#define PENFOLD_NEED_MEMORY_NODES 2

/** `services->require`: stop tasks so that neither they nor their parents notice. */
#define PENFOLD_NEED_FREEZE 3

/** `services->require`: mark the sockets of tasks with a class. */
#define PENFOLD_NEED_SOCKET_CLASS 4

/** Who reads or writes a control file, makes a directory or attaches. */
struct penfold_caller {
    /** The asking task. */
    int32_t task;
    /** Effective user id. */
    uint32_t uid;
    /** Effective group id. */
    uint32_t gid;
    /** The permission bits that mkdir(2) clears. */
    uint32_t umask;
    /** 1 if it holds the administrator's capabilities. */
    uint32_t privileged;
};

/** A counter of one css. */
struct penfold_counter {
    /** What is charged now, descendants included. */
    uint64_t usage;
    /** The highest usage that a charge may reach; `PENFOLD_UNLIMITED` for none. */
    uint64_t limit;
    /** The highest usage ever seen. */
    uint64_t peak;
    /** Charges refused because of this counter's limit. */
    uint64_t failures;
    /** Charges refused that began here, whichever ancestor's limit refused them. */
    uint64_t refused;
};

/** CPU time in nanoseconds. */
struct penfold_cpu_time {
    /** In user mode. */
    uint64_t user;
    /** In the kernel. */
    uint64_t system;
};

/** What is known of a living task. */
struct penfold_task_facts {
    /** The thread group (process): the number of its leader. */
    int32_t group;
    /** Real user id. */
    uint32_t real_uid;
    /** Saved user id. */
    uint32_t saved_uid;
    /** 0 for tasks that may never move. */
    uint32_t movable;
    /** 1 while it is exiting. */
    uint32_t exiting;
    /** 1 while a fork of it is in flight. */
    uint32_t forking;
};

/**
 * What a callback can ask for, always with the context that it was given. A css that is none of the module's, or not
 * alive any more, is answered as if it had nothing, or with `-EINVAL`; a NULL where a pointer is needed with `-EFAULT`.
 *
 * Lists are written into `list`, at most `capacity` entries of it; the answer is how many there are.
 */
struct penfold_services {
    /** What `penfold_module.create` gave for a css. */
    void *(*state)(struct penfold_context *ctx, uint32_t css);
    /** The parent, `PENFOLD_NO_CSS` for the root of a hierarchy. */
    uint32_t (*parent)(struct penfold_context *ctx, uint32_t css);
    /** The children, in the order of their creation. */
    size_t (*children)(struct penfold_context *ctx, uint32_t css, uint32_t *list, size_t capacity);
    /** The tasks that are members of the css's cgroup itself, ascending. */
    size_t (*tasks)(struct penfold_context *ctx, uint32_t css, int32_t *list, size_t capacity);
    /** 1 if the css's cgroup itself has any member. */
    int (*has_tasks)(struct penfold_context *ctx, uint32_t css);
    /** The bytes of the path from the root of the hierarchy, without a NUL. */
    size_t (*path)(struct penfold_context *ctx, uint32_t css, char *text, size_t capacity);
    /** The flags that the hierarchy was mounted with: 1 `noprefix`, 2 `xattr`, 4 `cpuset_v2_mode`, 8 `favordynmods`. */
    uint32_t (*hierarchy_flags)(struct penfold_context *ctx, uint32_t css);
    /** The counter of a css for the module's rule number `rule`. */
    int (*counter)(struct penfold_context *ctx, uint32_t css, uint32_t rule, struct penfold_counter *counter);
    /** Sets a counter's limit; the usage may already exceed it. `-EOPNOTSUPP` where the host can't enforce it. */
    int (*set_limit)(struct penfold_context *ctx, uint32_t css, uint32_t rule, uint64_t limit);
    /** Sets a counter's peak back to its usage. */
    int (*reset_peak)(struct penfold_context *ctx, uint32_t css, uint32_t rule);
    /**
     * Says whether the module's `can_fork` may refuse from now on; it may not at load. `-EOPNOTSUPP` where the host
     * can't refuse forks.
     */
    int (*set_refusing)(struct penfold_context *ctx, int refusing);
    /** The CPU time charged to a css, descendants included, for each CPU. */
    size_t (*cpu_usage)(struct penfold_context *ctx,
                        uint32_t css,
                        struct penfold_cpu_time *list,
                        size_t capacity);
    /** Forgets the CPU time charged to a css; not that of its parent or children. */
    int (*reset_cpu_usage)(struct penfold_context *ctx, uint32_t css);
    /** Who asks: 1 and `caller` filled, or 0 in fork, exit and bind. */
    int (*caller)(struct penfold_context *ctx, struct penfold_caller *caller);
    /** The supplementary groups of who asks. */
    size_t (*caller_groups)(struct penfold_context *ctx, uint32_t *list, size_t capacity);
    /** Can the host do this (`PENFOLD_NEED_...`)? 0, or `-EOPNOTSUPP` with its reason as the explanation. */
    int (*require)(struct penfold_context *ctx, uint32_t need);
    /** The facts of a task: 0, or `-ESRCH`. */
    int (*task)(struct penfold_context *ctx, int32_t task, struct penfold_task_facts *facts);
    /** The threads of a process that are not exiting, its leader first. */
    size_t (*threads)(struct penfold_context *ctx, int32_t group, int32_t *list, size_t capacity);
    /** Nanoseconds of a clock that never goes back. */
    uint64_t (*now)(struct penfold_context *ctx);
    /** The CPUs that are online, as words of a bit mask, lowest first. */
    size_t (*cpus)(struct penfold_context *ctx, uint64_t *list, size_t capacity);
    /** The memory nodes that are online, likewise. */
    size_t (*memory_nodes)(struct penfold_context *ctx, uint64_t *list, size_t capacity);
    /** One more than the highest CPU number that a list may name. */
    size_t (*cpu_limit)(struct penfold_context *ctx);
    /** One more than the highest node number that a list may name. */
    size_t (*node_limit)(struct penfold_context *ctx);
    /** Restricts a task to the CPUs of a mask of `words` words. */
    int (*set_affinity)(struct penfold_context *ctx, int32_t task, const uint64_t *cpus, size_t words);
    /** Binds a task's future memory to the nodes `to` and, with `migrate`, moves what it has on `from`. */
    int (*set_memory_nodes)(struct penfold_context *ctx,
                            int32_t task,
                            const uint64_t *from,
                            size_t from_words,
                            const uint64_t *to,
                            size_t to_words,
                            int migrate);
    /** Starts to stop a task. Asking twice is harmless. */
    void (*freeze)(struct penfold_context *ctx, int32_t task);
    /** Lets a frozen task go on. */
    void (*thaw)(struct penfold_context *ctx, int32_t task);
    /** 1 once a task that `freeze` was called for can't run any more. */
    int (*is_frozen)(struct penfold_context *ctx, int32_t task);
    /** Gives the sockets of a task this class, those it has and those it will make; 0 is "unclassified". */
    int (*set_socket_class)(struct penfold_context *ctx, int32_t task, uint32_t class_id);
    /** Sends a signal to one task. */
    int (*signal)(struct penfold_context *ctx, int32_t task, int signal);
    /** Adds text to what is read, in `read_text`. */
    void (*put)(struct penfold_context *ctx, const char *text, size_t length);
    /** Adds a line to what is read, in `read_map`. `key` ends with a NUL. */
    void (*put_line)(struct penfold_context *ctx, const char *key, uint64_t value);
    /** Says why the callback is going to return an error. */
    void (*explain)(struct penfold_context *ctx, const char *text, size_t length);
    /** Writes a line to the log of the program that has loaded the module, under the module's name. */
    void (*log)(struct penfold_context *ctx, const char *text, size_t length);
    /**
     * Says that the callback has failed in a way that its author did not mean, as a panic. It is reported under the
     * module's name, and the callback answers `-EIO` if it can.
     */
    void (*failed)(struct penfold_context *ctx, const char *text, size_t length);
};

/** What a callback is about. Valid until the callback returns; none of it may be changed. */
struct penfold_context {
    /** What the callback can ask for. */
    const struct penfold_services *services;
    /** The loader's own. */
    void *engine;
    /** What `penfold_module.load` gave. */
    void *module;
    /** What `penfold_module.create` gave for `ctx->css`; NULL in `create` itself. */
    void *state;
    /**
     * The css (the module's state in one cgroup) that the call is about. In `can_attach`, `cancel_attach` and `attach`
     * it is where the first task goes.
     */
    uint32_t css;
    /** The number of the control file, in the order of `penfold_module.files`. */
    uint32_t file;
    /** `penfold_file.private_value` of the control file. */
    uint64_t private_value;
};

/**
 * One control file. At most one `read_...` and one of `write_...` and `trigger` may be given; without, the file can't
 * be read or written (`EINVAL`). One write is one command.
 */
struct penfold_file {
    /** The name without the module's prefix. */
    char name[PENFOLD_FILE_NAME_SIZE];
    /** Permission bits; 0 for those that follow from what the file can do (0444 to read plus 0200 to write). */
    uint32_t mode;
    /** `PENFOLD_EVERYWHERE`, `PENFOLD_ROOT_ONLY` or `PENFOLD_NOT_ON_ROOT`. */
    uint32_t place;
    /** The longest write in bytes, more is `E2BIG`; 0 for one page. */
    uint32_t max_write;
    /** `PENFOLD_FILE_COUNTS` or 0. */
    uint32_t flags;
    /** A value that the handlers find in `ctx->private_value`, so that files can share one. */
    uint64_t private_value;
    /** Read as a number. */
    int (*read_u64)(struct penfold_context *ctx, uint64_t *value);
    /** Read as a signed number. */
    int (*read_s64)(struct penfold_context *ctx, int64_t *value);
    /** Read as lines of `key value`, each given to `services->put_line`. */
    int (*read_map)(struct penfold_context *ctx);
    /** Read as text, given to `services->put` in any number of pieces. */
    int (*read_text)(struct penfold_context *ctx);
    /** Written as a number: decimal, 0x or octal. */
    int (*write_u64)(struct penfold_context *ctx, uint64_t value);
    /** Written as a signed number. */
    int (*write_s64)(struct penfold_context *ctx, int64_t value);
    /** Written as text, without white space at both ends; a NUL follows after `length` bytes. */
    int (*write_text)(struct penfold_context *ctx, const char *text, size_t length);
    /** Written with whatever content. */
    int (*trigger)(struct penfold_context *ctx);
};

/** One task that moves from one css to another. */
struct penfold_migration {
    /** The task: the number of a thread. */
    int32_t task;
    /** Where it is. */
    uint32_t from;
    /** Where it goes. */
    uint32_t to;
};

/** A charge rule: gives every css one counter, charged up the hierarchy. The engine executes it, not the module. */
struct penfold_rule {
    /** `PENFOLD_TASKS`, `PENFOLD_FORKS`, `PENFOLD_CPU_TIME` or `PENFOLD_SOCKETS`. */
    uint32_t resource;
    /** What the caller is told when a limit refuses, as a positive errno; 0 for `EAGAIN`. */
    int32_t refusal;
    /** The control file that sets the limit, to name it in messages; may be empty. */
    char limit_file[PENFOLD_FILE_NAME_SIZE];
};

/**
 * The description of a module. `create` and `destroy` are mandatory; every other callback may be NULL, and then costs
 * nothing.
 */
struct penfold_module {
    /** `PENFOLD_ABI_VERSION` */
    uint32_t abi_version;
    /** `sizeof(struct penfold_module)` */
    uint32_t module_size;
    /** `sizeof(struct penfold_file)` */
    uint32_t file_size;
    /** `sizeof(struct penfold_rule)` */
    uint32_t rule_size;
    /** `sizeof(struct penfold_context)` */
    uint32_t context_size;
    /** `sizeof(struct penfold_services)` */
    uint32_t services_size;
    /** The name of the controller: 1 to 32 letters, digits, `_` and `-`; also the prefix of its files. */
    char name[PENFOLD_NAME_SIZE];
    /** The module's own version, for people. */
    char version[PENFOLD_VERSION_SIZE];
    /** What it does, in a line. */
    char summary[PENFOLD_SUMMARY_SIZE];
    /** The control file that makes `can_fork` refuse, to name it in events; may be empty. */
    char refusing_file[PENFOLD_FILE_NAME_SIZE];
    /** The control files. */
    const struct penfold_file *files;
    /** How many. */
    uint32_t file_count;
    /** How many charge rules. */
    uint32_t rule_count;
    /** The charge rules. */
    const struct penfold_rule *rules;
    /** Before anything else: makes what is one for all cgroups, to be found in `ctx->module`. */
    int (*load)(void **module);
    /** After everything else. */
    void (*unload)(void *module);
    /** Makes the state of a new cgroup; without a parent, of the root at load. */
    int (*create)(struct penfold_context *ctx, void **state);
    /** Frees a state: after rmdir, after a mkdir that failed elsewhere, at unload. */
    void (*destroy)(struct penfold_context *ctx);
    /** Before rmdir, and for the last state before unload, which then fail with its error; may run more than once. */
    int (*pre_destroy)(struct penfold_context *ctx);
    /** May these tasks move? A yes stays valid until `attach` or `cancel_attach`. Never asked on fork. */
    int (*can_attach)(struct penfold_context *ctx, const struct penfold_migration *tasks, size_t count);
    /** The move that `can_attach` had agreed to does not happen. */
    void (*cancel_attach)(struct penfold_context *ctx, const struct penfold_migration *tasks, size_t count);
    /** The tasks have moved. */
    void (*attach)(struct penfold_context *ctx, const struct penfold_migration *tasks, size_t count);
    /** May `parent` fork? One that may say no has to announce it with `services->set_refusing`. */
    int (*can_fork)(struct penfold_context *ctx, int32_t parent);
    /** The fork that `can_fork` had agreed to does not happen. */
    void (*cancel_fork)(struct penfold_context *ctx);
    /** A child exists and has not run yet. Also called once for every task that exists at load. */
    void (*fork)(struct penfold_context *ctx, int32_t child);
    /**
     * A task has died, told by the number that it has then: a thread that executes a program goes on under its process's
     * number, after the death of the leader who had that was told, and of the thread's own nothing is told any more.
     */
    void (*exit)(struct penfold_context *ctx, int32_t task);
    /** After `create`, where the parent has `cgroup.clone_children` set. */
    void (*post_clone)(struct penfold_context *ctx);
    /** Moved to another hierarchy, or back to where unbound controllers live; the call is about the new root. */
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
 * another one refuses the module and says both versions. (In C++ designated initializers need C++20.)
 */
#define PENFOLD_MODULE_HEADER                                                                                       \
    .abi_version = PENFOLD_ABI_VERSION, .module_size = sizeof(struct penfold_module),                               \
    .file_size = sizeof(struct penfold_file), .rule_size = sizeof(struct penfold_rule),                             \
    .context_size = sizeof(struct penfold_context), .services_size = sizeof(struct penfold_services)

#ifdef __cplusplus
extern "C" {
#endif

/** The description, which the module defines. Declared here so that it is exported also with -fvisibility=hidden. */
extern PENFOLD_EXPORT const struct penfold_module penfold_module;

#ifdef __cplusplus
}
#endif

/** Formats and hands the text to one of the services that take text. Text of up to 255 bytes needs no heap. */
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

/** In `read_text`: adds text, formatted as by printf(3). 0, `-ENOMEM`, or `-EINVAL` for what can't be formatted. */
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

/** Writes a line to the log of the program that has loaded the module. Answers as `penfold_printf`. */
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
 * Says why a callback fails, for `return penfold_error(ctx, EINVAL, "takes 0 to %d", HIGHEST);`. The answer is the
 * negative of `error`, also if there is no memory for the explanation.
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
