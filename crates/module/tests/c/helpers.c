/* The helpers of penfold.h against services that write down what they are given. */
#include "penfold.h"

static char heard[1024];
static size_t heard_length;

static void hear(struct penfold_context *ctx, const char *text, size_t length)
{
    (void)ctx;
    memcpy(heard + heard_length, text, length);
    heard_length += length;
}

static void expect(const char *text)
{
    if (heard_length != strlen(text) || memcmp(heard, text, heard_length) != 0) {
        fprintf(stderr, "expected '%s', heard '%.*s'\n", text, (int)heard_length, heard);
        exit(1);
    }
    heard_length = 0;
}

#define CHECK(condition)                                                                                             \
    do {                                                                                                             \
        if (!(condition)) {                                                                                          \
            fprintf(stderr, "line %d: not %s\n", __LINE__, #condition);                                              \
            exit(1);                                                                                                 \
        }                                                                                                            \
    } while (0)

int main(void)
{
    struct penfold_services services;
    struct penfold_context ctx;
    char filler[300];
    int length;

    memset(&services, 0, sizeof services);
    memset(&ctx, 0, sizeof ctx);
    ctx.services = &services;

    services.put = hear;
    penfold_puts(&ctx, "one\n");
    CHECK(penfold_printf(&ctx, "%d of %s\n", 2, "two") == 0);
    expect("one\n2 of two\n");
    /* The lengths around the end of the buffer that is not on the heap, and one far behind it. */
    for (length = 250; length < 300; length++) {
        memset(filler, 'x', (size_t)length);
        filler[length] = '\0';
        CHECK(penfold_printf(&ctx, "%s", filler) == 0);
        expect(filler);
    }

    services.put = NULL;
    services.explain = hear;
    CHECK(penfold_error(&ctx, ERANGE, "takes 0 to %u", 7u) == -ERANGE);
    expect("takes 0 to 7");

    services.explain = NULL;
    services.log = hear;
    CHECK(penfold_log(&ctx, "%c", 'l') == 0);
    expect("l");
    return 0;
}
