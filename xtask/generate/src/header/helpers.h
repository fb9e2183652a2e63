#if defined(__GNUC__)
#define PENFOLD_EXPORT __attribute__((visibility("default")))
#define PENFOLD_FORMAT(position, first) __attribute__((format(printf, position, first)))
#else
#define PENFOLD_EXPORT
#define PENFOLD_FORMAT(position, first)
#endif

/**
 * The first members of `penfold_module`: the version of the interface that the module was compiled for. A loader of
 * another version refuses the module and names both versions. (In C++ designated initializers need C++20.)
 */
#define PENFOLD_MODULE_HEADER                                                                                       \
    .abi_version = PENFOLD_ABI_VERSION, .module_size = sizeof(struct penfold_module),                               \
    .file_size = sizeof(struct penfold_file), .rule_size = sizeof(struct penfold_rule),                             \
    .context_size = sizeof(struct penfold_context), .services_size = sizeof(struct penfold_services)

#ifdef __cplusplus
extern "C" {
#endif

/** The description, which the module defines. This declaration exports it with -fvisibility=hidden too. */
extern PENFOLD_EXPORT const struct penfold_module penfold_module;

#ifdef __cplusplus
}
#endif

/** Formats a text and gives it to one of the services that take text. Up to 255 bytes need no heap. */
PENFOLD_FORMAT(3, 0)
static inline int penfold_format(struct penfold_context *ctx,
                                 void (*take)(struct penfold_context *ctx, const char *text, size_t length),
                                 const char *format, va_list arguments)
{
    char small[256];
    char *text = small;
    va_list again;
    int length;

    va_copy(again, arguments);
    length = vsnprintf(small, sizeof small, format, arguments);
    if (length >= (int)sizeof small) {
        text = (char *)malloc((size_t)length + 1);
        length = text != NULL ? vsnprintf(text, (size_t)length + 1, format, again) : -ENOMEM;
    } else if (length < 0) {
        length = -EINVAL;
    }
    va_end(again);
    if (length >= 0)
        take(ctx, text, (size_t)length);
    if (text != small)
        free(text);
    return length < 0 ? length : 0;
}

/** In `read_text`: adds text that ends with a NUL. */
static inline void penfold_puts(struct penfold_context *ctx, const char *text)
{
    ctx->services->put(ctx, text, strlen(text));
}

/** In `read_text`: adds text, formatted as by printf(3). Returns 0, `-ENOMEM`, or `-EINVAL` for a wrong format. */
PENFOLD_FORMAT(2, 3)
static inline int penfold_printf(struct penfold_context *ctx, const char *format, ...)
{
    va_list arguments;
    int result;

    va_start(arguments, format);
    result = penfold_format(ctx, ctx->services->put, format, arguments);
    va_end(arguments);
    return result;
}

/** Writes a line to the log of the program that has loaded the module. Returns the same as `penfold_printf`. */
PENFOLD_FORMAT(2, 3)
static inline int penfold_log(struct penfold_context *ctx, const char *format, ...)
{
    va_list arguments;
    int result;

    va_start(arguments, format);
    result = penfold_format(ctx, ctx->services->log, format, arguments);
    va_end(arguments);
    return result;
}

/**
 * Explains why a callback fails: `return penfold_error(ctx, EINVAL, "takes 0 to %d", HIGHEST);`. Returns the negative
 * of `error`, even if there is no memory for the explanation.
 */
PENFOLD_FORMAT(3, 4)
static inline int penfold_error(struct penfold_context *ctx, int error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)penfold_format(ctx, ctx->services->explain, format, arguments);
    va_end(arguments);
    return -error;
}

#endif /* PENFOLD_H */
