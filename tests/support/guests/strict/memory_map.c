/* The memory map: in order, whole, with all that the loader still holds told as its own. */

#include "guest.h"

uint32_t kind_at(const struct bootslang_boot_information *information, uint64_t physical)
{
    for (uint64_t index = 0; index < information->memory_count; index++)
        if (within(physical, information->memory[index].base, information->memory[index].size))
            return information->memory[index].kind;
    return 0;
}

/* Each page of [start, start + size) is of that kind. */
static void check_kind(const struct bootslang_boot_information *information, uint64_t start, uint64_t size, uint32_t kind)
{
    for (uint64_t at = start & -PAGE; at < start + size; at += PAGE)
        CHECK_EQUAL(kind_at(information, at), kind);
}

static uint64_t bytes_of(const struct bootslang_boot_information *information, uint32_t kind)
{
    uint64_t total = 0;
    for (uint64_t index = 0; index < information->memory_count; index++)
        if (information->memory[index].kind == kind)
            total += information->memory[index].size;
    return total;
}

static void check_order(const struct bootslang_boot_information *information)
{
    CHECK(information->memory_count > 0);
    uint64_t end = 0;
    uint32_t kind = 0;
    for (uint64_t index = 0; index < information->memory_count; index++) {
        const struct bootslang_memory_region *region = &information->memory[index];
        CHECK(region->size > 0 && region->base >= end && region->base + region->size > region->base);
        CHECK(region->base > end || region->kind != kind); /* alike neighbours are merged */
        CHECK_EQUAL(region->reserved, 0);
        if (region->kind >= BOOTSLANG_MEMORY_LOADER)
            CHECK((region->base | region->size) % PAGE == 0);
        if (region->kind == BOOTSLANG_MEMORY_RAM || region->kind >= BOOTSLANG_MEMORY_LOADER)
            CHECK(region->base + region->size <= information->direct_map_size);
        end = region->base + region->size;
        kind = region->kind;
    }
}

void check_memory_map(const struct bootslang_boot_information *information)
{
    check_order(information);
    check_kind(information, information->kernel_physical, information->kernel_size, BOOTSLANG_MEMORY_KERNEL);
    CHECK_EQUAL(bytes_of(information, BOOTSLANG_MEMORY_KERNEL), information->kernel_size);
    check_kind(information, information->physical, information->size, BOOTSLANG_MEMORY_LOADER);
    uint64_t module_bytes = 0;
    for (uint64_t index = 0; index < information->module_count; index++) {
        const struct bootslang_module_information *module = &information->modules[index];
        check_kind(information, module->physical, module->size, BOOTSLANG_MEMORY_MODULE);
        module_bytes += (module->size + PAGE - 1) & -PAGE;
    }
    CHECK_EQUAL(bytes_of(information, BOOTSLANG_MEMORY_MODULE), module_bytes);
}

void check_modules(const struct bootslang_boot_information *information)
{
    for (uint64_t index = 0; index < information->module_count; index++) {
        const struct bootslang_module_information *module = &information->modules[index];
        CHECK_EQUAL(module->physical % PAGE, 0);
        CHECK(module->address == physical(information, module->physical));
        CHECK_EQUAL(module->name[module->name_size], 0);
        CHECK_EQUAL(xxh64(module->address, module->size), module->checksum);
    }
}

void wipe_free_memory(const struct bootslang_boot_information *information)
{
    enum { WIPED_MAX = 128 << 20 }; /* more takes an emulator long, and the host's memory */
    for (uint64_t index = 0; index < information->memory_count; index++) {
        const struct bootslang_memory_region *region = &information->memory[index];
        if (region->kind != BOOTSLANG_MEMORY_RAM || region->base >= WIPED_MAX)
            continue;
        uint64_t words = (region->base + region->size < WIPED_MAX ? region->size : WIPED_MAX - region->base) / 8;
        void *place = (void *)(information->direct_map + region->base);
        __asm__ volatile("rep stosq" : "+D"(place), "+c"(words) : "a"(0xDEADDEADDEADDEADull) : "memory");
    }
    print("wiped\n");
}
