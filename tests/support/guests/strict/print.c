/* The boot information as text: a line each, numbers in hexadecimal. tests/support/handoff.py reads it. */

#include "guest.h"

static void print_framebuffer(const struct bootslang_framebuffer_information *screen)
{
    print("framebuffer %x %x %x %x %x", screen->physical, screen->size, (uint64_t)screen->width,
          (uint64_t)screen->height, (uint64_t)screen->depth);
    print(" %x %x %x %x", (uint64_t)screen->pitch, (uint64_t)screen->red_position, (uint64_t)screen->green_position,
          (uint64_t)screen->blue_position);
    print(" %x %x %x\n", (uint64_t)screen->red_size, (uint64_t)screen->green_size, (uint64_t)screen->blue_size);
}

void print_information(const struct bootslang_boot_information *information)
{
    print("door %x\n", (uint64_t)information->door);
    print("door name [%S]\n", information->door_name_size, information->door_name);
    print("loader [%S]\n", information->loader_name_size, information->loader_name);
    print("command line [%S]\n", information->command_line_size, information->command_line);
    const struct bootslang_memory_region *regions = information->memory;
    for (uint64_t index = 0; index < information->memory_count; index++)
        print("memory %x %x %x\n", regions[index].base, regions[index].size, (uint64_t)regions[index].kind);
    const struct bootslang_module_information *modules = information->modules;
    for (uint64_t index = 0; index < information->module_count; index++)
        print("module %x %x %x [%S]\n", modules[index].physical, modules[index].size, modules[index].checksum,
              modules[index].name_size, modules[index].name);
    print("kernel %x %x %x %x\n", information->kernel_physical, information->kernel_virtual, information->kernel_size,
          information->kernel_shift);
    print("direct map %x %x\n", information->direct_map, information->direct_map_size);
    print("window %x %x\n", information->window, information->window_size);
    print("block %x %x\n", information->physical, information->size);
    print("tables %x %x %x %x\n", information->rsdp, information->smbios, information->smbios3,
          information->efi_system_table);
    print_framebuffer(&information->framebuffer);
}
