/* The descriptor tables: GDT, the TSS with its interrupt stacks, and an IDT that catches every exception. */

#include "guest.h"

enum { EXCEPTIONS = 32, DOUBLE_FAULT = 8, GENERAL_PROTECTION = 13, PAGE_FAULT = 14 };

#define PRESENT (1ull << 47)
#define DPL (3ull << 45)
#define CODE_OR_DATA (1ull << 44)
#define EXECUTABLE (1ull << 43)
#define WRITABLE (1ull << 41)
#define LONG_CODE (1ull << 53)
#define DEFAULT_32 (1ull << 54)
#define TYPE(descriptor) ((descriptor) >> 40 & 0x1F)
enum { TYPE_BUSY_TSS = 0xB, TYPE_INTERRUPT_GATE = 0xE };
enum { TSS_BYTES = 104 };

struct __attribute__((packed)) table_register {
    uint16_t limit;
    uint64_t base;
};

struct gate {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
};

struct __attribute__((packed)) tss {
    uint32_t reserved;
    uint64_t rsp[3], reserved1, ist[7], reserved2;
    uint16_t reserved3, io_map;
};

static bool in_window(const struct bootslang_boot_information *information, uint64_t address)
{
    return within(address, information->window, information->window_size);
}

static void check_segments(const uint64_t *gdt, uint16_t code, uint16_t data)
{
    CHECK_EQUAL(gdt[0], 0);
    uint64_t text = gdt[code / 8];
    CHECK((text & PRESENT) && !(text & DPL) && (text & CODE_OR_DATA) && (text & EXECUTABLE));
    CHECK((text & LONG_CODE) && !(text & DEFAULT_32));
    uint64_t memory = gdt[data / 8];
    CHECK((memory & PRESENT) && !(memory & DPL) && (memory & CODE_OR_DATA));
    CHECK(!(memory & EXECUTABLE) && (memory & WRITABLE));
}

static const struct tss *check_task(const uint64_t *descriptor)
{
    CHECK((descriptor[0] & PRESENT) && !(descriptor[0] & DPL));
    CHECK_EQUAL(TYPE(descriptor[0]), TYPE_BUSY_TSS);
    CHECK((descriptor[0] & 0xFFFF) >= TSS_BYTES - 1);
    return (const struct tss *)((descriptor[0] >> 16 & 0xFFFFFF) | (descriptor[0] >> 56) << 24 | descriptor[1] << 32);
}

static void check_interrupt_stack(const struct bootslang_boot_information *information, const struct tss *tss, uint8_t ist)
{
    CHECK(ist >= 1 && ist <= 7);
    uint64_t top = tss->ist[ist - 1];
    CHECK_EQUAL(top % 16, 0);
    struct mapping page = look_up(information, top - 1);
    CHECK(in_window(information, top - 1) && page.size && page.writable && !page.executable);
}

static void check_gates(const struct bootslang_boot_information *information, const struct gate *gates, uint16_t code)
{
    for (int vector = 0; vector < EXCEPTIONS; vector++) {
        const struct gate *gate = &gates[vector];
        CHECK_EQUAL(gate->type, 0x80 | TYPE_INTERRUPT_GATE);
        CHECK_EQUAL(gate->selector, code);
        uint64_t handler = (uint64_t)gate->offset_high << 32 | (uint64_t)gate->offset_middle << 16 | gate->offset_low;
        CHECK(in_window(information, handler) && look_up(information, handler).executable);
    }
}

void check_descriptors(const struct bootslang_boot_information *information)
{
    struct table_register gdt, idt;
    uint16_t code, data, task, local;
    __asm__ volatile("sgdt %0\n\tsidt %1" : "=m"(gdt), "=m"(idt));
    __asm__ volatile("mov %%cs, %0\n\tmov %%ds, %1\n\tstr %2\n\tsldt %3" : "=r"(code), "=r"(data), "=r"(task), "=r"(local));
    CHECK(in_window(information, gdt.base) && in_window(information, gdt.base + gdt.limit));
    CHECK(gdt.limit >= code + 7 && gdt.limit >= data + 7 && task != 0 && gdt.limit >= task + 15);
    CHECK_EQUAL(local, 0);
    check_segments((const uint64_t *)gdt.base, code, data);
    const struct tss *tss = check_task((const uint64_t *)(gdt.base + task));
    CHECK(in_window(information, (uint64_t)tss));
    CHECK(tss->io_map >= TSS_BYTES);
    CHECK(idt.limit >= EXCEPTIONS * sizeof(struct gate) - 1);
    CHECK(in_window(information, idt.base) && in_window(information, idt.base + idt.limit));
    const struct gate *gates = (const struct gate *)idt.base;
    check_gates(information, gates, code);
    uint8_t own[] = {gates[DOUBLE_FAULT].ist, gates[GENERAL_PROTECTION].ist, gates[PAGE_FAULT].ist};
    for (int index = 0; index < 3; index++)
        check_interrupt_stack(information, tss, own[index]);
    CHECK(own[0] != own[1] && own[1] != own[2] && own[0] != own[2]);
}
