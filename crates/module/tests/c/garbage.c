/*
 * A module with every fault that penfold can detect. Files set the answers of its callbacks, macros vary its
 * description.
 */
#include "penfold.h"

#ifndef NAME
#define NAME "garbage"
#endif
#ifndef VERSION
#define VERSION PENFOLD_ABI_VERSION
#endif
#ifndef FILES
#define FILES FILE_TEXT, FILE_MAP, FILE_ANSWER, FILE_MANY
#endif
#ifndef COUNT
#define COUNT (sizeof files / sizeof *files)
#endif
#ifndef TABLE
#define TABLE files
#endif
#ifndef MORE
#define MORE
#endif
#ifndef CREATE
#define CREATE create
#endif
#ifndef SYMBOL
#define SYMBOL penfold_module
#endif

static int answer;

static int create(struct penfold_context *ctx, void **state)
{
    /* the root gets an invalid pointer: only this module may ever follow it */
    (void)ctx;
    *state = (void *)0x10;
    return ctx->services->parent(ctx, ctx->css) == PENFOLD_NO_CSS ? 0 : answer;
}

static void destroy(struct penfold_context *ctx)
{
    /* a rule that does not exist, and content outside of a read */
    ctx->services->set_limit(ctx, ctx->css, 7, 1);
    ctx->services->put(ctx, "nobody reads", 12);
}

static int can_attach(struct penfold_context *ctx, const struct penfold_migration *tasks, size_t count)
{
    (void)ctx;
    (void)tasks;
    (void)count;
    return answer;
}

static int can_fork(struct penfold_context *ctx, int32_t parent)
{
    (void)ctx;
    (void)parent;
    return answer;
}

static int pre_destroy(struct penfold_context *ctx)
{
    (void)ctx;
    return answer;
}

static int answer_write(struct penfold_context *ctx, int64_t value)
{
    answer = (int)value;
    return ctx->services->set_refusing(ctx, value != 0);
}

static int text_read(struct penfold_context *ctx)
{
    ctx->services->put(ctx, "a\xff\xfe", 3);
    ctx->services->put(ctx, NULL, 1000);
    return answer;
}

static int map_read(struct penfold_context *ctx)
{
    ctx->services->put_line(ctx, "key \xc3\x28", 1);
    ctx->services->put_line(ctx, NULL, 2);
    return answer;
}

/* a text with NULs, an explanation that is no UTF-8, a failure without an error */
static int many_read(struct penfold_context *ctx)
{
    char text[4096];

    memset(text, 0, sizeof text);
    for (int at = 0; at < 100; at++)
        ctx->services->put(ctx, text, sizeof text);
    ctx->services->explain(ctx, "why \xff not", 9);
    ctx->services->explain(ctx, NULL, 9);
    if (answer)
        ctx->services->failed(ctx, "fell \xff over", 11);
    return 0;
}

/* not defined anywhere: a file that needs it can't be mapped */
extern int nowhere(void **module);

static uint64_t scratch;

static int none_read(struct penfold_context *ctx, uint64_t *value)
{
    (void)ctx;
    *value = scratch;
    return 0;
}

#define FILE_TEXT { .name = "text", .read_text = text_read }
#define FILE_MAP { .name = "map", .read_map = map_read }
#define FILE_ANSWER { .name = "answer", .write_s64 = answer_write }
#define FILE_MANY { .name = "many", .read_text = many_read }

static const struct penfold_file files[] = { FILES };

struct unaligned {
    char before;
    struct penfold_file files[1];
} __attribute__((packed));

__attribute__((used, aligned(16))) static const struct unaligned unaligned = {
    0, { { .name = "unaligned", .read_u64 = none_read } },
};

__attribute__((visibility("default"))) extern const struct penfold_module SYMBOL;
const struct penfold_module SYMBOL = {
    PENFOLD_MODULE_HEADER,
    .name = NAME,
    .version = "0",
    .summary = "wrong",
    .files = TABLE,
    .file_count = COUNT,
    .create = CREATE,
    .destroy = destroy,
    .pre_destroy = pre_destroy,
    .can_attach = can_attach,
    .can_fork = can_fork,
    MORE
};
