/* The CPU's state at the kernel's first instruction, register by register. */

#include "guest.h"

#define CR0_PE (1ull << 0)
#define CR0_MP (1ull << 1)
#define CR0_ET (1ull << 4)
#define CR0_WP (1ull << 16)
#define CR0_PG (1ull << 31)
#define CR4_PAE (1ull << 5)
#define CR4_OSFXSR (1ull << 9)
#define CR4_OSXMMEXCPT (1ull << 10)
#define EFER_LME (1ull << 8)
#define EFER_LMA (1ull << 10)
#define EFER_NXE (1ull << 11)
#define RFLAGS_FIXED (1ull << 1)

enum { MSR_EFER = 0xC0000080, MSR_FS_BASE = 0xC0000100, MSR_GS_BASE, MSR_KERNEL_GS_BASE };
enum { CODE = 0x08, DATA = 0x10 };
enum { PIC1_MASK = 0x21, PIC2_MASK = 0xA1, ALL_MASKED = 0xFF };
enum { FCW_AFTER_FNINIT = 0x37F, FTW_EMPTY = 0xFFFF, MXCSR_AFTER_RESET = 0x1F80 };

#define READ(register)                                                                                                 \
    ({                                                                                                                 \
        uint64_t value;                                                                                                \
        __asm__ volatile("mov %%" #register ", %0" : "=r"(value));                                                     \
        value;                                                                                                         \
    })

static void check_control_registers(const struct bootslang_boot_information *information)
{
    CHECK_EQUAL(READ(cr0), CR0_PE | CR0_MP | CR0_ET | CR0_WP | CR0_PG);
    CHECK_EQUAL(READ(cr3), information->page_table);
    CHECK_EQUAL(READ(cr4), CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT);
    CHECK_EQUAL(read_msr(MSR_EFER), EFER_LME | EFER_LMA | EFER_NXE);
}

static void check_segment_registers(void)
{
    CHECK_EQUAL(READ(cs), CODE);
    CHECK_EQUAL(READ(ds), DATA);
    CHECK_EQUAL(READ(es), DATA);
    CHECK_EQUAL(READ(ss), DATA);
    CHECK_EQUAL(READ(fs), 0);
    CHECK_EQUAL(READ(gs), 0);
    CHECK_EQUAL(read_msr(MSR_FS_BASE), 0);
    CHECK_EQUAL(read_msr(MSR_GS_BASE), 0);
    CHECK_EQUAL(read_msr(MSR_KERNEL_GS_BASE), 0);
}

static void check_floating_point(void)
{
    struct {
        uint32_t control, status, tags, rest[4];
    } x87;
    uint32_t mxcsr;
    __asm__ volatile("fnstenv %0\n\tstmxcsr %1" : "=m"(x87), "=m"(mxcsr));
    CHECK_EQUAL(x87.control & 0xFFFF, FCW_AFTER_FNINIT);
    CHECK_EQUAL(x87.status & 0xFFFF, 0);
    CHECK_EQUAL(x87.tags & 0xFFFF, FTW_EMPTY);
    CHECK_EQUAL(mxcsr, MXCSR_AFTER_RESET);
}

static void check_general_registers(const struct bootslang_boot_information *information, const struct registers *registers)
{
    CHECK_EQUAL(registers->rdi, (uint64_t)information);
    CHECK_EQUAL(registers->rflags, RFLAGS_FIXED); /* so interrupts are off, and strings go upwards */
    CHECK_EQUAL(registers->rax | registers->rbx | registers->rcx | registers->rdx | registers->rsi | registers->rbp, 0);
    CHECK_EQUAL(registers->r8 | registers->r9 | registers->r10 | registers->r11, 0);
    CHECK_EQUAL(registers->r12 | registers->r13 | registers->r14 | registers->r15, 0);
}

void check_registers(const struct bootslang_boot_information *information, const struct registers *registers)
{
    check_control_registers(information);
    check_segment_registers();
    check_floating_point();
    check_general_registers(information, registers);
    CHECK_EQUAL(read_port(PIC1_MASK), ALL_MASKED);
    CHECK_EQUAL(read_port(PIC2_MASK), ALL_MASKED);
}
