/* The kernel's own image: its .bss is zero, its pointers point where they are to, and its numbers are told right. */

#include "guest.h"

enum { NUMBERS = 64 };
uint8_t zeros[3 * PAGE + 5];
/* So that pages of 2 MiB can be used; pages.c sees whether they are. */
uint8_t large[2 * LARGE_PAGE] __attribute__((aligned(0x200000)));
uint32_t numbers[NUMBERS] = {[0] = 0x12345678, [NUMBERS - 1] = 0x9ABCDEF0};
const uint8_t constants[5000] = {[0] = 1, [4999] = 2};

/* Absolute addresses: in a position-independent kernel each is a relocation, in read-only and in writable memory. */
const void *const fixed_pointers[] = {zeros, large, numbers, constants + 4999, image_end};
const void *pointers[] = {numbers + 1, zeros, print, fixed_pointers};
/* Where it really is, so that the compiler knows nothing of what is there. */
#define HERE(symbol)                                                                                                   \
    ({                                                                                                                 \
        void *address;                                                                                                 \
        __asm__ volatile("lea " #symbol "(%%rip), %0" : "=r"(address) : : "memory");                                   \
        address;                                                                                                       \
    })

static void check_zeros(const uint8_t *bytes, size_t size)
{
    for (size_t at = 0; at < size; at++)
        CHECK(bytes[at] == 0);
}

void check_image(const struct bootslang_boot_information *information)
{
    check_zeros(HERE(zeros), sizeof zeros);
    check_zeros(HERE(large), sizeof large);
    uint32_t *writable = HERE(numbers);
    CHECK(writable[0] == 0x12345678 && writable[1] == 0 && writable[NUMBERS - 1] == 0x9ABCDEF0);
    const uint8_t *constant = HERE(constants);
    CHECK(constant[0] == 1 && constant[1] == 0 && constant[4999] == 2);
    void *const *fixed = HERE(fixed_pointers);
    CHECK(fixed[0] == HERE(zeros) && fixed[1] == HERE(large) && fixed[2] == HERE(numbers));
    CHECK(fixed[3] == (const char *)HERE(constants) + 4999 && fixed[4] == HERE(image_end));
    void **moving = HERE(pointers);
    CHECK(moving[0] == HERE(numbers) + 4 && moving[1] == HERE(zeros));
    CHECK(moving[2] == HERE(print) && moving[3] == HERE(fixed_pointers));
    CHECK_EQUAL(information->kernel_virtual, ADDRESS(image_start));
    CHECK_EQUAL(information->kernel_size, ADDRESS(image_end) - ADDRESS(image_start));
    CHECK_EQUAL(information->kernel_shift, ADDRESS(image_start) - LINKED_AT);
    writable[1] = 0; /* what cannot be written to is the faults' business */
    *(volatile uint8_t *)HERE(zeros) = 0;
}
