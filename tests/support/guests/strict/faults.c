/* Faults on purpose: what W^X, NX and the guard page are there for. The loader's handlers have to say where. */

#include "guest.h"

static const uint32_t constant = 1;
static uint8_t code_in_data[16] = {0xC3}; /* ret */

/* Each tells the address of the instruction that will fault, and the one that it reaches for, before it does. */
static void write_to(const volatile void *target)
{
    uint64_t instruction;
    __asm__ volatile("lea 1f(%%rip), %0" : "=r"(instruction));
    print("fault %x %x\n", instruction, (uint64_t)target);
    __asm__ volatile("1: movb $1, (%0)" : : "r"(target) : "memory");
}

static void call(const void *target)
{
    print("fault %x %x\n", (uint64_t)target, (uint64_t)target);
    ((void (*)(void))target)();
}

static void overflow_stack(void)
{
    uint64_t instruction;
    __asm__ volatile("lea 2f(%%rip), %0" : "=r"(instruction));
    print("fault %x 0\n", instruction);
    __asm__ volatile("2: push %rax\n\tjmp 2b");
}

static void divide_by_zero(void)
{
    uint64_t instruction;
    __asm__ volatile("lea 3f(%%rip), %0" : "=r"(instruction));
    print("fault %x 0\n", instruction);
    __asm__ volatile("xor %%edx, %%edx\n\txor %%ecx, %%ecx\n3:\tdiv %%rcx" : : : "rax", "rcx", "rdx");
}

static bool is(const char *text, const char *name)
{
    while (*name)
        if (*text++ != *name++)
            return false;
    return true;
}

void fault_as_told(const char *how)
{
    if (is(how, "write-code"))
        write_to((const void *)write_to);
    else if (is(how, "write-constant"))
        write_to(&constant);
    else if (is(how, "write-relro"))
        write_to(relro_start);
    else if (is(how, "execute-data"))
        call(code_in_data);
    else if (is(how, "execute-constant"))
        call(&constant);
    else if (is(how, "execute-direct-map"))
        call((const void *)((uint64_t)-1 << 47));
    else if (is(how, "overflow-stack"))
        overflow_stack();
    else if (is(how, "divide"))
        divide_by_zero();
    fail(__FILE__, __LINE__, "this fault comes");
}
