/*
 * penfold.h: everything that a loadable controller of penfold needs.
 *
 * Generated from crates/module/src/abi.rs by `cargo xtask header`. Do not edit.
 *
 * A module is a shared object that exports one object, `penfold_module`. The object holds constants only, so that
 * penfold can read it from the file without running any code of the module:
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
 * The callbacks of a module run one at a time, so a module needs no locks. Each callback runs on the thread of the
 * program that needs it, which may be another thread each time. A callback must not wait.
 *
 * A callback gets a `struct penfold_context`, valid until the callback returns, and calls the services of
 * `struct penfold_services` through it. Outside of a callback, and on other threads, the services refuse.
 *
 * A callback that can fail returns 0 or a negative errno. A callback that fails must have changed nothing.
 * `penfold_error` gives the reason in words. All text is UTF-8.
 *
 * A module that makes a pthread key has to delete the key in `unload`. Otherwise the module stays mapped.
 */

#ifndef PENFOLD_H
#define PENFOLD_H
