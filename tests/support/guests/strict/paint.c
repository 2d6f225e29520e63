/* The framebuffer, painted by what the boot information says of it: a test looks at the screen. */

#include "guest.h"

/* All bits of one colour. */
static uint32_t full(uint8_t position, uint8_t size)
{
    return ((1u << size) - 1) << position;
}

/* Three columns of the same width: red, green, blue. */
static uint32_t colour_of(const struct bootslang_framebuffer_information *screen, uint32_t column)
{
    if (column < screen->width / 3)
        return full(screen->red_position, screen->red_size);
    if (column < screen->width / 3 * 2)
        return full(screen->green_position, screen->green_size);
    return full(screen->blue_position, screen->blue_size);
}

_Noreturn void paint(const struct bootslang_framebuffer_information *screen, uint64_t direct_map)
{
    CHECK(screen->physical && screen->size >= (uint64_t)screen->pitch * screen->height);
    uint8_t *line = (uint8_t *)(direct_map + screen->physical);
    uint32_t bytes = screen->depth / 8;
    for (uint32_t row = 0; row < screen->height; row++, line += screen->pitch)
        for (uint32_t at = 0; at < screen->width * bytes; at++)
            line[at] = (uint8_t)(colour_of(screen, at / bytes) >> at % bytes * 8);
    print("painted\n");
    for (;;)
        __asm__ volatile("hlt");
}
