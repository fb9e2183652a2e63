/*
 * A controller for tests that counts its callbacks, and the callbacks that should not have been. Macros vary it:
 *
 * - NAME: its name
 * - LOG: a file that gets a line for each load, create, destroy, pre_destroy, bind and unload
 * - SLOW, SLOW_END: the milliseconds that its load and its unload take
 * - GO: the file that its `hang` waits for
 * - REFUSE: the answer of its load
 * - FAIL: the number of the create that fails; the first is 1
 * - FORKS, EXITS, VETO, MOVES, KEEP, BIND, CLONE: it has these callbacks
 * - RULE: it has a charge rule on tasks
 *
 * The data that all cgroups share is static on purpose, as authors in C have it: so a second load of the same mapping
 * shows.
 */
#define _GNU_SOURCE
#include "penfold.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#ifndef NAME
#define NAME "witness"
#endif
#ifndef FAIL
#define FAIL 0
#endif
#ifndef GO
#define GO "/"
#endif
#ifndef SLOW
#define SLOW 0
#endif
#ifndef SLOW_END
#define SLOW_END 0
#endif

#define MARK 0x57a7e57a7e57a7e5u
#define TASKS (1 << 22)

struct state {
    uint64_t mark;
    uint64_t value;
    uint64_t forks, exits;
};

static struct {
    int loads;
    /* by thread id: 1 between the task's fork and its exit */
    unsigned char *alive;
    uint64_t states, creates, forks, exits, moves, asked, cancelled, binds;
    /* a second fork of a task, an exit without a fork, two callbacks at once and every other fault */
    uint64_t twice, unknown, wrong;
    uint64_t fail;
    int refuse, keep;
} own;

static void note(const char *what, const struct penfold_context *ctx)
{
#ifdef LOG
    int file = open(LOG, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    if (ctx)
        dprintf(file, "%s %u\n", what, ctx->css);
    else
        dprintf(file, "%s\n", what);
    close(file);
#else
    (void)what;
    (void)ctx;
#endif
}

static int inside;

static int enter(void)
{
    if (__atomic_fetch_add(&inside, 1, __ATOMIC_SEQ_CST))
        __atomic_add_fetch(&own.wrong, 1, __ATOMIC_SEQ_CST);
    return 0;
}

static void leave(int *none)
{
    (void)none;
    __atomic_sub_fetch(&inside, 1, __ATOMIC_SEQ_CST);
}

/* Begins a callback: no other may run on any thread until it returns. */
#define ALONE int alone __attribute__((cleanup(leave), unused)) = enter()

static struct state *state_of(struct penfold_context *ctx)
{
    struct state *state = ctx->state;

    if (ctx->module != &own || !state || state->mark != MARK)
        own.wrong++;
    return state;
}

static void rest(uint64_t milliseconds)
{
    struct timespec time = { (time_t)(milliseconds / 1000), (long)(milliseconds % 1000) * 1000000L };

    /* a signal of the program may come between */
    while (nanosleep(&time, &time) && errno == EINTR)
        continue;
}

static int load(void **module)
{
    rest(SLOW);
    if (own.loads++)
        return -EBADFD;
#ifdef REFUSE
    return REFUSE;
#endif
    own.fail = FAIL;
    /* not from malloc, which may keep memory resident after a free: a test measures the memory of the process */
    own.alive = mmap(NULL, TASKS, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *module = &own;
    note("load", NULL);
    return own.alive != MAP_FAILED ? 0 : -ENOMEM;
}

static void unload(void *module)
{
    rest(SLOW_END);
    note(module == &own && own.states == 0 ? "unload" : "unload with states", NULL);
    munmap(own.alive, TASKS);
}

static int create(struct penfold_context *ctx, void **state)
{
    ALONE;
    struct state *made;

    note("create", ctx);
    own.creates++;
#ifdef RULE
    ctx->services->set_limit(ctx, ctx->css, 0, 1000000);
#endif
    if (own.fail && --own.fail == 0)
        return penfold_error(ctx, ENOMEM, "create was told to fail");
    made = calloc(1, sizeof *made);
    if (!made)
        return -ENOMEM;
    made->mark = MARK;
    own.states++;
    *state = made;
    return 0;
}

static void destroy(struct penfold_context *ctx)
{
    ALONE;
    struct state *state = state_of(ctx);

    note("destroy", ctx);
    if (state) {
        state->mark = 0;
        own.states--;
        free(state);
    }
}

#ifdef KEEP
static int pre_destroy(struct penfold_context *ctx)
{
    ALONE;
    state_of(ctx);
    note("pre_destroy", ctx);
    return own.keep ? penfold_error(ctx, EBUSY, "something still uses it") : 0;
}
#endif

#ifdef MOVES
static int can_attach(struct penfold_context *ctx, const struct penfold_migration *tasks, size_t count)
{
    ALONE;
    for (size_t at = 0; at < count; at++)
        if (!ctx->services->state(ctx, tasks[at].from) || !ctx->services->state(ctx, tasks[at].to))
            own.wrong++;
    return 0;
}

static void attach(struct penfold_context *ctx, const struct penfold_migration *tasks, size_t count)
{
    ALONE;
    (void)tasks;
    state_of(ctx);
    own.moves += count;
}
#endif

#ifdef VETO
static int can_fork(struct penfold_context *ctx, int32_t parent)
{
    ALONE;
    (void)parent;
    state_of(ctx);
    own.asked++;
    return own.refuse ? -EAGAIN : 0;
}

static void cancel_fork(struct penfold_context *ctx)
{
    ALONE;
    state_of(ctx);
    own.cancelled++;
}
#endif

#ifdef FORKS
static void told_fork(struct penfold_context *ctx, int32_t child)
{
    ALONE;
    state_of(ctx)->forks++;
    own.forks++;
    if (child <= 0 || child >= TASKS)
        own.wrong++;
    else if (own.alive[child]++)
        own.twice++;
}
#endif

#ifdef EXITS
static void told_exit(struct penfold_context *ctx, int32_t task)
{
    ALONE;
    state_of(ctx)->exits++;
    own.exits++;
    if (task <= 0 || task >= TASKS)
        own.wrong++;
    else if (own.alive[task] != 1)
        own.unknown++;
    else
        own.alive[task] = 0;
}
#endif

#ifdef CLONE
static void post_clone(struct penfold_context *ctx)
{
    ALONE;
    struct state *parent = ctx->services->state(ctx, ctx->services->parent(ctx, ctx->css));

    state_of(ctx)->value = parent ? parent->value : 0;
}
#endif

#ifdef BIND
static void told_bind(struct penfold_context *ctx)
{
    ALONE;
    state_of(ctx);
    note("bind", ctx);
    own.binds++;
}
#endif

static int value_read(struct penfold_context *ctx, uint64_t *value)
{
    ALONE;
    *value = state_of(ctx)->value;
    return 0;
}

static int value_write(struct penfold_context *ctx, uint64_t value)
{
    ALONE;
    state_of(ctx)->value = value;
    return 0;
}

static int told_read(struct penfold_context *ctx)
{
    ALONE;
    const struct {
        const char *key;
        uint64_t value;
    } lines[] = {
        { "states", own.states }, { "creates", own.creates },     { "forks", own.forks }, { "exits", own.exits },
        { "moves", own.moves },   { "asked", own.asked },         { "cancelled", own.cancelled },
        { "binds", own.binds },   { "twice", own.twice },         { "unknown", own.unknown },
        { "wrong", own.wrong },
    };

    state_of(ctx);
    for (size_t at = 0; at < sizeof lines / sizeof *lines; at++)
        ctx->services->put_line(ctx, lines[at].key, lines[at].value);
    return 0;
}

/* the counts of this cgroup alone; `absent` is the number of members without a fork callback */
static int here_read(struct penfold_context *ctx)
{
    ALONE;
    struct state *state = state_of(ctx);
    size_t count = ctx->services->tasks(ctx, ctx->css, NULL, 0);
    int32_t *tasks = calloc(count + 1, sizeof *tasks);
    uint64_t absent = 0;

    if (!tasks)
        return -ENOMEM;
    ctx->services->tasks(ctx, ctx->css, tasks, count);
    for (size_t at = 0; at < count; at++)
        if (tasks[at] <= 0 || tasks[at] >= TASKS || !own.alive[tasks[at]])
            absent++;
    free(tasks);
    ctx->services->put_line(ctx, "tasks", count);
    ctx->services->put_line(ctx, "absent", absent);
    ctx->services->put_line(ctx, "forks", state->forks);
    ctx->services->put_line(ctx, "exits", state->exits);
    return 0;
}

/* sets a number for all cgroups; private_value says which */
static int knob_write(struct penfold_context *ctx, uint64_t value)
{
    ALONE;
    switch (ctx->private_value) {
    case 1:
        own.refuse = value != 0;
        return ctx->services->set_refusing(ctx, own.refuse);
    case 2:
        own.keep = value != 0;
        return 0;
    case 3:
        own.fail = value;
        return 0;
    case 5:
        /* waits until the file exists, at most so many seconds */
        for (uint64_t waited = 0; access(GO, F_OK); waited += 10) {
            if (waited > value * 1000)
                return -ETIMEDOUT;
            rest(10);
        }
        return 0;
    default:
        rest(value);
        return 0;
    }
}

#ifdef RULE
static int usage_read(struct penfold_context *ctx, uint64_t *value)
{
    ALONE;
    struct penfold_counter counter;
    int answer = ctx->services->counter(ctx, ctx->css, 0, &counter);

    *value = counter.usage;
    return answer;
}

static int max_write(struct penfold_context *ctx, uint64_t value)
{
    ALONE;
    return ctx->services->set_limit(ctx, ctx->css, 0, value);
}

static const struct penfold_rule rules[] = { { .resource = PENFOLD_TASKS, .limit_file = "max" } };
#endif

static const struct penfold_file files[] = {
    { .name = "value", .read_u64 = value_read, .write_u64 = value_write },
    { .name = "told", .read_map = told_read },
    { .name = "here", .read_map = here_read },
    { .name = "refuse", .write_u64 = knob_write, .private_value = 1 },
    { .name = "keep", .write_u64 = knob_write, .private_value = 2 },
    { .name = "fail", .write_u64 = knob_write, .private_value = 3 },
    { .name = "sleep", .write_u64 = knob_write, .private_value = 4 },
    { .name = "hang", .write_u64 = knob_write, .private_value = 5 },
#ifdef RULE
    { .name = "usage", .read_u64 = usage_read },
    { .name = "max", .write_u64 = max_write },
#endif
};

const struct penfold_module penfold_module = {
    PENFOLD_MODULE_HEADER,
    .name = NAME,
    .version = "1.0",
    .summary = "counts its callbacks",
    .files = files,
    .file_count = sizeof files / sizeof *files,
#ifdef RULE
    .rules = rules,
    .rule_count = 1,
#endif
    .load = load,
    .unload = unload,
    .create = create,
    .destroy = destroy,
#ifdef KEEP
    .pre_destroy = pre_destroy,
#endif
#ifdef MOVES
    .can_attach = can_attach,
    .attach = attach,
#endif
#ifdef VETO
    .can_fork = can_fork,
    .cancel_fork = cancel_fork,
#endif
#ifdef FORKS
    .fork = told_fork,
#endif
#ifdef EXITS
    .exit = told_exit,
#endif
#ifdef CLONE
    .post_clone = post_clone,
#endif
#ifdef BIND
    .bind = told_bind,
#endif
};
