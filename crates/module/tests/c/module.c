/* A description as authors write it. It must compile without a warning, as C99 and as C++20. */
#include "penfold.h"
#include "penfold.h" /* a second time: the guard works */

static int create(struct penfold_context *ctx, void **state)
{
    if (ctx->services->parent(ctx, ctx->css) == PENFOLD_NO_CSS)
        return penfold_log(ctx, "abi %d", PENFOLD_ABI_VERSION);
    *state = calloc(1, sizeof(uint64_t));
    return *state != NULL ? 0 : -ENOMEM;
}

static void destroy(struct penfold_context *ctx)
{
    free(ctx->state);
}

static int value_write(struct penfold_context *ctx, uint64_t value)
{
    if (value == PENFOLD_UNLIMITED)
        return penfold_error(ctx, EINVAL, "takes anything but %llu", (unsigned long long)value);
    *(uint64_t *)ctx->state = value;
    return 0;
}

static const struct penfold_file files[] = {
    { .name = "value", .place = PENFOLD_NOT_ON_ROOT, .write_u64 = value_write },
};

static const struct penfold_rule rules[] = {
    { .resource = PENFOLD_TASKS, .refusal = EAGAIN, .limit_file = "value" },
};

const struct penfold_module penfold_module = {
    PENFOLD_MODULE_HEADER,
    .name = "example",
    .version = "0.1.0",
    .files = files,
    .file_count = sizeof files / sizeof *files,
    .rule_count = sizeof rules / sizeof *rules,
    .rules = rules,
    .create = create,
    .destroy = destroy,
};
