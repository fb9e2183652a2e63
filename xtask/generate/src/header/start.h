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
