/*
 * A module that leaves something behind, or uses its context where it may not. Macros vary it:
 *
 * - LOCAL: a thread-local with a destructor keeps `value`, registered as by C++ and Rust
 * - KEY: a pthread key with a destructor keeps `value`
 * - DELETE: unload deletes that key
 * - LOG: a file that gets a line for each destructor that has run, and for the answers of services in unload
 */
#define _GNU_SOURCE
#include "penfold.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

extern int __cxa_thread_atexit_impl(void (*destructor)(void *), void *object, void *within);

static uint64_t value;
static pthread_key_t key;
static struct penfold_context *kept;

static void note(const char *what, uint64_t number)
{
    int file = open(LOG, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    dprintf(file, "%s %llu\n", what, (unsigned long long)number);
    close(file);
}

__attribute__((unused)) static void destructor(void *object)
{
    (void)object;
    note("destroyed", value);
}

static int load(void **module)
{
    (void)module;
    value = 1;
#ifdef KEY
    return -pthread_key_create(&key, destructor);
#endif
    return 0;
}

static void unload(void *module)
{
    (void)module;
    note("now", kept->services->now(kept));
    note("refusing", (uint64_t)-kept->services->set_refusing(kept, 1));
    kept->services->explain(kept, "nobody reads", 12);
#ifdef DELETE
    pthread_key_delete(key);
#endif
}

static int create(struct penfold_context *ctx, void **state)
{
    kept = ctx;
    *state = &value;
    return 0;
}

static void destroy(struct penfold_context *ctx)
{
    (void)ctx;
}

static int value_read(struct penfold_context *ctx, uint64_t *answer)
{
    (void)ctx;
    *answer = value;
    return 0;
}

static int value_write(struct penfold_context *ctx, uint64_t written)
{
    (void)ctx;
    value = written;
#ifdef LOCAL
    return -__cxa_thread_atexit_impl(destructor, &value, &value);
#endif
#ifdef KEY
    return -pthread_setspecific(key, &value);
#endif
    return 0;
}

static void *elsewhere(void *context)
{
    struct penfold_context *ctx = context;

    if (ctx->services->now(ctx) != 0 || ctx->services->set_refusing(ctx, 1) != -EFAULT
        || ctx->services->state(ctx, 0) != NULL)
        return NULL;
    ctx->services->put(ctx, "elsewhere ", 10);
    return &value;
}

/* the answers of services on another thread while the callback runs, and then on this thread */
static int thread_read(struct penfold_context *ctx)
{
    struct penfold_context copy = *ctx;
    pthread_t thread;
    void *refused;

    if (pthread_create(&thread, NULL, elsewhere, ctx) || pthread_join(thread, &refused))
        return -EAGAIN;
    penfold_puts(ctx, refused ? "refused, " : "served, ");
    penfold_puts(&copy, ctx->services->now(&copy) ? "served" : "refused");
    return 0;
}

static const struct penfold_file files[] = {
    { .name = "value", .read_u64 = value_read, .write_u64 = value_write },
    { .name = "thread", .read_text = thread_read },
};

const struct penfold_module penfold_module = {
    PENFOLD_MODULE_HEADER,
    .name = NAME,
    .version = "1",
    .summary = "leaves something behind",
    .files = files,
    .file_count = sizeof files / sizeof *files,
    .load = load,
    .unload = unload,
    .create = create,
    .destroy = destroy,
};
