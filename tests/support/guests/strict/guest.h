/* What the files of the strict guest share: its console, its way to fail, and what it knows of the CPU.
 *
 * The strict guest is a 64-bit kernel for the hand-off protocol. It asserts all that docs/handoff.md promises, prints the
 * boot information in lines that a test reads, and ends QEMU: PASS, or FAIL after a line that says what did not hold.
 * main.c is its table of contents.
 */

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bootslang.h"

#define PAGE 0x1000ull
#define LARGE_PAGE 0x200000ull
#define GIB 0x40000000ull

enum { PASS = 0x10, FAIL = 0x11 };

/* The registers at the first instruction, as entry.c has put them on the stack. */
struct registers {
    uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15, rflags;
    uint64_t return_address; /* RSP pointed here */
};

/* One page of the virtual address space, with the rights that all levels of the tables give it together. */
struct mapping {
    uint64_t physical;
    uint64_t size; /* of the page: 4 KiB, 2 MiB, 1 GiB; 0 if nothing is mapped */
    bool writable, executable, user;
};

/* The link scripts' symbols: where the pages of each right begin. */
extern char image_start[], text_start[], text_end[], rodata_start[], rodata_end[], relro_start[], relro_end[],
    data_start[], data_end[], image_end[];
#define ADDRESS(symbol) ((uint64_t)(symbol))

/* console.c */
void print(const char *format, ...); /* %s a text, %x a uint64_t in hexadecimal, %S a size_t and a text of that size */
_Noreturn void end(uint8_t code);
_Noreturn void fail(const char *file, int line, const char *condition);
#define CHECK(condition) ((condition) ? (void)0 : fail(__FILE__, __LINE__, #condition))
#define CHECK_EQUAL(got, wanted) check_equal(__FILE__, __LINE__, #got " == " #wanted, got, wanted)
void check_equal(const char *file, int line, const char *condition, uint64_t got, uint64_t wanted);

/* The checks. Each knows nothing of the others; main.c has their order. */
void check_registers(const struct bootslang_boot_information *, const struct registers *);
void check_descriptors(const struct bootslang_boot_information *);
void check_image(const struct bootslang_boot_information *);
void check_page_tables(const struct bootslang_boot_information *);
void check_stack(const struct bootslang_boot_information *, const struct registers *);
void check_information(const struct bootslang_boot_information *);
void check_memory_map(const struct bootslang_boot_information *);
void check_modules(const struct bootslang_boot_information *);
void print_information(const struct bootslang_boot_information *);
void wipe_free_memory(const struct bootslang_boot_information *);
_Noreturn void paint(const struct bootslang_framebuffer_information *, uint64_t direct_map);
void fault_as_told(const char *how);

/* pages.c: what the page tables say of an address. */
struct mapping look_up(const struct bootslang_boot_information *, uint64_t virtual);

/* memory_map.c: the kind of memory at a physical address; 0 if the map has no word of it. */
uint32_t kind_at(const struct bootslang_boot_information *, uint64_t physical);

/* xxh64.c */
uint64_t xxh64(const uint8_t *data, size_t size);

static inline bool within(uint64_t address, uint64_t start, uint64_t size)
{
    return address >= start && address - start < size;
}

static inline const void *physical(const struct bootslang_boot_information *information, uint64_t address)
{
    return (const void *)(information->direct_map + address);
}

static inline uint64_t read_msr(uint32_t number)
{
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number));
    return (uint64_t)high << 32 | low;
}

static inline uint8_t read_port(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline void write_port(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}
