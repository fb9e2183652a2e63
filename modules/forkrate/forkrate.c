/*
 * forkrate: limits the forks of a cgroup in a sliding window of time
 *
 * Counts the forks (new threads count too) of a cgroup and of everything below it during the last so many
 * milliseconds. A fork that would exceed the limit of the cgroup or of any ancestor is refused: fork(2) and clone(2)
 * fail with EAGAIN.
 * A program that forks in bursts may do so. A program that forks without end is slowed to the rate of its cgroup.
 *
 * forkrate.max        The most forks in a window; "max" for no limit, which a new cgroup has. Takes "max", or a number
 *                     from 0 to 4294967295 in decimal, with 0x or in octal. A limit below the present number of forks
 *                     harms no task: it refuses until the window has passed. EINVAL for anything else; EOPNOTSUPP
 *                     where the host can't refuse forks.
 * forkrate.window_ms  The length of the window, 1 to 3600000 ms; 1000 unless written. Each cgroup has its own. EINVAL
 *                     for anything else. A fork that was counted stays counted if the new window still reaches it.
 * forkrate.current    The number of forks in the window now.
 * forkrate.events     "refused N": the refused forks that were tried in this cgroup, whichever limit refused them.
 *
 * No file is in the root, which has no limit. Nothing is inherited, because an ancestor's limit counts anyway. Only
 * forks while the controller is loaded count, and a task that is attached brings no forks along. A fork that another
 * controller refuses, or that fails in the kernel, does not count. A child for which the host could not call can_fork
 * counts, whatever the limit says.
 *
 * Precision: the window is a ring of 65 buckets, each a 64th of the window wide. A fork counts from the moment the
 * child exists, for at least one window and at most a 64th longer. So no window ever has more forks than forkrate.max,
 * and a fork may be refused up to a 64th of a window too long. To count a fork takes no memory and, but for buckets
 * that have passed, no time.
 */
#include "penfold.h"

#define BUCKETS 64
#define RING (BUCKETS + 1) /* the bucket that is being filled does not yet reach back a whole bucket */
#define NS_PER_MS 1000000u
#define DEFAULT_WINDOW 1000u
#define LONGEST_WINDOW 3600000u

/* The data that all cgroups share. */
struct forkrate {
    unsigned long limits; /* cgroups that have a limit: without any the host need not be able to refuse */
};

/* The state of one cgroup. The root has none: it has no files. */
struct group {
    struct group *parent;
    uint64_t max;
    uint64_t window_ms;
    uint64_t refused;
    uint64_t in_flight; /* forks that can_fork agreed to and whose child does not exist yet */
    uint64_t newest;    /* the bucket that is being filled, counted from the start of the clock */
    uint64_t forks;     /* the sum of the ring */
    uint32_t ring[RING];
};

static uint64_t bucket_at(const struct group *group, uint64_t now)
{
    return now / (group->window_ms * NS_PER_MS / BUCKETS);
}

/* Empties the buckets that the window has left behind. */
static void slide(struct group *group, uint64_t now)
{
    uint64_t newest = bucket_at(group, now);

    if (newest > group->newest + BUCKETS) {
        memset(group->ring, 0, sizeof group->ring);
        group->forks = 0;
        group->newest = newest;
    }
    while (group->newest < newest) {
        uint32_t *oldest = &group->ring[++group->newest % RING];
        group->forks -= *oldest;
        *oldest = 0;
    }
}

static void count(struct group *group, uint64_t bucket, uint32_t forks)
{
    group->ring[bucket % RING] += forks;
    group->forks += forks;
}

static int can_fork(struct penfold_context *ctx, int32_t parent)
{
    struct group *own = ctx->state;
    struct group *group;
    uint64_t now;

    (void)parent;
    if (own == NULL)
        return 0;
    now = ctx->services->now(ctx);
    for (group = own; group != NULL; group = group->parent) {
        slide(group, now);
        if (group->forks + group->in_flight >= group->max) {
            own->refused++;
            return -EAGAIN;
        }
    }
    for (group = own; group != NULL; group = group->parent)
        group->in_flight++;
    return 0;
}

static void cancel_fork(struct penfold_context *ctx)
{
    struct group *group;

    for (group = ctx->state; group != NULL; group = group->parent) {
        if (group->in_flight > 0)
            group->in_flight--;
    }
}

/*
 * A host that need not refuse anything does not call can_fork, so a child may come for which no fork is in flight. Such
 * a child may take the place in flight of another. The other then finds none in flight, so the sum is right in the end.
 */
static void forked(struct penfold_context *ctx, int32_t child)
{
    uint64_t now;

    (void)child;
    if (ctx->state == NULL)
        return; /* also every task that exists at load: it is in the root */
    cancel_fork(ctx);
    now = ctx->services->now(ctx);
    for (struct group *group = ctx->state; group != NULL; group = group->parent) {
        slide(group, now);
        count(group, group->newest, 1);
    }
}

/* Announces before the first limit that can_fork may refuse, and after the last limit that it may not. */
static int set_max(struct penfold_context *ctx, struct group *group, uint64_t max)
{
    struct forkrate *forkrate = ctx->module;
    unsigned long others = forkrate->limits - (group->max != PENFOLD_UNLIMITED);
    unsigned long limits = others + (max != PENFOLD_UNLIMITED);

    if ((limits > 0) != (forkrate->limits > 0)) {
        int error = ctx->services->set_refusing(ctx, limits > 0);
        if (error != 0)
            return error;
    }
    forkrate->limits = limits;
    group->max = max;
    return 0;
}

static int max_read(struct penfold_context *ctx)
{
    const struct group *group = ctx->state;

    if (group->max == PENFOLD_UNLIMITED) {
        penfold_puts(ctx, "max\n");
        return 0;
    }
    return penfold_printf(ctx, "%llu\n", (unsigned long long)group->max);
}

static int max_write(struct penfold_context *ctx, const char *text, size_t length)
{
    unsigned long long max;
    char *end;

    if (strcmp(text, "max") == 0)
        return set_max(ctx, ctx->state, PENFOLD_UNLIMITED);
    /* strtoull would take a sign, and returns its highest number for a longer one */
    max = strtoull(text, &end, 0);
    if (text[0] < '0' || text[0] > '9' || end != text + length || max > UINT32_MAX)
        return penfold_error(ctx, EINVAL, "takes 'max' or a number from 0 to %lu", (unsigned long)UINT32_MAX);
    return set_max(ctx, ctx->state, max);
}

static int window_read(struct penfold_context *ctx, uint64_t *value)
{
    const struct group *group = ctx->state;

    *value = group->window_ms;
    return 0;
}

static int window_write(struct penfold_context *ctx, uint64_t window_ms)
{
    struct group *group = ctx->state;
    uint64_t now = ctx->services->now(ctx);
    uint64_t width;
    struct group old;

    if (window_ms < 1 || window_ms > LONGEST_WINDOW)
        return penfold_error(ctx, EINVAL, "takes 1 to %u milliseconds", LONGEST_WINDOW);
    slide(group, now);
    old = *group;
    width = old.window_ms * NS_PER_MS / BUCKETS;
    group->window_ms = window_ms;
    group->newest = bucket_at(group, now);
    group->forks = 0;
    memset(group->ring, 0, sizeof group->ring);
    for (uint64_t age = 0; age <= BUCKETS && age <= old.newest; age++) {
        /* All forks of a bucket count as if at its last moment: rather a little too long than too short. */
        uint64_t last = age == 0 ? now : (old.newest - age + 1) * width - 1;
        uint64_t bucket = bucket_at(group, last);
        if (group->newest - bucket <= BUCKETS)
            count(group, bucket, old.ring[(old.newest - age) % RING]);
    }
    return 0;
}

static int current_read(struct penfold_context *ctx, uint64_t *value)
{
    struct group *group = ctx->state;

    slide(group, ctx->services->now(ctx));
    *value = group->forks;
    return 0;
}

static int events_read(struct penfold_context *ctx)
{
    const struct group *group = ctx->state;

    ctx->services->put_line(ctx, "refused", group->refused);
    return 0;
}

static int create(struct penfold_context *ctx, void **state)
{
    uint32_t parent = ctx->services->parent(ctx, ctx->css);
    struct group *group;

    if (parent == PENFOLD_NO_CSS)
        return 0;
    group = calloc(1, sizeof *group);
    if (group == NULL)
        return -ENOMEM;
    group->parent = ctx->services->state(ctx, parent);
    group->max = PENFOLD_UNLIMITED;
    group->window_ms = DEFAULT_WINDOW;
    *state = group;
    return 0;
}

static void destroy(struct penfold_context *ctx)
{
    if (ctx->state != NULL)
        (void)set_max(ctx, ctx->state, PENFOLD_UNLIMITED);
    free(ctx->state);
}

static int load(void **module)
{
    *module = calloc(1, sizeof(struct forkrate));
    return *module != NULL ? 0 : -ENOMEM;
}

static void unload(void *module)
{
    free(module);
}

static const struct penfold_file files[] = {
    { .name = "max", .place = PENFOLD_NOT_ON_ROOT, .read_text = max_read, .write_text = max_write },
    { .name = "window_ms", .place = PENFOLD_NOT_ON_ROOT, .read_u64 = window_read, .write_u64 = window_write },
    { .name = "current", .place = PENFOLD_NOT_ON_ROOT, .read_u64 = current_read },
    { .name = "events", .place = PENFOLD_NOT_ON_ROOT, .read_map = events_read },
};

const struct penfold_module penfold_module = {
    PENFOLD_MODULE_HEADER,
    .name = "forkrate",
    .version = "0.1.0",
    .summary = "Limits the forks of a cgroup in a sliding window.",
    .refusing_file = "max",
    .files = files,
    .file_count = sizeof files / sizeof *files,
    .load = load,
    .unload = unload,
    .create = create,
    .destroy = destroy,
    .can_fork = can_fork,
    .cancel_fork = cancel_fork,
    .fork = forked,
};
