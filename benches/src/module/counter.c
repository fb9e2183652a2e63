/* A module that counts forks and exits, or nothing without the macro TOLD. A callback's cost is its whole cost. */
#include "penfold.h"

static uint64_t forks, exits;

static int create(struct penfold_context *ctx, void **state)
{
	(void)ctx;
	*state = NULL;
	return 0;
}

static void destroy(struct penfold_context *ctx)
{
	(void)ctx;
}

static int count_read(struct penfold_context *ctx, uint64_t *value)
{
	(void)ctx;
	*value = forks + exits;
	return 0;
}

static const struct penfold_file files[] = { { .name = "count", .read_u64 = count_read } };

#ifdef TOLD
static void told_fork(struct penfold_context *ctx, int32_t child)
{
	(void)ctx;
	(void)child;
	forks++;
}

static void told_exit(struct penfold_context *ctx, int32_t task)
{
	(void)ctx;
	(void)task;
	exits++;
}
#endif

const struct penfold_module penfold_module = {
	PENFOLD_MODULE_HEADER,
	.name = "counter",
	.version = "0",
	.summary = "counts forks and exits",
	.files = files,
	.file_count = 1,
	.create = create,
	.destroy = destroy,
#ifdef TOLD
	.fork = told_fork,
	.exit = told_exit,
#endif
};
