/* forkbudget: how many forks a cgroup may ever make. The example on the front page of the crate. */
#include "penfold.h"

#define FORKS 0 /* the index of the charge rule */

/* The state of a cgroup: the task that was born there last. */
static int create(struct penfold_context *ctx, void **state)
{
    (void)ctx;
    *state = calloc(1, sizeof(int32_t));
    return *state != NULL ? 0 : -ENOMEM;
}

static void destroy(struct penfold_context *ctx)
{
    free(ctx->state);
}

static void forked(struct penfold_context *ctx, int32_t child)
{
    *(int32_t *)ctx->state = child;
}

static int max_write(struct penfold_context *ctx, uint64_t max)
{
    if (max > 1000000)
        return penfold_error(ctx, EINVAL, "takes a number up to 1000000");
    return ctx->services->set_limit(ctx, ctx->css, FORKS, max);
}

static int used_read(struct penfold_context *ctx, uint64_t *used)
{
    struct penfold_counter counter;
    int error = ctx->services->counter(ctx, ctx->css, FORKS, &counter);

    *used = counter.usage;
    return error;
}

static int newest_read(struct penfold_context *ctx, int64_t *task)
{
    *task = *(int32_t *)ctx->state;
    return 0;
}

static const struct penfold_rule rules[] = {
    { .resource = PENFOLD_FORKS, .limit_file = "max" },
};

static const struct penfold_file files[] = {
    { .name = "max", .place = PENFOLD_NOT_ON_ROOT, .write_u64 = max_write },
    { .name = "used", .read_u64 = used_read },
    { .name = "newest", .read_s64 = newest_read },
};

const struct penfold_module penfold_module = {
    PENFOLD_MODULE_HEADER,
    .name = "forkbudget",
    .version = "0.1.0",
    .summary = "limits how many forks a cgroup may ever make",
    .files = files,
    .file_count = sizeof files / sizeof *files,
    .rule_count = sizeof rules / sizeof *rules,
    .rules = rules,
    .create = create,
    .destroy = destroy,
    .fork = forked,
};
