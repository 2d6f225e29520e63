/* The boot information itself: one block, everything in it inside it, and the firmware's tables where it says. */

#include "guest.h"

#define FULL_MAP (4 * GIB) /* the direct map's least size */
#define TOP_SLOT (512 * GIB)

static void check_block(const struct bootslang_boot_information *information, const void *part, uint64_t size)
{
    uint64_t offset = ADDRESS(part) - ADDRESS(information); /* what lies below gets a very large one */
    CHECK(size <= information->size && offset <= information->size - size);
}

static void check_text(const struct bootslang_boot_information *information, const char *text, uint64_t size)
{
    check_block(information, text, size + 1);
    for (uint64_t at = 0; at < size; at++)
        CHECK(text[at] != 0);
    CHECK_EQUAL(text[size], 0);
}

static uint8_t sum(const uint8_t *bytes, size_t size)
{
    uint8_t total = 0;
    while (size--)
        total += *bytes++;
    return total;
}

static bool begins_with(const uint8_t *bytes, const char *text)
{
    while (*text)
        if (*bytes++ != (uint8_t)*text++)
            return false;
    return true;
}

static void check_firmware_tables(const struct bootslang_boot_information *information)
{
    enum { RSDP_SUMMED = 20, SMBIOS_LENGTH_AT = 5, SMBIOS3_LENGTH_AT = 6 };
    if (information->rsdp) {
        const uint8_t *rsdp = physical(information, information->rsdp);
        CHECK(begins_with(rsdp, "RSD PTR ") && sum(rsdp, RSDP_SUMMED) == 0);
    }
    if (information->smbios) {
        const uint8_t *smbios = physical(information, information->smbios);
        CHECK(begins_with(smbios, "_SM_") && sum(smbios, smbios[SMBIOS_LENGTH_AT]) == 0);
    }
    if (information->smbios3) {
        const uint8_t *smbios = physical(information, information->smbios3);
        CHECK(begins_with(smbios, "_SM3_") && sum(smbios, smbios[SMBIOS3_LENGTH_AT]) == 0);
    }
    if (information->efi_system_table)
        CHECK(begins_with(physical(information, information->efi_system_table), "IBI SYST"));
}

static void check_stamps(const struct bootslang_boot_information *information)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    CHECK(information->stamps[4] > 0 && information->stamps[4] < information->stamps[5]);
    CHECK(information->stamps[5] < ((uint64_t)high << 32 | low));
}

void check_information(const struct bootslang_boot_information *information)
{
    CHECK_EQUAL(information->magic, BOOTSLANG_MAGIC);
    CHECK_EQUAL(information->version, BOOTSLANG_VERSION);
    CHECK(information->door >= BOOTSLANG_DOOR_BIOS && information->door <= BOOTSLANG_DOOR_PVH);
    CHECK(information->size >= sizeof *information);
    CHECK(physical(information, information->physical) == (const void *)information);
    check_block(information, information->memory, information->memory_count * sizeof(struct bootslang_memory_region));
    check_block(information, information->modules, information->module_count * sizeof(struct bootslang_module_information));
    CHECK((ADDRESS(information->memory) | ADDRESS(information->modules)) % 8 == 0);
    check_text(information, information->command_line, information->command_line_size);
    check_text(information, information->loader_name, information->loader_name_size);
    check_text(information, information->door_name, information->door_name_size);
    CHECK(begins_with((const uint8_t *)information->loader_name, "Bootslang "));
    CHECK(information->direct_map >> 47 == 0x1FFFF && information->direct_map % TOP_SLOT == 0);
    CHECK(information->direct_map_size >= FULL_MAP && information->direct_map_size % GIB == 0);
    CHECK(information->window % PAGE == 0 && information->window_size <= LARGE_PAGE);
    CHECK_EQUAL(information->kernel_physical % PAGE, 0);
    check_firmware_tables(information);
    check_stamps(information);
}
