/* The page tables: every page that is mapped is one that was promised, with its own rights, and none is missing. */

#include "guest.h"

#define ENTRY_PRESENT (1ull << 0)
#define ENTRY_WRITABLE (1ull << 1)
#define ENTRY_USER (1ull << 2)
#define ENTRY_LARGE (1ull << 7)
#define ENTRY_SEEN (3ull << 5) /* accessed, dirty: the CPU sets them */
#define ENTRY_NX (1ull << 63)
#define ENTRY_ADDRESS 0x000FFFFFFFFFF000ull
enum { ENTRIES = 512, TOP_LEVEL = 3 };
enum { CPUID_EXTENDED = 0x80000001, CPUID_PAGES_OF_1_GIB = 1 << 26 };

/* How much of each has been seen mapped. */
static uint64_t kernel_bytes, direct_bytes, window_code, window_constants, window_data;

static uint64_t span_of(int level) /* of an entry: 4 KiB, 2 MiB, 1 GiB, 512 GiB */
{
    return PAGE << 9 * level;
}

static uint64_t canonical(uint64_t virtual)
{
    return virtual & 1ull << 47 ? virtual | 0xFFFFull << 48 : virtual;
}

static const uint64_t *table_at(const struct bootslang_boot_information *information, uint64_t address)
{
    return physical(information, address & ENTRY_ADDRESS);
}

struct mapping look_up(const struct bootslang_boot_information *information, uint64_t virtual)
{
    struct mapping found = {.writable = true, .executable = true, .user = true};
    const uint64_t *table = table_at(information, information->page_table);
    for (int level = TOP_LEVEL;; level--) {
        uint64_t entry = table[virtual / span_of(level) % ENTRIES];
        if (!(entry & ENTRY_PRESENT))
            return (struct mapping){0};
        found.writable &= (entry & ENTRY_WRITABLE) != 0;
        found.executable &= !(entry & ENTRY_NX);
        found.user &= (entry & ENTRY_USER) != 0;
        if (level == 0 || entry & ENTRY_LARGE) {
            found.size = span_of(level);
            found.physical = entry & ENTRY_ADDRESS & -span_of(level);
            return found;
        }
        table = table_at(information, entry);
    }
}

static void check_kernel_page(const struct bootslang_boot_information *information, uint64_t virtual, struct mapping page)
{
    CHECK_EQUAL(page.physical, information->kernel_physical + (virtual - information->kernel_virtual));
    CHECK_EQUAL(kind_at(information, page.physical), BOOTSLANG_MEMORY_KERNEL);
    CHECK_EQUAL(page.executable, within(virtual, ADDRESS(text_start), text_end - text_start));
    CHECK_EQUAL(page.writable, within(virtual, ADDRESS(data_start), data_end - data_start));
    CHECK(page.executable || page.writable || within(virtual, ADDRESS(rodata_start), rodata_end - rodata_start) ||
          within(virtual, ADDRESS(relro_start), relro_end - relro_start)); /* nothing in the gaps between segments */
    kernel_bytes += page.size;
}

static void check_direct_page(const struct bootslang_boot_information *information, uint64_t virtual, struct mapping page)
{
    CHECK_EQUAL(page.physical, virtual - information->direct_map);
    CHECK(page.writable && !page.executable);
    uint32_t level = CPUID_EXTENDED, ebx, ecx = 0, features;
    __asm__("cpuid" : "+a"(level), "=b"(ebx), "+c"(ecx), "=d"(features));
    CHECK_EQUAL(page.size, features & CPUID_PAGES_OF_1_GIB ? GIB : LARGE_PAGE);
    direct_bytes += page.size;
}

static void check_window_page(const struct bootslang_boot_information *information, uint64_t virtual, struct mapping page)
{
    CHECK(within(virtual, information->window, information->window_size));
    CHECK_EQUAL(kind_at(information, page.physical), BOOTSLANG_MEMORY_LOADER);
    *(page.executable ? &window_code : page.writable ? &window_data : &window_constants) += page.size;
}

static void check_page(const struct bootslang_boot_information *information, uint64_t virtual, struct mapping page)
{
    CHECK(!page.user);
    CHECK(!(page.writable && page.executable));
    if (within(virtual, information->kernel_virtual, information->kernel_size))
        check_kernel_page(information, virtual, page);
    else if (within(virtual, information->direct_map, information->direct_map_size))
        check_direct_page(information, virtual, page);
    else
        check_window_page(information, virtual, page);
}

static void check_table(const struct bootslang_boot_information *information, uint64_t address, int level, uint64_t virtual)
{
    CHECK_EQUAL(kind_at(information, address & ENTRY_ADDRESS), BOOTSLANG_MEMORY_LOADER);
    CHECK((address & ENTRY_ADDRESS) < 4 * GIB);
    const uint64_t *table = table_at(information, address);
    for (int index = 0; index < ENTRIES; index++) {
        uint64_t at = canonical(virtual + index * span_of(level));
        if (!(table[index] & ENTRY_PRESENT))
            continue;
        CHECK_EQUAL(table[index] & ~(ENTRY_ADDRESS | ENTRY_NX | ENTRY_SEEN | ENTRY_LARGE | ENTRY_WRITABLE), ENTRY_PRESENT);
        if (level == 0 || table[index] & ENTRY_LARGE)
            check_page(information, at, look_up(information, at));
        else
            check_table(information, table[index], level - 1, at);
    }
}

static void check_large_pages(const struct bootslang_boot_information *information)
{
    for (uint64_t at = (ADDRESS(data_start) + LARGE_PAGE - 1) & -LARGE_PAGE; at + LARGE_PAGE <= ADDRESS(data_end);
         at += LARGE_PAGE)
        CHECK_EQUAL(look_up(information, at).size, LARGE_PAGE);
}

void check_page_tables(const struct bootslang_boot_information *information)
{
    kernel_bytes = direct_bytes = window_code = window_constants = window_data = 0;
    check_table(information, information->page_table, TOP_LEVEL, 0);
    CHECK_EQUAL(kernel_bytes, (text_end - text_start) + (rodata_end - rodata_start) + (relro_end - relro_start) +
                                  (data_end - data_start));
    CHECK_EQUAL(direct_bytes, information->direct_map_size);
    CHECK(window_code && window_constants && window_data >= BOOTSLANG_STACK_BYTES);
    check_large_pages(information);
}

void check_stack(const struct bootslang_boot_information *information, const struct registers *registers)
{
    uint64_t top = ADDRESS(&registers->return_address) + sizeof registers->return_address;
    CHECK_EQUAL(top % 16, 0);
    CHECK_EQUAL(registers->return_address, 0);
    uint64_t bottom = top - BOOTSLANG_STACK_BYTES;
    CHECK(bottom >= information->window && top <= information->window + information->window_size);
    for (uint64_t at = bottom; at < top; at += PAGE) {
        struct mapping page = look_up(information, at);
        CHECK(page.size && page.writable && !page.executable);
    }
    CHECK_EQUAL(look_up(information, bottom - 1).size, 0); /* the guard page */
}
