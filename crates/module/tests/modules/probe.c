/*
 * A module for tests, varied by macros. Its files:
 *
 * - value: any number, kept for each cgroup
 * - root: only in roots
 * - stats: a map with the numbers of its callbacks
 * - poke: a trigger that counts
 * - odd: refuses even numbers
 * - slow: takes that many milliseconds
 */
#include "penfold.h"

#include <time.h>
#include <unistd.h>

#ifndef NAME
#define NAME "probe"
#endif
#ifndef VERSION
#define VERSION "1.2.3"
#endif
#ifndef SUMMARY
#define SUMMARY "a module for tests"
#endif
#ifndef LINKAGE
#define LINKAGE static
#endif

struct state {
    uint64_t value;
    uint64_t pokes;
    uint64_t forks;
    uint64_t exits;
    uint64_t attached;
};

#ifdef CONSTRUCTOR
/* makes a file, which proves that code of this module has run */
__attribute__((constructor)) static void constructed(void)
{
    FILE *file = fopen(CONSTRUCTOR, "w");
    if (file)
        fclose(file);
}
#endif

#ifdef LOAD
LINKAGE int load(void **module)
{
    (void)module;
    return LOAD;
}
#endif

LINKAGE int create(struct penfold_context *ctx, void **state)
{
#ifdef CREATE_ROOT
    if (ctx->services->parent(ctx, ctx->css) == PENFOLD_NO_CSS)
        return -CREATE_ROOT;
#endif
#ifdef CREATE
    if (ctx->services->parent(ctx, ctx->css) != PENFOLD_NO_CSS)
        return penfold_error(ctx, CREATE, "create was told to fail");
#endif
    (void)ctx;
    *state = calloc(1, sizeof(struct state));
    return *state ? 0 : -ENOMEM;
}

LINKAGE void destroy(struct penfold_context *ctx)
{
#ifdef GONE
    FILE *file = ctx->services->parent(ctx, ctx->css) == PENFOLD_NO_CSS ? fopen(GONE, "w") : NULL;
    if (file)
        fclose(file);
#endif
    free(ctx->state);
}

LINKAGE int value_read(struct penfold_context *ctx, uint64_t *value)
{
    *value = ((struct state *)ctx->state)->value;
    return 0;
}

LINKAGE int value_write(struct penfold_context *ctx, uint64_t value)
{
    ((struct state *)ctx->state)->value = value;
    return 0;
}

LINKAGE int odd_write(struct penfold_context *ctx, uint64_t value)
{
    if (value % 2 == 0)
        return penfold_error(ctx, ERANGE, "%llu is even", (unsigned long long)value);
    return value_write(ctx, value);
}

LINKAGE int slow_write(struct penfold_context *ctx, uint64_t milliseconds)
{
    struct timespec time = { (time_t)(milliseconds / 1000), (long)(milliseconds % 1000) * 1000000 };
    (void)ctx;
    /* a signal of the program may come between */
    while (nanosleep(&time, &time) && errno == EINTR)
        continue;
    return 0;
}

LINKAGE int stats_read(struct penfold_context *ctx)
{
    struct state *state = ctx->state;
    ctx->services->put_line(ctx, "pokes", state->pokes);
    ctx->services->put_line(ctx, "forks", state->forks);
    ctx->services->put_line(ctx, "exits", state->exits);
    ctx->services->put_line(ctx, "attached", state->attached);
    return 0;
}

LINKAGE int poke(struct penfold_context *ctx)
{
    ((struct state *)ctx->state)->pokes++;
    return 0;
}

LINKAGE int root_read(struct penfold_context *ctx)
{
    penfold_puts(ctx, "root\n");
    return 0;
}

LINKAGE void attach(struct penfold_context *ctx, const struct penfold_migration *tasks, size_t count)
{
    (void)tasks;
    ((struct state *)ctx->state)->attached += count;
}

#ifdef EVENTS
LINKAGE void forked(struct penfold_context *ctx, int32_t child)
{
    (void)child;
    ((struct state *)ctx->state)->forks++;
}

LINKAGE void exited(struct penfold_context *ctx, int32_t task)
{
    (void)task;
    ((struct state *)ctx->state)->exits++;
}
#endif

#ifdef FUNCTIONS
FUNCTIONS
#endif

LINKAGE const struct penfold_file files[] = {
    { .name = "value", .read_u64 = value_read, .write_u64 = value_write },
    { .name = "root", .place = PENFOLD_ROOT_ONLY, .read_text = root_read },
    { .name = "stats", .read_map = stats_read },
    { .name = "poke", .mode = 0200, .trigger = poke },
    { .name = "odd", .flags = PENFOLD_FILE_COUNTS, .read_u64 = value_read, .write_u64 = odd_write },
    { .name = "slow", .write_u64 = slow_write },
#ifdef FILES
    FILES
#endif
};

LINKAGE const struct penfold_rule rules[] = {
    { .resource = PENFOLD_TASKS, .limit_file = "value" },
};

#ifndef NO_SYMBOL
const struct penfold_module penfold_module = {
    PENFOLD_MODULE_HEADER,
    .name = NAME,
    .version = VERSION,
    .summary = SUMMARY,
    .files = files,
    .file_count = sizeof files / sizeof *files,
#ifdef RULES
    .rules = rules,
    .rule_count = 1,
#endif
#ifdef LOAD
    .load = load,
#endif
    .create = create,
    .destroy = destroy,
    .attach = attach,
#ifdef EVENTS
    .fork = forked,
    .exit = exited,
#endif
#ifdef MORE
    MORE
#endif
};
#else
const int something_else = 1;
#endif
