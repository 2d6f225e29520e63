/* A 64-bit kernel in C: it prints the memory it was given, checks the machine, and ends QEMU with its own code.
 *
 *     bootslang header c -o bootslang.h
 *     gcc -O2 -ffreestanding -mno-red-zone -mgeneral-regs-only -fpie -static-pie -nostdlib -e start hello.c -o hello.elf
 *     bootslang build -k hello.elf -c "a text for the kernel" disk.img
 *     bootslang run disk.img
 *
 * docs/handoff.md says what it finds when it starts.
 */

#include <stdbool.h>
#include <stdint.h>

#include "bootslang.h"

enum { SERIAL = 0x3F8, SERIAL_STATUS = SERIAL + 5, SERIAL_READY = 0x20 };
enum { DEBUG_EXIT = 0xF4, PASS = 0x10, FAIL = 0x11 }; /* QEMU's isa-debug-exit; for `bootslang run` PASS is success */

#define CR0_PROMISED 0x80010013ull /* PG, WP, ET, MP, PE */
#define CR4_PROMISED 0x620ull      /* OSXMMEXCPT, OSFXSR, PAE */

static void out(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t in(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static void print(const char *text)
{
    for (; *text; text++) {
        while (!(in(SERIAL_STATUS) & SERIAL_READY))
            ;
        out(SERIAL, (uint8_t)*text);
    }
}

static void print_number(uint64_t value)
{
    char digits[17] = {0};
    for (int at = 16; at--; value >>= 4)
        digits[at] = "0123456789abcdef"[value & 15];
    print(digits);
}

static _Noreturn void end(uint8_t code)
{
    out(DEBUG_EXIT, code);
    for (;;)
        __asm__ volatile("hlt");
}

static void print_memory(const struct bootslang_boot_information *information)
{
    const struct bootslang_memory_region *regions = information->memory;
    for (uint64_t index = 0; index < information->memory_count; index++) {
        print_number(regions[index].base);
        print(" ");
        print_number(regions[index].size);
        print(regions[index].kind == BOOTSLANG_MEMORY_RAM ? " RAM\r\n" : " in use, or reserved\r\n");
    }
}

static bool machine_is_right(const struct bootslang_boot_information *information)
{
    uint64_t cr0, cr4;
    __asm__("mov %%cr0, %0\n\tmov %%cr4, %1" : "=r"(cr0), "=r"(cr4));
    return information->magic == BOOTSLANG_MAGIC && information->version == BOOTSLANG_VERSION &&
           cr0 == CR0_PROMISED && cr4 == CR4_PROMISED;
}

/* The first instruction: the stack is there, interrupts are off, and RDI has become the argument. */
_Noreturn void start(const struct bootslang_boot_information *information)
{
    print("Hello from C, by way of ");
    print(information->door_name);
    print("\r\ncommand line: ");
    print(information->command_line);
    print("\r\n");
    print_memory(information);
    if (!machine_is_right(information)) {
        print("The machine is not as it was promised.\r\n");
        end(FAIL);
    }
    print("The machine is as it was promised.\r\n");
    end(PASS);
}
