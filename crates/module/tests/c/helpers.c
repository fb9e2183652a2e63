/* The helpers of penfold.h with services that record their text. */
#include "penfold.h"

static char recorded[1024];
static size_t recorded_length;

static void record(struct penfold_context *ctx, const char *text, size_t length)
{
    (void)ctx;
    memcpy(recorded + recorded_length, text, length);
    recorded_length += length;
}

static void expect(const char *text)
{
    if (recorded_length != strlen(text) || memcmp(recorded, text, recorded_length) != 0) {
        fprintf(stderr, "expected '%s', recorded '%.*s'\n", text, (int)recorded_length, recorded);
        exit(1);
    }
    recorded_length = 0;
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

    services.put = record;
    penfold_puts(&ctx, "one\n");
    CHECK(penfold_printf(&ctx, "%d of %s\n", 2, "two") == 0);
    expect("one\n2 of two\n");
    /* The lengths around the size of the buffer that is not on the heap, and one far above it. */
    for (length = 250; length < 300; length++) {
        memset(filler, 'x', (size_t)length);
        filler[length] = '\0';
        CHECK(penfold_printf(&ctx, "%s", filler) == 0);
        expect(filler);
    }

    services.put = NULL;
    services.explain = record;
    CHECK(penfold_error(&ctx, ERANGE, "takes 0 to %u", 7u) == -ERANGE);
    expect("takes 0 to 7");

    services.explain = NULL;
    services.log = record;
    CHECK(penfold_log(&ctx, "%c", 'l') == 0);
    expect("l");
    return 0;
}
